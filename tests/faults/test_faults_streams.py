"""A stream that is left, dropped, forked, or interrupted, at any moment: F40."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import functions as f
from functions import manager_of
from scripts import Script
from task_manager import TaskManager
from task_manager.manager import runs_of

SOON = 10  # seconds; without its guard it takes a minute, or for ever
WAYS = ["serial", "thread", "async", "fork"]

OPEN = """
import asyncio, itertools, time
from task_manager import TaskLogger, TaskManager

def work(x):
    time.sleep(60 if x > 15 else 0.001)
    return x

async def work_async(x):
    await asyncio.sleep(60 if x > 15 else 0.001)
    return x

async def block_async(x):
    await asyncio.sleep(0.1 if x > 15 else 0.001)
    if x > 15:
        time.sleep(60)
    return x

def body():
    stream = manager.stream(itertools.count())
    for outcome in stream:
        if outcome.task == 15:
            break
    return stream

if __name__ == "__main__":
    log = TaskLogger("logs")
    manager = TaskManager(FUNCTION, MODE, worker_limit=4, logger=log, journal="stream.db")
    stream = body()
    time.sleep(0.2)
    print("end", flush=True)
"""


@pytest.mark.parametrize(
    ("function", "mode"),
    [("work", "thread"), ("work_async", "async"), ("block_async", "async"), ("work", "process")],
)
def test_f40_the_script_ends_with_an_open_stream(
    function: str, mode: str, tmp_path: Path, script: Callable[[str], Script]
) -> None:
    """At once, without a word; its calls are not waited for, and the log has its end."""
    text = OPEN.replace("FUNCTION", function).replace("MODE", repr(mode))
    running = script(text)
    out, err = running.process.communicate(timeout=SOON)

    assert ("end\n", "", 0) == (out, err, running.process.returncode)
    assert [] == running.left_after(SOON)
    assert "its reader left the stream" in next((tmp_path / "logs").glob("*.log")).read_text()


dropped = threading.Event()
long_enough = threading.Event()


def collect_garbage(n: int) -> int:
    if not n:
        time.sleep(0.05)  # until the next one has begun
    else:
        dropped.wait(SOON)
        gc.collect()
    return n


async def collect_garbage_awaiting(n: int) -> int:
    while n and not dropped.is_set():
        await asyncio.sleep(0.001)
    if not n:
        await asyncio.sleep(0.05)
        return n
    return collect_garbage(n)


@pytest.mark.parametrize("way", ["thread", "async"])
def test_f40_a_stream_that_is_garbage_in_one_of_its_own_calls(way: str) -> None:
    """A call that collects the garbage does not wait for itself, and nothing of the run is left."""
    gc.collect()
    gc.disable()
    dropped.clear()
    try:
        function = collect_garbage_awaiting if way == "async" else collect_garbage
        manager = TaskManager(function, way, worker_limit=2, logger=None)
        vars(manager)["mine"] = manager.stream(itertools.count())
        runs = weakref.ref(runs_of(manager))
        next(vars(manager)["mine"])
        del manager
        dropped.set()
        deadline = time.monotonic() + SOON
        while runs() is not None and time.monotonic() < deadline:
            time.sleep(0.01)

        assert runs() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("way", ["thread", "fork"])
def test_f40_a_manager_that_is_garbage_with_its_stream(way: str) -> None:
    """No worker of it is left, although Python may drop the manager first, in the middle of its run."""
    for _ in range(20 if way == "thread" else 5):  # which one is dropped first is by chance
        manager = manager_of(f.same, way)
        vars(manager)["mine"] = manager.stream(itertools.count())
        next(vars(manager)["mine"])
        runs = weakref.ref(runs_of(manager))
        del manager
        gc.collect()

        assert runs() is None


@pytest.mark.parametrize("way", WAYS)
def test_f40_a_copy_that_has_the_stream(way: str, tmp_path: Path) -> None:
    """It may close it, go on with it, or end: without a word, and nothing of the parent's ends."""
    pulled = tmp_path / "pulled"

    def tasks() -> Iterator[int]:
        for n in range(400):
            with pulled.open("a") as file:
                print(os.getpid(), file=file)
            yield n

    with manager_of(f.same, way, journal=tmp_path / "stream.db") as manager:
        stream = manager.stream(tasks())
        got = [next(stream).task]
        ends = []
        for deed in (stream.close, lambda: list(stream), lambda: None):
            child = os.fork()
            if not child:
                try:
                    deed()
                finally:
                    os._exit(7)
            ends.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        got += [outcome.task for outcome in stream]

        assert [7, 0, 7] == ends
        assert list(range(400)) == sorted(got)
        assert 400 == manager.get_summary().succeeded
        assert {str(os.getpid())} == set(pulled.read_text().split())


