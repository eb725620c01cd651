"""F39: a worker_state whose set-up or clean-up fails, hangs or dies; workers that do so having one."""

from __future__ import annotations

import asyncio
import functools
import gc
import os
import signal
import threading
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from functions import CHAIN_MODES, START_METHODS, WAYS, manager_of, same
from scripts import Script
from states import EACH_MODE, FORK, Noted, at_rest, note, noted, the_state, use
from task_manager import TaskChain, TaskManager, WorkerDiedError, WorkerStartError
from task_manager._runners import Orders
from task_manager._runners.thread import ThreadRunner
from task_manager._task import Batch


def refusing() -> str:
    raise ValueError("no such host")


def ending() -> str:
    raise SystemExit(3)


def yields_nothing() -> Iterator[int]:
    yield from ()


def around_a_generator() -> Any:
    return yields_nothing()


async def async_state() -> AsyncIterator[int]:
    yield 1


def around_an_async_generator() -> Any:
    return async_state()


class Unpicklable(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(threading.Lock())


def refusing_unpicklably() -> None:
    raise Unpicklable(1, 2)


BAD = [
    (refusing, "worker_state=refusing raised ValueError: no such host"),
    (ending, "worker_state=ending raised SystemExit: 3"),
    (yields_nothing, "worker_state=yields_nothing yielded nothing"),
    (around_a_generator, "worker_state=around_a_generator returned a generator"),
    (around_an_async_generator, "worker_state=around_an_async_generator returned a generator"),
    (refusing_unpicklably, "worker_state=refusing_unpicklably raised Unpicklable"),
]


@pytest.mark.parametrize("way", EACH_MODE)
@pytest.mark.parametrize(("make", "said"), BAD)
def test_f39_a_set_up_that_fails(way: str, make: Callable[[], Any], said: str) -> None:
    """The run ends with a WorkerStartError, no task is charged, and all may be run later."""
    with manager_of(the_state, way, worker_state=make) as manager:
        with pytest.raises(WorkerStartError, match=said):
            manager.start(range(10))
        summary = manager.get_summary()

        assert (summary.failed, summary.succeeded, summary.interrupted) == (0, 0, 0)


@pytest.mark.parametrize("way", WAYS)
def test_f39_its_traceback(way: str) -> None:
    """The error of the set-up is the cause, with the line of it."""
    with manager_of(the_state, way, worker_state=refusing) as manager:
        with pytest.raises(WorkerStartError) as caught:
            manager.start([1])
    text = "".join(traceback.format_exception(caught.value))

    assert type(caught.value.__cause__) is ValueError
    assert 'raise ValueError("no such host")' in text


def dies() -> None:
    os._exit(7)


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("make", [dies, killed])
def test_f39_a_set_up_that_ends_its_process(make: Callable[[], Any]) -> None:
    """After three in a row the run ends; no task is charged with it."""
    with manager_of(the_state, FORK, worker_state=make) as manager:
        with pytest.raises(WorkerStartError, match="die while worker_state is called there"):
            manager.start(range(10))

        assert manager.get_error_dict() == {}


def die_once(state: str, task: Any) -> Any:
    if task == 3 and len(noted(state, "up")) < 2:
        os._exit(1)
    return task


@pytest.mark.parametrize("way", START_METHODS)
def test_f39_a_worker_that_dies(way: str, tmp_path: Path) -> None:
    """The one in its place makes a state of its own; the dead one has not cleaned up."""
    path = tmp_path / "notes"
    with manager_of(
        die_once, way, worker_limit=1, worker_state=Noted(path), retry_exceptions=()
    ) as manager:
        manager.start(range(6))
        errors = manager.get_error_dict()

        assert [type(error) for error in errors.values()] == [WorkerDiedError]
        assert len(noted(path, "up")) == 2
    assert len(noted(path, "down")) == 1


def slow_state() -> int:
    time.sleep(0.9)
    return 5


def test_f39_a_slow_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time in which a process has to come up is over when it runs; a set-up may take longer."""
    monkeypatch.setattr("task_manager._processes.child.TIME_TO_COME_UP", 0.5)
    with manager_of(the_state, FORK, worker_state=slow_state, task_timeout=0.1) as manager:
        manager.start([1, 2])

        assert {1: 5, 2: 5} == manager.get_result_dict()


def sleep_at_0(state: str, task: int) -> int:
    if task == 0:
        time.sleep(20)
    return task


def kept_open(path: str) -> Iterator[str]:
    try:
        yield path
    finally:
        note(path, "down")


@pytest.mark.skipif("fork" not in START_METHODS, reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("close", [True, False])
def test_f39_a_copy_that_is_done_with_the_manager(close: bool, tmp_path: Path) -> None:
    """A copy that closes or drops it does not close what its parent has open."""
    path = str(tmp_path / "notes")
    manager = manager_of(use, "serial", worker_state=functools.partial(kept_open, path))
    manager.start([1])
    pid = os.fork()
    if not pid:
        if close:
            manager.shutdown_pools()
        del manager
        gc.collect()
        os._exit(0)
    os.waitpid(pid, 0)
    then = noted(path, "down")
    manager.shutdown_pools()

    assert ([], 1) == (then, len(noted(path, "down")))


@pytest.mark.parametrize("way", START_METHODS)
def test_f39_a_worker_that_is_ended_for_its_time(way: str, tmp_path: Path) -> None:
    """It does not clean up; the one in its place has a state of its own, and cleans up."""
    path = tmp_path / "notes"
    with manager_of(
        sleep_at_0, way, worker_limit=1, worker_state=Noted(path), task_timeout=0.3, max_retries=0
    ) as manager:
        summary = manager.start(range(5))

        assert (summary.succeeded, summary.failed) == (4, 1)
    assert (len(noted(path, "up")), len(noted(path, "down"))) == (2, 1)


async def sleep_in_loop(state: str, task: int) -> int:
    await asyncio.sleep(20 * (task == 0))
    return task


def test_f39_a_call_of_a_loop_that_is_left_alone(tmp_path: Path) -> None:
    """The state is the loop's: it stays, and is cleaned up once."""
    path = tmp_path / "notes"
    manager = TaskManager(
        sleep_in_loop, "async", worker_state=Noted(path), task_timeout=0.2, max_retries=0, logger=None
    )
    summary = manager.start(range(5))

    assert (summary.succeeded, summary.failed) == (4, 1)
    assert (len(noted(path, "up")), len(noted(path, "down"))) == (1, 1)


def fork_and_wait() -> None:
    """The copy goes on as if nothing were."""
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)


