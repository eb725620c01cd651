"""chain.stop(): what runs is finished, nothing more is begun at any stage, what has passed is kept."""

from __future__ import annotations

import asyncio
import os
import pickle
import queue
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import psutil
import pytest

import functions as f
from stopping import STARTS, accounts, beside, held_in, start, wait_until
from task_manager import TaskChain, TaskManager
from task_manager._chain.parent import Parent
from task_manager._stop import Stop
from task_manager.events import Passed, Succeeded, Waiting

AT_ONCE = "stop(), called twice"
MANY = 10**9
each_chain = pytest.mark.parametrize("chain_mode", f.CHAIN_MODES)
each_start = pytest.mark.parametrize("how", STARTS)


class Passes:
    """An observer that counts what has passed each stage, from 1."""

    def __init__(self, stages: int) -> None:
        self.passed = [0] * (stages + 1)

    def observe(self, event: Any) -> None:
        if isinstance(event, Passed | Succeeded) and event.stage is not None:
            self.passed[event.stage] += len(event.indices)


def chain_with(held: Any, mode: str, chain_mode: str, **options: Any) -> TaskChain[Any, Any]:
    """Of three stages, of which the second one is held."""
    stages = [
        f.stage(f.same),
        TaskManager(held, logger=None, worker_limit=2, **f.options_of(mode)),
        f.stage(f.same),
    ]
    return TaskChain(stages, chain_mode, **options)  # type: ignore[arg-type]


@each_start
@each_chain
@pytest.mark.parametrize("mode", f.MODES)
def test_f37_what_runs_at_a_stage_is_finished(
    mode: str, chain_mode: str, how: str, tmp_path: Path
) -> None:
    """And no call begins at any stage; the first ones have arrived, but in serial mode."""
    held = held_in(mode, tmp_path, quick=10)
    passes = Passes(3)
    chain = chain_with(held, mode, chain_mode, observers=[passes])

    def stop() -> bool:
        held.wait_for(1 if mode == "serial" else 2)
        if chain_mode != "serial":
            wait_until(lambda: passes.passed[3] == 10)
        said = chain.stop()
        time.sleep(0.4)  # time to begin what must not, and to hear of the stop everywhere
        held.go()
        return said

    with beside(stop) as said:
        summary = start(chain, how, range(100))
    begun = held.begun

    assert [True] == said
    assert "stop()" == summary.ended_early
    assert accounts(summary)
    assert len(begun) == passes.passed[2] == 10 + (1 if mode == "serial" else 2)
    assert summary.succeeded == passes.passed[3] == (0 if chain_mode == "serial" else 10)
    # What the first stage has passed on has had a call, whether or not one has begun after that.
    assert summary.interrupted == passes.passed[1] - passes.passed[3]
    assert not chain.get_final_error_dict()


@each_start
@pytest.mark.parametrize("chain_mode", f.CHAIN_MODES)
def test_f37_the_second_call_ends_the_chain(chain_mode: str, how: str, tmp_path: Path) -> None:
    """What is done is kept, no process is left, and the next start goes to its end."""
    held = held_in("thread", tmp_path, quick=10)
    chain = chain_with(held, "thread", chain_mode)

    def stop() -> tuple[bool, bool]:
        held.wait_for(2)
        return chain.stop(), chain.stop()

    with beside(stop) as said:
        summary = start(chain, how, range(100))
    held.go()

    assert [(True, True)] == said
    assert AT_ONCE == summary.ended_early
    assert accounts(summary)
    assert 2 <= summary.interrupted
    again = start(chain, how, range(100))

    assert (100, None) == (again.succeeded, again.ended_early)


@pytest.mark.parametrize("chain_mode", f.CHAIN_MODES)
@pytest.mark.parametrize("presses", [1, 2])
def test_a_signal_handler_stops_a_chain(chain_mode: str, presses: int, tmp_path: Path) -> None:
    """The second one at once, in a serial stage of a serial chain too; a thread is left alone."""
    held = held_in("serial", tmp_path, quick=10)
    chain = chain_with(held, "serial", chain_mode)
    said: list[bool] = []

    def handler(number: int, frame: FrameType | None) -> None:
        said.append(chain.stop())

    def press() -> None:
        held.wait_for(1)
        for count in range(1, presses + 1):
            os.kill(os.getpid(), signal.SIGTERM)
            wait_until(lambda count=count: len(said) == count)  # type: ignore[misc]
        if presses == 1:
            held.go()

    before = signal.signal(signal.SIGTERM, handler)
    try:
        with beside(press):
            summary = chain.start(range(100))
    finally:
        signal.signal(signal.SIGTERM, before)
    held.go()

    assert [True] * presses == said
    assert ("stop()" if presses == 1 else AT_ONCE) == summary.ended_early
    assert accounts(summary)


class StopsItself(TaskManager[Any, Any]):
    """A stage whose hook says it: in process mode in a process of its own."""

    def process_result(self, task: Any, result: Any) -> Any:
        if task == 20:
            self.stop()
        if task == 30:
            self.stop()
        return result


@each_start
@each_chain
@pytest.mark.parametrize("stage", [0, 1, 2])
def test_f37_a_hook_of_a_stage_stops_the_chain(stage: int, chain_mode: str, how: str) -> None:
    """Its manager is a part of the chain, wherever it runs."""
    stages = [
        (StopsItself if number == stage else TaskManager)(f.wait_a_little, logger=None)
        for number in range(3)
    ]
    chain = TaskChain(stages, chain_mode)  # type: ignore[arg-type]
    summary = start(chain, how, range(25 if chain_mode == "serial" else MANY))

    assert "stop()" == summary.ended_early or (chain_mode == "serial" and stage == 2)
    assert accounts(summary)
    assert len(chain.get_final_result_dict()) == summary.succeeded