@pytest.mark.parametrize("way", WAYS)
def test_f40_a_ctrl_c_in_the_body_is_the_readers(way: str) -> None:
    """Who catches it there goes on; nothing is lost."""
    with manager_of(f.same, way) as manager:
        got = []
        caught = 0
        for outcome in manager.stream(range(300)):
            try:
                if outcome.task % 50 == 0:
                    signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                caught += 1
            got.append(outcome.task)

        assert (list(range(300)), 6) == (sorted(got), caught)


def interrupt_at_seven(n: int) -> Iterator[int]:
    for number in range(n):
        if number == 7:
            signal.raise_signal(signal.SIGINT)
        yield number


@pytest.mark.parametrize("way", WAYS)
def test_f40_a_ctrl_c_while_the_reader_waits(way: str) -> None:
    """It is raised to the reader, the run is broken off, and what has no outcome may run again."""
    with manager_of(f.same, way) as manager:
        got: list[int] = []
        with pytest.raises(KeyboardInterrupt):
            got.extend(one.task for one in manager.stream(interrupt_at_seven(100)))
        summary = manager.get_summary()
        got += [outcome.task for outcome in manager.stream(range(100))]

        assert "KeyboardInterrupt" == summary.ended_early
        assert list(range(100)) == sorted(got)


def wait_long(begun: Path, seconds: float) -> float:
    f.count_calls(begun, "begun")
    long_enough.wait(seconds)
    return seconds


async def nap_awaiting(begun: Path, seconds: float) -> float:
    f.count_calls(begun, "begun")
    await asyncio.sleep(seconds)
    return seconds


@pytest.mark.parametrize("way", ["thread", "async", "fork"])
def test_f40_a_ctrl_c_while_calls_are_waited_for(way: str, calls: Path) -> None:
    """Who leaves waits for what runs; a Ctrl-C ends that, and a long call with it, at once."""
    long_enough.clear()
    with manager_of(
        partial(wait_long, calls), "thread" if way == "async" else way, worker_limit=3
    ) as manager:
        if way == "async":
            manager = TaskManager(partial(nap_awaiting, calls), way, logger=None)
        stream = manager.stream([60.0, 61.0, 0.0], keep_results=True)
        next(stream)
        deadline = time.monotonic() + 30
        while (calls / "begun").stat().st_size < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        interrupt = threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGINT])
        interrupt.start()
        try:
            with pytest.raises(KeyboardInterrupt):
                stream.close()
        finally:
            interrupt.join()
            long_enough.set()
        summary = manager.get_summary()

        assert "its reader left the stream" == summary.ended_early
        assert 1 == summary.succeeded


def test_f40_the_outcome_of_a_call_that_nobody_asks_for_is_not_late() -> None:
    """While the reader works, calls that end in time have ended in time."""
    for way in ("thread", "fork", "async"):
        with manager_of(f.nap, way, task_timeout=0.3) as manager:
            stream = manager.stream(itertools.repeat(0.05, 12), keep_results=False)
            manager_outcomes = []
            for outcome in stream:
                manager_outcomes.append(outcome.ok)
                if len(manager_outcomes) in (1, 3):
                    time.sleep(0.6)

        assert all(manager_outcomes), way


