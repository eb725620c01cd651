"""worker_state: made once in each worker, given to its calls, cleaned up as the worker ends in peace."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from functions import CHAIN_MODES, START_METHODS, WAYS, manager_of, same
from scripts import Script
from task_manager import TaskChain, TaskManager, WorkerDiedError, WorkerStartError

SYNC = [way for way in WAYS if way != "async"]
PROCESSES = START_METHODS
LETTERS = ["fork" if "fork" in START_METHODS else "spawn"]


def note(path: str, what: str) -> None:
    """A line, whole, whoever writes beside."""
    with open(path, "a") as file:
        file.write(f"{what} {os.getpid()}:{threading.get_ident()}\n")


def noted(path: Any, what: str) -> list[str]:
    """Which workers have noted this."""
    if not Path(path).exists():
        return []
    lines = [line.split() for line in Path(path).read_text().splitlines()]
    return [worker for said, worker in lines if said == what]


class Noted:
    """A worker_state that notes its set-ups and clean-ups in a file, as a generator."""

    def __init__(self, path: Any, slow: float = 0.0, wrong: str = "") -> None:
        self.path, self.slow, self.wrong = str(path), slow, wrong

    def __call__(self) -> Iterator[str]:
        note(self.path, "up")
        yield self.path
        if self.wrong:
            raise OSError(self.wrong)
        time.sleep(self.slow)
        note(self.path, "down")


def plain_state(path: str) -> str:
    note(path, "up")
    return path


def use(state: str, task: Any) -> Any:
    """A call that knows its worker's state."""
    note(state, "call")
    time.sleep(0.01)
    return task


def use_two(state: str, x: int, y: int) -> tuple[str, int]:
    return state, x + y


def the_state(state: Any, task: Any) -> Any:
    return state


def at_rest(path: Any, count: int) -> list[str]:
    """The clean-ups, when so many have been noted or some seconds are over."""
    deadline = time.monotonic() + 5
    while len(noted(path, "down")) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    return noted(path, "down")


@pytest.mark.parametrize("way", WAYS)
def test_once_a_worker(way: str, tmp_path: Path) -> None:
    """Each worker that made a call made its state first, once, also over two runs; so for clean-ups."""
    path = tmp_path / "notes"
    with manager_of(use, way, worker_state=Noted(path)) as manager:
        manager.start(range(20))
        manager.start(range(20, 40))
        ups = noted(path, "up")
        runs = 2 if way == "async" else 1  # a loop each
        callers = set(noted(path, "call"))

        assert len(ups) == len(set(ups)) * runs
        assert callers <= set(ups)
        assert len(ups) <= 2
    assert sorted(noted(path, "down")) == sorted(ups)


@pytest.mark.parametrize("way", WAYS)
def test_the_first_argument(way: str) -> None:
    """The state stands before the unpacked tuple, and before the arguments that get_args gives."""

    class Shifted(TaskManager):
        def get_args(self, task: Any) -> Any:
            return (task, 100)

    plain = manager_of(use_two, way, worker_state=functools.partial(str, "s"))
    shifted = manager_of(use_two, way, cls=Shifted, worker_state=functools.partial(str, "s"))
    with plain, shifted:
        plain.start([(1, 2)])
        shifted.start([1])

        assert dict(plain.get_result_dict()) == {(1, 2): ("s", 3)}
        assert dict(shifted.get_result_dict()) == {1: ("s", 101)}


@pytest.mark.parametrize("way", WAYS)
def test_a_plain_function(way: str, tmp_path: Path) -> None:
    """A function that returns makes a state, too, and there is nothing to clean up."""
    path = tmp_path / "notes"
    with manager_of(use, way, worker_state=functools.partial(plain_state, str(path))) as manager:
        summary = manager.start(range(5))

        assert summary.succeeded == 5
        assert 1 <= len(noted(path, "up")) <= 2


@pytest.mark.parametrize("way", WAYS)
def test_nothing_to_do(way: str, tmp_path: Path) -> None:
    """Without a task there is no worker, and no state."""
    path = tmp_path / "notes"
    with manager_of(use, way, worker_state=Noted(path)) as manager:
        manager.start([])

        assert noted(path, "up") == []


def refusing() -> str:
    raise ValueError("no such host")


def ending() -> str:
    raise SystemExit(3)


def yields_nothing() -> Iterator[int]:
    yield from ()


