"""F27: whatever raises inside a chain's own steps, each task is in one count, and nothing is left."""

from __future__ import annotations

import contextlib
import selectors
import socket
from collections.abc import Callable
from typing import Any

import pytest

import functions as f
from task_manager import TaskChain, WorkerStartError
from task_manager._chain import book, deaths, feed, intake, link, stage_process, vigil
from task_manager._chain import round as chain_round
from task_manager._platform import this_process
from task_manager._processes import channel, child, slot, wire
from task_manager._rules.batch_size import BatchSize
from task_manager._run import recorder, results, run
from task_manager._run.ledger import Ledger

STEPS: list[tuple[Any, str]] = [
    (book.Book, "enter"),
    (book.Book, "passed"),
    (book.Book, "failed"),
    (book.Book, "retrying"),
    (Ledger, "enter_new"),
    (Ledger, "number"),
    (recorder.Recorder, "record"),
    (results.Results, "observe"),
    (BatchSize, "learn"),
    (feed.Feed, "packed"),
    (feed.Feed, "_pack"),
    (chain_round.Round, "begin"),
    (chain_round.Round, "_fill"),
    (chain_round.Round, "_send"),
    (chain_round.Round, "_hear"),
    (intake.Intake, "drain"),
    (intake.Intake, "_take"),
    (intake.Intake, "_pass"),
    (intake.Intake, "fail"),
    (intake.Intake, "charge"),
    (vigil.Vigil, "stuck"),
    (deaths.Deaths, "charge"),
    (chain_round, "make_queue"),
    (link.LinkQueue, "__init__"),
    (link.LinkQueue, "release"),
    (stage_process.StageProcess, "start"),
    (stage_process.StageProcess, "start_stage"),
    (child.Child, "listen"),
    (child.Child, "kill"),
    (child.Child, "end"),
    (child.Child, "close"),
    (child, "end_process"),
    (child, "Channel"),
    (child, "start_process"),
    (slot.SharedSlot, "share"),
    (child.Glance, "dead"),
    (channel.Channel, "receive"),
    (channel.Channel, "send"),
    (wire, "dumps"),
    (wire, "loads"),
    (wire, "shares"),
    (wire, "pack_values"),
    (wire, "unpack_failure"),
    (selectors.DefaultSelector, "register"),
    (selectors.DefaultSelector, "select"),
    (selectors.DefaultSelector, "close"),
    (socket, "socketpair"),
]


def raising_once(step: Callable[..., Any], at: int, error: type[BaseException]) -> Callable[..., Any]:
    """The step, which raises at this call in this process, and at no other."""
    home, calls = this_process(), [0]

    def stand_in(*args: Any, **options: Any) -> Any:
        if home is this_process():
            calls[0] += 1
            if calls[0] == at:
                raise error("no memory in our own step")
        return step(*args, **options)

    return stand_in


def die_or_fail(x: int) -> int:
    if x == 7:
        raise ValueError(x)
    return f.exit_at(x, 33)


@pytest.mark.parametrize("at", [1, 2, 5])
@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{step[0].__name__}.{step[1]}")
def test_f27_a_step_of_a_process_chain_raises(
    step: tuple[Any, str], at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`start_chain` raises it, or has no need to; no process is left; the next start runs them all."""
    chain = TaskChain(
        [f.stage(f.same, start_method="fork"), f.stage(die_or_fail, start_method="fork")], "process"
    )
    with monkeypatch.context() as patch:
        patch.setattr(*step, raising_once(getattr(*step), at, MemoryError))
        with contextlib.suppress(MemoryError, WorkerStartError):
            chain.start_chain([*range(50), 0])
    check_both_starts(chain, {7, 33})


def check_both_starts(chain: TaskChain, failing: set[int]) -> None:
    """After the start that was broken off, or was not; and another one."""
    first = chain.get_summary()
    results, errors = chain.get_final_result_dict(), chain.get_final_error_dict()

    assert first.taken == first.succeeded + first.failed + first.duplicates + first.not_started
    assert first.taken <= 51
    assert set() == set(results) & set(errors)
    assert (len(results), len(errors)) == (first.succeeded, first.failed)

    second = chain.start_chain(range(50))

    assert (50 - len(failing), len(failing), 0, 0) == (
        second.succeeded,
        second.failed,
        second.duplicates,
        second.not_started,
    )
    assert {n: n for n in range(50) if n not in failing} == chain.get_final_result_dict()


SERIAL_STEPS: list[tuple[Any, str]] = [
    (book.Book, "enter"),
    (book.Book, "passed"),
    (book.Book, "failed"),
    (book.Tickets, "come"),
    (book.Tickets, "leave"),
    (Ledger, "enter_new"),
    (Ledger, "enter_all"),
    (recorder.Recorder, "record"),
    (results.Results, "observe"),
    (BatchSize, "learn"),
    (run.Run, "finish"),
    (run.Run, "next_batch"),
]


def fail_on_seven(x: int) -> int:
    if x == 7:
        raise ValueError(x)
    return x


@pytest.mark.parametrize("at", [1, 2, 5])
@pytest.mark.parametrize("step", SERIAL_STEPS, ids=lambda step: f"{step[0].__name__}.{step[1]}")
def test_f27_a_step_of_a_serial_chain_raises(
    step: tuple[Any, str], at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same, where all is done in one process."""
    chain = TaskChain([f.stage(f.same), f.stage(fail_on_seven, "thread"), f.stage(f.same)])
    with monkeypatch.context() as patch:
        patch.setattr(*step, raising_once(getattr(*step), at, MemoryError))
        with contextlib.suppress(MemoryError, WorkerStartError):
            chain.start_chain([*range(50), 0])
    check_both_starts(chain, {7})