def die_at(n: int, last: int) -> int:
    return f.exit_at(n, last)


class Alarm(Exception):
    """Out of a signal handler of the script."""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # in a weakref's callback
@pytest.mark.parametrize("way", WAYS)
def test_f40_a_signal_at_any_moment(way: str) -> None:
    """Its handler raises: nothing runs twice, and what the reader was not told runs again."""
    armed: list[int] = []

    def raise_alarm(*_: object) -> None:
        if armed:
            armed.clear()
            raise Alarm

    before = signal.signal(signal.SIGALRM, raise_alarm)
    for number in range(1, 31):
        got: list[int] = []
        with manager_of(f.same, way) as manager:
            try:
                try:
                    with closing(manager.stream(range(300), ordered=number % 2 == 0)) as stream:
                        armed.append(number)
                        signal.setitimer(signal.ITIMER_REAL, 0.0003 * number)
                        for outcome in stream:
                            got.append(outcome.task)
                finally:
                    armed.clear()
            except Alarm:
                pass
            rest = [outcome.task for outcome in manager.stream(range(300))]

        assert set() == {*got} & {*rest}
        # One may be told, and the handler raise before the body of the loop has written it down.
        assert len({*range(300)} - {*got, *rest}) <= 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("way", ["thread", "async", "fork"])
def test_f40_a_limit_holds_while_it_is_read(way: str, tmp_path: Path) -> None:
    """A rate, also of calls in a loop of their own; and the hook for errors, in the reader's thread."""
    told: list[int] = []

    class Told(TaskManager):
        def process_error(self, task: int, error: BaseException) -> None:
            assert threading.current_thread() is threading.main_thread()
            told.append(task)

    with manager_of(clock_or_fail, way, Told, rate_limit=(5, 0.25), worker_limit=4) as manager:
        outcomes = list(manager.stream(range(14)))
    began = sorted(one.result for one in outcomes if one.result is not None)

    assert [7] == told == [one.task for one in outcomes if not one.ok]
    assert all(later - first >= 0.25 for first, later in zip(began, began[5:], strict=False))


def clock_or_fail(n: int) -> float:
    return (f.fail_on_seven(n) and time.perf_counter()) or time.perf_counter()


def test_f40_a_worker_dies_while_nobody_asks() -> None:
    """Its task alone is an error; the others have their outcomes."""
    with manager_of(die_at, "fork") as manager:
        outcomes = []
        for outcome in manager.stream([(n, 5) for n in range(20)]):
            outcomes.append(outcome)
            time.sleep(0.02)

        assert [5] == [one.task[0] for one in outcomes if not one.ok]
        assert 20 == len(outcomes)


@pytest.mark.parametrize("way", WAYS)
def test_f40_stop_twice_in_the_body(way: str) -> None:
    """The stream ends, without an error, with what came until then."""
    with manager_of(f.same, way) as manager:
        got = []
        for outcome in manager.stream(itertools.count()):
            got.append(outcome.task)
            if len(got) == 20:
                assert manager.stop()
                assert manager.stop()

        assert str(manager.get_summary().ended_early).startswith("stop()")
        assert 20 <= len(got) == manager.get_summary().succeeded


@pytest.mark.parametrize("way", WAYS)
def test_f40_a_cancelled_reader(way: str) -> None:
    """In a loop, of a task that is cancelled nothing is left, and the manager may start again."""

    async def read(manager: TaskManager) -> None:
        async for _ in manager.stream_async(itertools.count()):
            await asyncio.sleep(0)

    async def main(manager: TaskManager) -> Any:
        reader = asyncio.create_task(read(manager))
        await asyncio.sleep(0.1)
        reader.cancel()
        await asyncio.wait([reader])
        assert reader.cancelled()
        for _ in range(500):  # the loop itself closes what was dropped
            if not manager.stop():
                break
            await asyncio.sleep(0.01)
        return await manager.start_async([-1])

    with manager_of(f.same, way) as manager:
        assert 1 == asyncio.run(main(manager)).succeeded


