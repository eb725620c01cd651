"""The queues between stages: F21 (killed inside one), F30 (garbage, and what cannot be written), F32."""

from __future__ import annotations

import gc
import multiprocessing.queues
import os
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import psutil
import pytest

import functions as f
from task_manager import Summary, TaskChain, TaskManager, WorkerStartError
from task_manager._chain import link, vigil
from task_manager._chain.link import LinkQueue

pytestmark = pytest.mark.timeout(40)  # a hang is what is looked for


@pytest.fixture
def never_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """No rescue for those who all wait: the death of a stage is to be seen by itself."""
    monkeypatch.setattr(vigil, "QUIET", 10**9)


def run(*funcs: Any, count: int = 20, **options: Any) -> tuple[TaskChain, Summary]:
    chain = TaskChain([f.stage(func, **options) for func in funcs], "process")
    return chain, chain.start_chain(range(count))


def first_call(folder: Path, name: str) -> bool:
    return f.count_calls(folder, name) == 1


def large(n: int) -> tuple[int, int, bytes]:
    return n, os.getpid(), bytes(200_000)


def kill_the_one_before(folder: Path, n: int, pid: int, load: bytes) -> int:
    """As soon as that has filled the queue, or has nothing more to do but to fill it."""
    if n == 0 and first_call(folder, "kill"):
        until_it_waits(psutil.Process(pid))
        os.kill(pid, signal.SIGKILL)
        time.sleep(5)
    return n


def until_it_waits(process: psutil.Process) -> None:
    """It asks for no processor for half a second: on a busy machine what is due to run is no sleeper."""
    used, since = process.cpu_times(), time.monotonic()
    while time.monotonic() < since + 0.5:
        time.sleep(0.02)
        if process.status() != psutil.STATUS_SLEEPING or process.cpu_times() != used:
            used, since = process.cpu_times(), time.monotonic()


@pytest.mark.usefixtures("never_quiet")
@pytest.mark.parametrize("start_method", ["fork", "spawn"])
@pytest.mark.parametrize("count", [60, 8], ids=["while it puts", "while it waits for the feeder"])
def test_f21_a_stage_is_killed_whose_queue_is_full(count: int, start_method: str, calls: Path) -> None:
    """In the middle of an item, and with more that were not written: each arrives, none is charged."""
    chain, summary = run(
        large, partial(kill_the_one_before, calls), count=count, start_method=start_method
    )

    assert (count, 0, 0) == (summary.succeeded, summary.failed, summary.not_started)
    assert {n: n for n in range(count)} == chain.get_final_result_dict()


def others() -> list[psutil.Process]:
    """The processes of the other stages: forked, as this one, and not a servant of multiprocessing."""
    this = psutil.Process()
    return [
        stage
        for stage in psutil.Process(os.getppid()).children()
        if stage != this and stage.cmdline() == this.cmdline()
    ]


def signal_the_others(numbers: list[int], folder: Path, n: int) -> int:
    if n == 5 and first_call(folder, "signal"):
        for number in numbers:
            time.sleep(0.3)  # they have taken what there is, and wait
            for stage in others():
                stage.send_signal(number)
    return n


@pytest.mark.usefixtures("never_quiet")
@pytest.mark.parametrize(
    "numbers",
    [[signal.SIGKILL], [signal.SIGSTOP, signal.SIGCONT]],
    ids=["killed", "stopped for a while"],
)
def test_f21_a_stage_that_waits_at_its_queue(numbers: list[int], calls: Path) -> None:
    """It holds the lock of reading then, which nobody lets go of after its death."""
    chain, summary = run(partial(signal_the_others, numbers, calls), f.same, start_method="fork")

    assert (20, 0, 0) == (summary.succeeded, summary.failed, summary.not_started)
    assert {n: n for n in range(20)} == chain.get_final_result_dict()


def write_into_the_queue(at: int, garbage: bytes, folder: Path, n: int) -> int:
    if n == at and first_call(folder, "garbage"):
        made = [found for found in gc.get_objects() if type(found) is LinkQueue]
        (queue,) = [one for one in made if hasattr(one, "_sem")]  # others have been released
        time.sleep(0.2)  # the feeder thread has written all that came before
        os.write(queue._writer.fileno(), garbage)  # type: ignore[attr-defined]
    if n > at:
        time.sleep(0.02)  # or it would be in the middle of handle_error when the garbage is found
    return n


@pytest.mark.parametrize("at", [5, 19])
@pytest.mark.parametrize(
    "garbage",
    [b"\x7f\xff\xff\xff", b"\x00\x00\x00\x02ab", b"\x00\x10\x00\x00"],
    ids=["two gigabytes", "no pickle", "a length as ours have"],
)
def test_f30_garbage_in_a_queue(
    garbage: bytes, at: int, calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All arrive by another round, also where the reader waits for what never comes.

    Where it is found before the call that has written it is told of, that one is charged, and no other.
    """
    monkeypatch.setattr(vigil, "QUIET", 5)
    func = partial(write_into_the_queue, at, garbage, calls)
    chain, summary = run(func, f.same, start_method="fork")
    charged = set(chain.get_final_error_dict())

    assert charged <= {at}
    assert (20, 0) == (summary.succeeded + summary.failed, summary.not_started)
    assert {n: n for n in range(20) if n not in charged} == chain.get_final_result_dict()


class ConcludesSlowly(TaskManager):
    def handle_error(self) -> None:
        time.sleep(0.5)


def test_f30_garbage_that_is_found_in_a_handle_error(calls: Path) -> None:
    """It is not that hook that has ended the stage: nothing is raised, and all arrive."""
    func = partial(write_into_the_queue, 19, b"\x00\x00\x00\x02ab", calls)
    stages = [ConcludesSlowly(func, logger=None, start_method="fork"), f.stage(f.same)]
    chain = TaskChain(stages, "process")
    summary = chain.start_chain(range(20))

    assert set(chain.get_final_error_dict()) <= {19}
    assert (20, 0) == (summary.succeeded + summary.failed, summary.not_started)


def refuse(*_: Any) -> NoReturn:
    raise MemoryError("for an item")


def let_pickling_fail(folder: Path, n: int) -> int:
    if n == 5 and first_call(folder, "fail"):
        multiprocessing.queues._ForkingPickler = type("Refusing", (), {"dumps": refuse})  # type: ignore[attr-defined]
    return n


@pytest.mark.usefixtures("never_quiet")
def test_f30_an_item_that_the_feeder_thread_cannot_write(calls: Path) -> None:
    """It ends its stage, as it would be lost in silence; nobody is charged, and each task arrives."""
    chain, summary = run(partial(let_pickling_fail, calls), f.same, start_method="fork")

    assert (20, 0, 0) == (summary.succeeded, summary.failed, summary.not_started)
    assert {n: n for n in range(20)} == chain.get_final_result_dict()


def test_f32_a_stage_without_a_feeder_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """WorkerStartError says so, before any task is called."""

    def refuse(_: Any) -> NoReturn:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(link.Writer, "begin", refuse)
    with pytest.raises(WorkerStartError, match="stage 1: can't start new thread"):
        run(f.same, f.same, start_method="fork")


def test_f32_no_semaphores(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the system refuses for a queue is named as for a process."""

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LinkQueue, "__init__", refuse)
    with pytest.raises(WorkerStartError, match=r"no stage process can be started: .*No space left"):
        run(f.same, f.same, start_method="fork")