class Forking(Noted):
    """Forks as it makes the state, and lets the copy go on."""

    def __call__(self) -> Iterator[str]:
        fork_and_wait()
        yield from super().__call__()


def fork_and_return(state: str, task: Any) -> Any:
    fork_and_wait()
    return task


@pytest.mark.skipif("fork" not in START_METHODS, reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("way", EACH_MODE)
@pytest.mark.parametrize(("call", "kind"), [(use, Forking), (fork_and_return, Noted)])
def test_f39_a_copy_that_is_forked(way: str, call: Any, kind: Any, tmp_path: Path) -> None:
    """In a set-up or in a call: it makes no call, and cleans nothing up that is its parent's."""
    path = tmp_path / "notes"
    with manager_of(call, way, worker_limit=1, worker_state=kind(path)) as manager:
        summary = manager.start(range(3))

        assert summary.succeeded == 3
    downs = noted(path, "down")
    called = set(noted(path, "call"))

    assert len(downs) == 1
    assert called <= set(downs)


def sleep_first(state: str, task: Any) -> Any:
    if task == 0:
        time.sleep(0.8)
        note(state, "returned")
    return task


def test_f39_a_thread_that_is_left_alone(tmp_path: Path) -> None:
    """Its clean-up runs when the call returns that took too long, and not before."""
    path = tmp_path / "notes"
    with manager_of(
        sleep_first, "thread", worker_limit=1, worker_state=Noted(path), task_timeout=0.2, max_retries=0
    ) as manager:
        summary = manager.start(range(5))

        assert (summary.succeeded, summary.failed) == (4, 1)
        assert len(noted(path, "up")) == 2
    downs = at_rest(path, 2)
    order = [line.split()[0] for line in path.read_text().splitlines()]

    assert len(downs) == 2
    assert order.index("returned") < len(order) - 1
    assert order[-1] == "down"


def run_and_end(manager: TaskManager) -> None:
    manager.start(range(10))
    manager.shutdown_pools()


@pytest.mark.parametrize("way", EACH_MODE)
def test_f39_a_clean_up_that_raises(way: str, tmp_path: Path) -> None:
    """One warning, however many workers there are, and all results."""
    manager = manager_of(use, way, worker_state=Noted(tmp_path / "notes", wrong="gone"))
    with pytest.warns(RuntimeWarning, match="clean-up of worker_state=.* raised OSError: gone") as told:
        run_and_end(manager)

    assert manager.get_summary().succeeded == 10
    assert len([one for one in told if one.category is RuntimeWarning]) == 1


def yields_twice() -> Iterator[int]:
    yield 1
    yield 2


@pytest.mark.parametrize("way", EACH_MODE)
def test_f39_yields_twice(way: str) -> None:
    """One warning that says what the yield is for."""
    manager = manager_of(the_state, way, worker_state=yields_twice)
    with pytest.warns(RuntimeWarning, match="worker_state=yields_twice yielded twice") as told:
        run_and_end(manager)

    assert set(manager.get_result_dict().values()) == {1}
    assert len([one for one in told if one.category is RuntimeWarning]) == 1


SCRIPT = """
from faults.test_faults_state import hang_at_0
from functions import manager_of
from states import Noted

if __name__ == "__main__":
    manager = manager_of(hang_at_0, {way!r}, worker_state=Noted({path!r}))
    manager.start([0, 1])
"""


def hang_at_0(state: str, task: int) -> int:
    if task == 0:
        note(state, "hangs")
        time.sleep(60)
    return task


@pytest.mark.parametrize("way", ["serial", "thread", FORK, "spawn"])
def test_f39_ctrl_c(way: str, script: Callable[[str], Script], tmp_path: Path) -> None:
    """All workers clean up but those that are ended, or left alone, in the middle of a call."""
    path = tmp_path / "notes"
    running = script(SCRIPT.format(way=way, path=str(path)))
    deadline = time.monotonic() + 20
    count = 1 if way == "serial" else 2
    while time.monotonic() < deadline:
        if noted(path, "hangs") and len(noted(path, "up")) == count:
            break
        time.sleep(0.02)
    time.sleep(0.2)  # for the other worker to be through with its call
    running.process.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in running.process.communicate(timeout=20)[1]

    assert len(noted(path, "down")) == 1
    assert (noted(path, "down") == noted(path, "hangs")) == (way == "serial")


def hanging_state(path: str) -> None:
    """Until it is told to go on: a thread that hangs is not to outlive its test."""
    note(path, "up")
    while not noted(path, "go"):
        time.sleep(0.01)


@pytest.mark.parametrize("way", ["thread", FORK, "forkserver"])
def test_f39_a_set_up_that_hangs(way: str, tmp_path: Path) -> None:
    """A second stop() ends the run, and no task was begun. Time limits are no business of it.

    In serial mode it hangs the thread of the run, as a call does: Ctrl-C ends it.
    """
    path = str(tmp_path / "notes")
    manager = manager_of(
        the_state, way, worker_state=functools.partial(hanging_state, path), task_timeout=0.05
    )

    def stop() -> None:
        while not noted(path, "up"):
            time.sleep(0.01)
        time.sleep(0.1)
        manager.stop()
        manager.stop()

    stopping = threading.Thread(target=stop)
    stopping.start()
    summary = manager.start(range(4))
    stopping.join()
    note(path, "go")
    manager.shutdown_pools()

    assert (summary.succeeded, summary.failed, summary.interrupted) == (0, 0, 0)


async def hanging_async() -> None:
    await asyncio.sleep(60)


def test_f39_a_set_up_that_hangs_in_a_loop() -> None:
    """A second stop() cancels it."""
    manager = TaskManager(sleep_in_loop, "async", worker_state=hanging_async, logger=None)

    async def main() -> Any:
        running = asyncio.create_task(manager.start_async(range(4)))
        await asyncio.sleep(0.1)
        manager.stop()
        manager.stop()
        return await running

    summary = asyncio.run(main())

    assert (summary.succeeded, summary.failed, summary.interrupted) == (0, 0, 0)


@pytest.mark.parametrize("chain_mode", CHAIN_MODES)
@pytest.mark.parametrize("way", EACH_MODE)
def test_f39_a_stage_whose_set_up_fails(chain_mode: str, way: str) -> None:
    """The chain ends with the WorkerStartError, as a manager does."""
    first, second = manager_of(same, way), manager_of(the_state, way, worker_state=refusing)
    chain = TaskChain([first, second], chain_mode)
    said = "worker_state=refusing raised ValueError"
    with first, second, pytest.raises(WorkerStartError, match=said):
        chain.start_chain(range(10))


def test_f39_a_thread_that_has_no_state_is_seen_at_once() -> None:
    """Nobody waits until it is time to look at the threads."""
    runner = ThreadRunner(same, Orders(workers=1, state=refusing))
    runner.submit(Batch([0], [0], [0], False, [1]))
    began = time.monotonic()
    try:
        with pytest.raises(WorkerStartError):
            runner.collect(45.0)
    finally:
        runner.close()

    assert time.monotonic() - began < 20
