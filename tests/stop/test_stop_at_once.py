"""The second stop(), stop() in a signal handler, and a Ctrl-C during a stop."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import functions as f
from scripts import Script, script_of
from stopping import STARTS, Held, Managed, accounts, beside, held_in, manager_of, start
from task_manager import TaskManager

AT_ONCE = "stop(), called twice"


@pytest.fixture
def on_term() -> Iterator[Callable[[Callable[[], Any]], None]]:
    """Sets what SIGTERM does."""
    before = signal.getsignal(signal.SIGTERM)

    def set_to(function: Callable[[], Any]) -> None:
        def handler(number: int, frame: FrameType | None) -> None:
            function()

        signal.signal(signal.SIGTERM, handler)

    yield set_to
    signal.signal(signal.SIGTERM, before)


def term() -> None:
    signal.raise_signal(signal.SIGTERM)  # in this thread; the handler is run in the main one


def kept(manager: Managed, first: int) -> bool:
    return set(range(first)) == set(manager.get_result_dict())


@pytest.mark.parametrize("how", STARTS)
@pytest.mark.parametrize("way", ["thread", "fork", "spawn", "async"])
def test_f37_the_second_call_ends_what_runs(way: str, how: str, tmp_path: Path) -> None:
    """As a Ctrl-C does, and `start` answers: what is done is kept, the rest may have begun."""
    held = held_in(way, tmp_path, quick=10)
    with manager_of(held, way) as manager:

        def stop() -> tuple[bool, bool]:
            held.wait_for(2)
            return manager.stop(), manager.stop()

        with beside(stop) as said:
            summary = start(manager, how, range(100))
        held.go()

        assert [(True, True)] == said
        assert (10, 0, AT_ONCE) == (summary.succeeded, summary.failed, summary.ended_early)
        assert 2 <= summary.interrupted <= summary.not_started
        assert kept(manager, 10)
        assert 90 == start(manager, how, range(100)).succeeded


@pytest.mark.parametrize("how", STARTS)
def test_in_serial_mode_another_thread_waits_for_the_call(how: str, tmp_path: Path) -> None:
    """Nothing can interrupt it from there; nothing comes after it."""
    held = Held(tmp_path, quick=10)
    manager = manager_of(held, "serial", worker_limit=1)

    def stop() -> None:
        held.wait_for(1)
        manager.stop()
        manager.stop()
        held.go()

    with beside(stop):
        summary = start(manager, how, range(100))

    assert 11 == summary.succeeded
    assert 0 == summary.interrupted
    assert summary.ended_early in ("stop()", AT_ONCE)  # the run may be over before it hears of it


@pytest.mark.parametrize("how", STARTS)
@pytest.mark.parametrize("way", f.MODES)
def test_f37_a_signal_handler_stops(
    way: str, how: str, tmp_path: Path, on_term: Callable[..., None]
) -> None:
    """The first SIGTERM lets what runs come to its end, the second one interrupts it."""
    held = held_in(way, tmp_path, quick=10)
    with manager_of(held, way) as manager:
        said: list[bool] = []
        on_term(lambda: said.append(manager.stop()))

        def press() -> None:
            held.wait_for(1 if way == "serial" else 2)
            os.kill(os.getpid(), signal.SIGTERM)
            until_said(said, 1)
            os.kill(os.getpid(), signal.SIGTERM)

        with beside(press):
            summary = start(manager, how, range(100))
        held.go()

        assert [True, True] == said
        assert (10, AT_ONCE) == (summary.succeeded, summary.ended_early)
        assert (1 if way == "serial" else 2) <= summary.interrupted <= summary.not_started
        assert kept(manager, 10)
        assert [False] == [manager.stop()]
        assert 90 == start(manager, how, range(100)).succeeded


def until_said(said: list[bool], count: int) -> None:
    while len(said) < count:
        time.sleep(0.002)


@pytest.mark.parametrize("how", STARTS)
@pytest.mark.parametrize("way", f.MODES)
def test_one_signal_is_a_clean_stop(
    way: str, how: str, tmp_path: Path, on_term: Callable[..., None]
) -> None:
    """The call that it has interrupted goes on to its end."""
    held = held_in(way, tmp_path, quick=10)
    with manager_of(held, way) as manager:
        said: list[bool] = []
        on_term(lambda: said.append(manager.stop()))

        def press() -> None:
            held.wait_for(1 if way == "serial" else 2)
            os.kill(os.getpid(), signal.SIGTERM)
            until_said(said, 1)
            held.go()

        with beside(press):
            summary = start(manager, how, range(100))

        assert [True] == said
        assert ("stop()", 0) == (summary.ended_early, summary.interrupted)
        assert len(held.begun) == summary.succeeded


@pytest.mark.parametrize("where", ["input", "process_result"])
def test_the_second_one_in_a_handler_leaves_what_blocks(
    where: str, on_term: Callable[..., None]
) -> None:
    """A generator or a hook that hangs cannot be left by the first one."""

    def hang() -> None:
        term()
        term()
        time.sleep(60)

    def tasks() -> Iterator[int]:
        yield from range(10)
        if where == "input":
            hang()

    class Hangs(TaskManager[Any, Any]):
        def process_result(self, task: int, result: Any) -> Any:
            if where == "process_result" and task == 5:
                hang()
            return result

    manager = Hangs(f.same, logger=None)
    on_term(manager.stop)
    began = time.monotonic()
    summary = manager.start(tasks())

    assert AT_ONCE == summary.ended_early
    assert accounts(summary)
    assert time.monotonic() - began < 50  # it was interrupted


@pytest.mark.parametrize("how", STARTS)
@pytest.mark.parametrize("way", ["thread", "fork", "async"])
def test_a_ctrl_c_during_a_stop_is_raised(way: str, how: str, tmp_path: Path) -> None:
    """It is no stop, but a Ctrl-C, whatever was asked for before."""
    held = held_in(way, tmp_path, quick=10)
    with manager_of(held, way) as manager:

        def press() -> None:
            held.wait_for(2)
            manager.stop()
            time.sleep(0.05)
            os.kill(os.getpid(), signal.SIGINT)

        with beside(press), pytest.raises(KeyboardInterrupt):
            start(manager, how, range(100))
        held.go()

        # asyncio makes a cancellation of it on the way.
        assert str(manager.get_summary().ended_early).endswith(("KeyboardInterrupt", "CancelledError"))
        assert kept(manager, 10)


def test_a_signal_of_a_loop_stops(tmp_path: Path) -> None:
    """`loop.add_signal_handler` is the way of asyncio; it is called between two steps of the loop."""
    held = held_in("async", tmp_path, quick=10)
    manager = manager_of(held, "async")

    async def main() -> Any:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, manager.stop)
        threading.Thread(target=press).start()
        return await manager.start_async(range(100))

    def press() -> None:
        held.wait_for(2)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)
        held.go()

    summary = asyncio.run(main())

    assert (12, "stop()") == (summary.succeeded, summary.ended_early)


def test_two_runs_in_one_loop_are_stopped_each_by_itself(
    tmp_path: Path, on_term: Callable[..., None]
) -> None:
    """Also at once, by a handler: the other one goes on to its end."""
    held = held_in("async", tmp_path)
    stopped = manager_of(held, "async")
    other = TaskManager(pause, "async", worker_limit=2, logger=None)

    def stop_at_once() -> None:
        stopped.stop()
        stopped.stop()

    on_term(stop_at_once)

    def press() -> None:
        held.wait_for(2)
        term_from_here()

    async def main() -> Any:
        return await asyncio.gather(stopped.start_async(range(100)), other.start_async(range(50)))

    with beside(press):
        first, second = asyncio.run(main())

    assert (0, AT_ONCE) == (first.succeeded, first.ended_early)
    assert (50, None) == (second.succeeded, second.ended_early)


async def pause(task: int) -> int:
    await asyncio.sleep(0.02)
    return task


def term_from_here() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


STOPPED_SCRIPT = """
import signal
signal.signal(signal.SIGTERM, lambda *_: (chain if "chain" in globals() else manager).stop())
def tell():
    wait_for_the_long_ones()
    print("working", flush=True)
threading.Thread(target=tell, daemon=True).start()
summary = start(range(30))
print(summary.succeeded, summary.ended_early, summary.interrupted > 0)
"""


@pytest.mark.parametrize(
    "way", ["thread", "async", "fork", "chain serial", "chain thread", "chain process"]
)
def test_f37_a_script_that_is_told_to_end_twice(way: str, script: Callable[[str], Script]) -> None:
    """SIGTERM from outside: the second one ends calls of a minute, nothing is left, nothing is said."""
    running = script(script_of(way, STOPPED_SCRIPT))
    running.wait_for("working")
    running.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    running.process.send_signal(signal.SIGTERM)
    out, err = running.process.communicate(timeout=50)

    assert (f"20 {AT_ONCE} True", "", 0) == (out.strip(), err, running.process.returncode)
    assert [] == running.left_after(5.0)