class Unpicklable(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(threading.Lock())


def refusing_unpicklably() -> None:
    raise Unpicklable(1, 2)


BAD = [
    (refusing, "worker_state=refusing raised ValueError: no such host"),
    (ending, "worker_state=ending raised SystemExit: 3"),
    (yields_nothing, "worker_state=yields_nothing yielded nothing"),
    (refusing_unpicklably, "worker_state=refusing_unpicklably raised Unpicklable"),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("make", "said"), BAD)
def test_f38_a_set_up_that_fails(way: str, make: Callable[[], Any], said: str) -> None:
    """The run ends with a WorkerStartError, no task is charged, and all may be run later."""
    with manager_of(the_state, way, worker_state=make) as manager:
        with pytest.raises(WorkerStartError, match=said):
            manager.start(range(10))
        summary = manager.get_summary()

        assert (summary.failed, summary.succeeded, summary.interrupted) == (0, 0, 0)


@pytest.mark.parametrize("way", WAYS)
def test_f38_its_traceback(way: str) -> None:
    """The error of the set-up is the cause, with the line of it."""
    import traceback

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
def test_f38_a_set_up_that_ends_its_process(make: Callable[[], Any]) -> None:
    """After three in a row the run ends; no task is charged with it."""
    with manager_of(the_state, LETTERS[0], worker_state=make) as manager:
        with pytest.raises(WorkerStartError, match="die while worker_state is called there"):
            manager.start(range(10))

        assert manager.get_error_dict() == {}


def slow_state() -> int:
    time.sleep(0.4)
    return 5


@pytest.mark.parametrize("way", [way for way in WAYS if way != "serial"])
def test_outside_the_time_limit(way: str) -> None:
    """The time that a set-up takes is no time of a call."""
    with manager_of(the_state, way, worker_state=slow_state, task_timeout=0.2) as manager:
        summary = manager.start(range(4))

        assert summary.succeeded == 4


def die_once(state: str, task: Any) -> Any:
    if task == 3 and len(noted(state, "up")) < 2:
        os._exit(1)
    return task


@pytest.mark.parametrize("way", PROCESSES)
def test_f38_a_worker_that_dies(way: str, tmp_path: Path) -> None:
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


def sleep_first(state: str, task: Any) -> Any:
    if task == 0:
        time.sleep(0.8)
        note(state, "returned")
    return task


def test_f38_a_thread_that_is_left_alone(tmp_path: Path) -> None:
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


@pytest.mark.parametrize("way", WAYS)
def test_f38_a_clean_up_that_raises(way: str, tmp_path: Path) -> None:
    """One warning, however many workers there are, and all results."""
    manager = manager_of(use, way, worker_state=Noted(tmp_path / "notes", wrong="gone"))
    with pytest.warns(RuntimeWarning, match="clean-up of worker_state=.* raised OSError: gone") as told:
        run_and_end(manager)

    assert manager.get_summary().succeeded == 10
    assert len(told) == 1


def yields_twice() -> Iterator[int]:
    yield 1
    yield 2


@pytest.mark.parametrize("way", WAYS)
def test_f38_yields_twice(way: str) -> None:
    """One warning that says what the yield is for."""
    manager = manager_of(the_state, way, worker_state=yields_twice)
    with pytest.warns(RuntimeWarning, match="worker_state=yields_twice yielded twice") as told:
        run_and_end(manager)

    assert set(manager.get_result_dict().values()) == {1}
    assert len(told) == 1


@pytest.mark.parametrize("way", WAYS)
def test_a_slow_clean_up_is_waited_for(way: str, tmp_path: Path) -> None:
    """Ending the pools waits for clean-ups, though an idle worker without one would be given less."""
    path = tmp_path / "notes"
    manager = manager_of(use, way, worker_state=Noted(path, slow=1.2))
    manager.start(range(4))
    manager.shutdown_pools()

    assert sorted(noted(path, "down")) == sorted(noted(path, "up"))


async def async_state() -> AsyncIterator[list[str]]:
    said = ["up"]
    yield said
    said.append("down")


async def coroutine_state() -> str:
    return "made"


async def use_async(state: Any, task: Any) -> Any:
    return state


def test_async_ones() -> None:
    """In async mode it may be an async generator function, or a coroutine function."""
    manager = TaskManager(use_async, "async", worker_state=async_state, logger=None)
    manager.start([1, 2])
    other = TaskManager(use_async, "async", worker_state=coroutine_state, logger=None)
    other.start([1])

    assert manager.get_result_dict()[1] == ["up", "down"]
    assert manager.get_result_dict()[1] is manager.get_result_dict()[2]
    assert other.get_result_dict()[1] == "made"


SCRIPT = """
from functions import manager_of
from runners.test_worker_state import Noted, hang_at_0, use

if __name__ == "__main__":
    manager = manager_of({call}, {way!r}, worker_state=Noted({path!r}))
    {then}
"""


@pytest.mark.parametrize("way", SYNC)
def test_at_the_interpreters_exit(way: str, script: Callable[[str], Script], tmp_path: Path) -> None:
    """A script that ends without closing its manager has the clean-ups all the same."""
    path = tmp_path / "notes"
    done = script(
        SCRIPT.format(call="use", way=way, path=str(path), then="manager.start(range(8))")
    ).process

    assert (done.wait(20), done.communicate()[1]) == (0, "")
    assert len(noted(path, "up")) >= 1
    assert sorted(noted(path, "down")) == sorted(noted(path, "up"))


def hang_at_0(state: str, task: int) -> int:
    if task == 0:
        note(state, "hangs")
        time.sleep(60)
    return task


@pytest.mark.parametrize("way", SYNC)
def test_f38_ctrl_c(way: str, script: Callable[[str], Script], tmp_path: Path) -> None:
    """All workers clean up but those that are ended, or left alone, in the middle of a call."""
    path = tmp_path / "notes"
    running = script(
        SCRIPT.format(call="hang_at_0", way=way, path=str(path), then="manager.start([0, 1])")
    )
    deadline = time.monotonic() + 20
    count = 1 if way == "serial" else 2
    while time.monotonic() < deadline:
        if noted(path, "hangs") and len(noted(path, "up")) == count:
            break
        time.sleep(0.02)
    time.sleep(0.5)
    running.process.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in running.process.communicate(timeout=20)[1]

    assert len(noted(path, "down")) == 1
    assert (noted(path, "down") == noted(path, "hangs")) == (way == "serial")


def hanging_state(path: str) -> None:
    """Until it is told to go on: a thread that hangs is not to outlive its test."""
    note(path, "up")
    while not noted(path, "go"):
        time.sleep(0.01)


@pytest.mark.parametrize("way", ["thread", *START_METHODS])
def test_f38_a_set_up_that_hangs(way: str, tmp_path: Path) -> None:
    """A second stop() ends the run, and no task was begun. Time limits are no business of it.

    In serial mode it hangs the thread of the run, as a call does: Ctrl-C ends it.
    """
    path = str(tmp_path / "notes")
    manager = manager_of(
        the_state, way, worker_state=functools.partial(hanging_state, path), task_timeout=0.5
    )

    def stop() -> None:
        while not noted(path, "up"):
            time.sleep(0.01)
        time.sleep(0.3)
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


def test_f38_a_set_up_that_hangs_in_a_loop() -> None:
    """A second stop() cancels it."""
    manager = TaskManager(use_async, "async", worker_state=hanging_async, logger=None)

    async def main() -> Any:
        running = asyncio.create_task(manager.start_async(range(4)))
        await asyncio.sleep(0.1)
        manager.stop()
        manager.stop()
        return await running

    summary = asyncio.run(main())

    assert (summary.succeeded, summary.failed, summary.interrupted) == (0, 0, 0)


@pytest.mark.parametrize("chain_mode", CHAIN_MODES)
@pytest.mark.parametrize("way", ["serial", "thread", "async", LETTERS[0]])
def test_stages_of_a_chain(chain_mode: str, way: str, tmp_path: Path) -> None:
    """Each stage has its own, in its own process, and cleans up there."""
    paths = [tmp_path / "first", tmp_path / "second"]
    first = manager_of(use, way, worker_state=Noted(paths[0]))
    second = manager_of(use, way, worker_state=Noted(paths[1]))
    with first, second:
        chain = TaskChain([first, second], chain_mode)
        chain.start_chain(range(10))

        assert list(chain.get_result_dict().values()) == list(range(10))
    for path in paths:
        assert set(noted(path, "call")) <= set(noted(path, "up"))
        assert sorted(noted(path, "down")) == sorted(noted(path, "up"))
    if chain_mode == "process":
        pids = [{worker.split(":")[0] for worker in noted(path, "up")} for path in paths]
        assert str(os.getpid()) not in pids[0] | pids[1]
        assert not pids[0] & pids[1]


@pytest.mark.parametrize("chain_mode", CHAIN_MODES)
@pytest.mark.parametrize("way", ["serial", "thread", "async", LETTERS[0]])
def test_f38_a_stage_whose_set_up_fails(chain_mode: str, way: str) -> None:
    """The chain ends with the WorkerStartError, as a manager does."""
    first, second = manager_of(same, way), manager_of(the_state, way, worker_state=refusing)
    chain = TaskChain([first, second], chain_mode)
    said = "worker_state=refusing raised ValueError"
    with first, second, pytest.raises(WorkerStartError, match=said):
        chain.start_chain(range(10))