@pytest.mark.parametrize("way", ["thread", "async", "fork"])
def test_f40_stop_twice_while_calls_are_waited_for(way: str, calls: Path) -> None:
    """It ends them, and who has left the stream hears of no error."""
    long_enough.clear()
    with manager_of(
        partial(wait_long, calls), "thread" if way == "async" else way, worker_limit=3
    ) as manager:
        if way == "async":
            manager = TaskManager(partial(nap_awaiting, calls), way, logger=None)
        stream = manager.stream([60.0, 61.0, 0.0], keep_results=True)
        next(stream)
        deadline = time.monotonic() + 30
        while (calls / "begun").stat().st_size < 3 and time.monotonic() < deadline:
            time.sleep(0.01)

        def stop_twice() -> None:
            manager.stop()
            manager.stop()

        stopping = threading.Timer(0.5, stop_twice)
        stopping.start()
        try:
            stream.close()
        finally:
            stopping.join()
            long_enough.set()

        assert time.monotonic() < deadline
        assert (1, 0) == (manager.get_summary().succeeded, manager.get_summary().failed)


def test_f40_a_loop_that_ends_with_an_open_stream() -> None:
    """It cancels the calls as well as the close: no task has failed of that."""

    async def turn_by_turn(n: int) -> int:
        for _ in range(100 * n):
            await asyncio.sleep(0)
        return n

    async def main() -> None:
        outcomes = manager.stream_async(range(5), keep_results=True)
        assert 0 == (await anext(outcomes)).result
        closing_it = asyncio.ensure_future(outcomes.aclose())
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()  # as the end of asyncio.run does
        await asyncio.wait([closing_it])

    with TaskManager(turn_by_turn, "async", worker_limit=5, max_retries=0, logger=None) as manager:
        asyncio.run(main())

        assert {} == manager.get_error_dict()
        assert 4 == manager.get_summary().not_started


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_f40_a_call_that_exits_while_the_reader_awaits(kind: type[BaseException]) -> None:
    """What a coroutine raises is its task's error then, too, and no end that a handler wanted."""

    async def leave_at_4(n: int) -> int:
        await asyncio.sleep(0.001 * n)
        if n == 4:
            raise kind("out of the function")
        return n

    async def main() -> list[int]:
        failed = []
        async for outcome in manager.stream_async(range(8)):
            if not outcome.ok:
                failed.append(outcome.task)
            await asyncio.sleep(0.02)
        return failed

    with TaskManager(leave_at_4, "async", worker_limit=8, logger=None) as manager:
        assert [4] == asyncio.run(main())


def test_f40_a_handler_that_exits_in_a_call_while_the_reader_awaits() -> None:
    """It ends the stream and is no task's error, whatever kind of handler the script has set."""

    def leave(number: int, frame: Any) -> None:
        raise SystemExit("of the handler")

    class Leaving:
        __call__ = staticmethod(leave)

    async def be_told_at_1(n: int) -> int:
        await asyncio.sleep(0.01 * n)
        if n == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return n

    async def main() -> None:
        async for _ in manager.stream_async(range(2)):
            await asyncio.sleep(0.2)

    for handler in (leave, partial(leave), Leaving()):
        before = signal.signal(signal.SIGTERM, handler)
        try:
            with TaskManager(be_told_at_1, "async", logger=None) as manager:
                with pytest.raises(SystemExit, match="of the handler"):
                    asyncio.run(main())

                assert (1, 0) == (manager.get_summary().succeeded, manager.get_summary().failed)
        finally:
            signal.signal(signal.SIGTERM, before)