@each_chain
def test_the_manager_of_a_stage_stops_the_chain(chain_mode: str, tmp_path: Path) -> None:
    """In the process in which the chain was started, too."""
    held = held_in("thread", tmp_path, quick=10)
    chain = chain_with(held, "thread", chain_mode)

    def stop() -> bool:
        held.wait_for(2)
        said = chain.stages[1].stop()
        time.sleep(0.3)
        held.go()
        return said

    with beside(stop) as said:
        summary = chain.start(range(100))

    assert [True] == said
    assert "stop()" == summary.ended_early == chain.stages[1].get_summary().ended_early
    assert accounts(summary)


@each_chain
def test_where_nothing_runs_it_does_nothing(chain_mode: str) -> None:
    """Before, after, in a pickled copy."""
    chain = f.chain_of(chain_mode, f.same, f.same)
    said = [chain.stop()]
    summary = chain.start(range(10))
    said += [chain.stop(), chain.stages[0].stop()]
    again = chain.start(range(10))

    assert [False] * 3 == said
    assert [(10, None)] * 2 == [(one.succeeded, one.ended_early) for one in (summary, again)]


@each_start
@each_chain
@pytest.mark.parametrize("what", ["queue", "async"])
def test_an_input_that_waits_is_left(what: str, chain_mode: str, how: str) -> None:
    """A queue with nothing in it, and an async iterable."""
    if (what, how) == ("async", "start"):
        pytest.skip("needs a loop")

    said: list[bool] = []

    async def waits() -> Any:
        yield 1
        await asyncio.sleep(1000)

    class Stops:
        def observe(self, event: Any) -> None:
            last = 0 if chain_mode == "serial" else -1
            if isinstance(event, Waiting) and chain.stages[last].get_result_dict() and not said:
                said.append(chain.stop())

    stages = [f.stage(f.same), f.stage(f.same)]
    chain = TaskChain(stages, chain_mode, observers=[Stops()])  # type: ignore[arg-type]
    tasks: Any = queue.Queue()
    tasks.put(1)
    summary = start(chain, how, waits() if what == "async" else tasks)

    assert (1, "stop()") == (summary.taken, summary.ended_early)
    # In serial mode the second stage has not begun.
    assert (chain_mode != "serial") == summary.succeeded


@each_start
@pytest.mark.parametrize("chain_mode", ["thread", "process"])
def test_f37_a_full_queue_between_stages_holds_nobody(chain_mode: str, how: str) -> None:
    """A stage that waits for room in its queue, where the next one reads no more, comes to its end."""

    class Stops:
        def observe(self, event: Any) -> None:
            if isinstance(event, Succeeded) and len(chain.get_final_result_dict()) > 5:
                chain.stop()

    stages = [f.stage(big), f.stage(f.wait_a_little), f.stage(f.same)]
    chain = TaskChain(stages, chain_mode, observers=[Stops()])  # type: ignore[arg-type]
    summary = start(chain, how, range(MANY))

    assert "stop()" == summary.ended_early
    assert accounts(summary)
    assert summary.succeeded == len(chain.get_final_result_dict())


def big(task: int) -> bytes:
    return bytes(200_000)


def test_a_stage_that_dies_during_a_stop(tmp_path: Path) -> None:
    """There is no next round: the chain ends, and what was at hand may have begun."""
    held = held_in("serial", tmp_path, quick=10)
    chain = chain_with(held, "serial", "process")

    def stop() -> None:
        held.wait_for(1)
        chain.stop()
        time.sleep(0.2)
        psutil.Process(int((tmp_path / "begun 10").read_text())).kill()

    with beside(stop):
        summary = chain.start(range(100))
    held.go()

    assert summary.ended_early is not None
    assert accounts(summary)
    assert summary.failed <= 1


@pytest.mark.parametrize("chain_mode", f.CHAIN_MODES)
def test_a_stop_before_all_stages_are_up(chain_mode: str) -> None:
    """It is heard of by those that come up after it."""

    class Stops:
        def observe(self, event: Any) -> None:
            chain.stop()

    chain = TaskChain(
        [f.stage(f.same, start_method="spawn"), f.stage(f.same)],
        chain_mode,  # type: ignore[arg-type]
        observers=[Stops()],
    )
    summary = chain.start(endless())

    assert accounts(summary)
    assert 0 == summary.succeeded


def endless() -> Iterator[int]:
    yield from range(MANY)


def test_a_pickled_chain_has_no_start() -> None:
    """Also if it was pickled in the middle of one."""
    copies: list[Any] = []

    class Copies:
        def observe(self, event: Any) -> None:
            copies.append(pickle.dumps(chain._stop))

    chain = TaskChain([f.stage(f.same)], observers=[Copies()])
    chain.start([1])

    assert [None] * len(copies) == [pickle.loads(copy) for copy in copies]


def test_a_stage_that_gets_no_thread_hears_it_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its run looks by itself, whenever it reads."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    ours, theirs = socket.socketpair()
    stop = Stop()
    parent = Parent(theirs, stop)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        parent.listen()
    parent.look()
    before = stop.asked
    ours.send(b"!")
    parent.look()
    ours.close()
    theirs.close()

    assert (False, "stop()") == (before, stop.reason)
