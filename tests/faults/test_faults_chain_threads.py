"""Faults of chains in thread mode: nothing hangs, nothing is left behind, what is done is kept."""

from __future__ import annotations

import gc
import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import functions as f
from functions import stage
from scripts import Script
from stopping import beside, wait_until
from task_manager import TaskChain, TaskManager, WorkerStartError
from task_manager._chain.inbox import MOST, Inbox
from task_manager._chain.link import ITEMS
from task_manager._chain.passage import Passage
from task_manager._log.handler import Handler
from task_manager._processes import launch
from task_manager._signals import HeldSignals
from task_manager._stop import Stop
from task_manager.events import Event, Passed


def chain_of(*funcs: Any, **options: Any) -> TaskChain[Any, Any]:
    return f.chain_of("thread", *funcs, **options)


class Held:
    """A function that says when it has come to its task, and ends when it may."""

    __name__ = "held"

    def __init__(self, at: int) -> None:
        self.at = at
        self.called: list[int] = []
        self.there, self.go, self.back = (threading.Event() for _ in range(3))

    def __call__(self, task: int) -> int:
        self.called.append(task)
        if task == self.at:
            self.there.set()
            self.go.wait(30)
            self.back.set()
        return task


class InHook(TaskManager[Any, Any]):
    """The same in a hook."""

    def __init__(self, held: Held, hook: str) -> None:
        super().__init__(f.same, logger=None)
        self.held, self.hook = held, hook

    def get_args(self, task: int) -> int:
        return self.held(task) if self.hook == "get_args" else task

    def process_result(self, task: int, result: int) -> int:
        return self.held(task) if self.hook == "process_result" else task

    def handle_error(self) -> None:
        if self.hook == "handle_error" and self.held.at > 0:
            self.held(self.held.at)


@pytest.mark.parametrize("where", ["call", "get_args", "process_result", "handle_error"])
def test_f09_a_ctrl_c_leaves_a_call_alone(where: str) -> None:
    """A thread cannot be ended: `start` is back soon, and what it comes to touches nothing."""
    held = Held(at=5)
    last = stage(held) if where == "call" else InHook(held, where)
    chain: TaskChain[Any, Any] = TaskChain([stage(f.plus_one), last, stage(f.same)], "thread")

    def press() -> None:
        held.there.wait(30)
        time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    with beside(press), pytest.raises(KeyboardInterrupt):
        chain.start(range(20))
    assert not held.back.is_set()
    before = chain.get_summary(), dict(chain.get_final_result_dict()), last.get_summary()
    called, held.at = len(held.called), -1
    again = chain.start(range(100, 120))
    held.go.set()
    wait_until(held.back.is_set)
    wait_until(lambda: not any("task_manager" in one.name for one in threading.enumerate()))

    assert ("KeyboardInterrupt", "KeyboardInterrupt") == (
        before[0].ended_early,
        before[2].ended_early,
    ) or (where == "handle_error")
    assert before[0].taken == before[0].succeeded + before[0].not_started
    assert 20 == again.succeeded
    assert all(task >= 100 for task in held.called[called:])
    assert chain.get_final_result_dict() == before[1] | {n: n + 1 for n in range(100, 120)}
    assert 5 not in last.get_result_dict() or where == "handle_error"


class Unkeyed:
    """A task that refuses to be hashed, and to be looked into."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("no")


def test_f09_a_call_that_ends_in_time_is_kept_and_counted() -> None:
    """Also where its task raises what looks like the Ctrl-C on its way out."""
    there = threading.Event()

    def number(task: Unkeyed) -> int:
        if task.number == 3:
            there.set()
            time.sleep(0.25)
        return task.number

    def press() -> None:
        there.wait(30)
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    chain = chain_of(number)
    tasks = [Unkeyed(n) for n in range(20)]
    with beside(press), pytest.raises(KeyboardInterrupt):
        chain.start(tasks)
    summary = chain.get_summary()

    assert [0, 1, 2, 3] == list(chain.get_final_result_dict().values())
    assert (4, 20) == (summary.succeeded, summary.taken)


def test_f39_a_state_is_not_cleaned_up_under_a_call_that_is_left_alone() -> None:
    """It is when the call has returned, in its thread."""
    held, used = Held(at=5), []

    def state() -> Iterator[list[int]]:
        yield used
        used.append(threading.get_ident())

    def uses(made: list[int], task: int) -> int:
        held(task)
        assert not made
        return threading.get_ident()

    chain = TaskChain([stage(uses, worker_state=state)], "thread")

    def press() -> None:
        held.there.wait(30)
        os.kill(os.getpid(), signal.SIGINT)

    with beside(press), pytest.raises(KeyboardInterrupt):
        chain.start(range(20))
    at_once = list(used)
    held.go.set()
    wait_until(lambda: used)

    assert [] == at_once
    assert set(used) == set(chain.get_final_result_dict().values())


def test_f26_a_handler_that_raises_is_no_error_of_a_task() -> None:
    """It is raised by `start`, out of the middle of calls in all stages."""

    class Told(Exception):
        pass

    def handler(number: int, frame: Any) -> None:
        raise Told

    before = signal.signal(signal.SIGALRM, handler)
    chain = chain_of(f.wait_a_little, f.wait_a_little, f.same)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(Told):
            chain.start(itertools.count())
    finally:
        signal.signal(signal.SIGALRM, before)

    assert {} == chain.get_final_error_dict()
    assert 3 == chain.start([1, 2, 3]).succeeded


class Breaks(TaskManager[Any, Any]):
    def process_result(self, task: int, result: int) -> int:
        if task == 20:
            raise SystemExit(task)
        return result


@pytest.mark.parametrize("place", [0, 1, 2])
def test_f23_a_stage_that_cannot_go_on_ends_the_others(place: int) -> None:
    """A hook that exits: `start` raises it, over input without end, with the others waiting for room."""
    stages: list[TaskManager[Any, Any]] = [stage(f.same) for _ in range(3)]
    stages[place] = Breaks(f.wait_a_little if place == 2 else f.same, logger=None)
    chain: TaskChain[Any, Any] = TaskChain(stages, "thread")
    with pytest.raises(SystemExit):
        chain.start(itertools.count())

    assert all("SystemExit" in str(one.get_summary().ended_early) for one in (chain, stages[place]))
    assert {n: n for n in chain.get_final_result_dict()} == chain.get_final_result_dict()


@pytest.mark.parametrize("refused", [1, 3])
def test_f32_no_thread_for_a_stage(refused: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """`start` says so, the stages that had one are ended, and the next start works."""
    begin = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if thread.name == f"task_manager-stage-{refused}":
            raise RuntimeError("can't start new thread")
        begin(thread)

    chain = chain_of(f.same, f.same, f.same)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(
            WorkerStartError,
            match=f"no thread can be started for stage {refused}: can't start new thread",
        ):
            chain.start(range(10))

    assert "WorkerStartError" in str(chain.get_summary().ended_early)
    assert 10 == chain.start(range(10)).succeeded


def fork_and_return(task: Any, then: Callable[[], None] | None = None) -> Any:
    """In a copy of the process, too. then: Is called there."""
    child = os.fork()
    if child:
        assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    elif then is not None:
        then()
    return task


class Forks(TaskManager[Any, Any]):
    def __init__(self, hook: str) -> None:
        super().__init__(f.same, logger=None)
        self.hook = hook

    def fork(self, hook: str) -> None:
        if hook == self.hook:
            fork_and_return(0)

    def get_args(self, task: int) -> int:
        self.fork("get_args")
        return task

    def process_result(self, task: int, result: int) -> int:
        self.fork("process_result")
        return result

    def handle_error(self) -> None:
        self.fork("handle_error")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .*use of fork:DeprecationWarning")
@pytest.mark.parametrize(
    "where", ["call", "get_args", "process_result", "handle_error", "input", "observer"]
)
def test_f33_a_copy_that_returns_does_no_work(where: str, calls: Path) -> None:
    """Whoever forks, and lets the copy return: it is ended, and takes nothing from anybody."""

    class Observer:
        def observe(self, event: Event) -> None:
            if where == "observer" and isinstance(event, Passed):
                fork_and_return(0)

    def tasks() -> Iterator[int]:
        for n in range(6):
            if where == "input":
                fork_and_return(0, then=lambda: setattr(Passage, "enter", lambda *_: os._exit(9)))
            yield n

    middle = stage(fork_and_return) if where == "call" else Forks(where)
    last = stage(partial(noted, str(calls)))
    chain: TaskChain[Any, Any] = TaskChain(
        [stage(f.same), middle, last], "thread", observers=[Observer()]
    )
    chain.start(tasks())

    assert {n: n for n in range(6)} == chain.get_final_result_dict()
    assert 6 == len(os.listdir(calls))


def noted(folder: str, task: int) -> int:
    (Path(folder) / f"{task} {os.getpid()}").touch()
    return task


def test_f33_a_copy_waits_for_no_lock_of_the_stages() -> None:
    """What it comes by in its run is not put anywhere: those who would make room do not exist there."""
    inbox, signals = Inbox(), HeldSignals()
    passage = Passage(inbox, Stop())
    for n in range(MOST):
        inbox.post(lambda: None, signals)
    for n in range(ITEMS):
        passage.put([n], [n], signals)
    child = os.fork()
    if not child:
        inbox.post(lambda: None, signals)
        passage.put([0], [0], signals)
        os._exit(0)
    until = time.monotonic() + 20
    while not (ended := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < until:
        time.sleep(0.01)
    if not ended[0]:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)

    assert (child, 0) == ended
    inbox.work()


def test_f33_no_log_is_made_while_another_thread_forks(monkeypatch: pytest.MonkeyPatch) -> None:
    """loguru would take it amiss, and keep all its locks: the next line of any log would hang."""
    forking, order = threading.Event(), []

    def slow(*_: Any) -> Any:
        forking.set()
        time.sleep(0.3)
        order.append("forked")
        raise OSError("no more")

    def log() -> None:
        forking.wait(30)
        Handler("{message}", 5)
        order.append("made")

    monkeypatch.setattr(launch, "launch", slow)
    with beside(log), pytest.raises(WorkerStartError):
        f.stage(f.same, "process", start_method="fork").start([1])

    assert ["forked", "made"] == order


@pytest.mark.parametrize("place", ["stage", "worker"])
def test_f40_a_stream_that_is_collected_by_its_own_stage(place: str) -> None:
    """It cannot wait for itself: the start is broken off, and nothing hangs."""

    class Cycle:
        stream: Any
        me: Any

    collects, done = threading.Event(), threading.Event()

    def collect(n: int) -> int:
        if collects.is_set() and not done.is_set():
            gc.collect()
            done.set()
        time.sleep(0.001)
        return n

    chain = TaskChain(
        [stage(collect, "serial" if place == "stage" else "thread"), stage(f.same)], "thread"
    )
    gc.disable()
    try:
        one = Cycle()
        one.me, one.stream = one, chain.stream(itertools.count())
        next(one.stream)
        del one
        collects.set()
        wait_until(done.is_set)
        wait_until(lambda: not any("task_manager" in one.name for one in threading.enumerate()))
    finally:
        gc.enable()

    assert chain.get_summary().ended_early == "its reader left the stream"
    assert 5 == chain.start(range(5)).succeeded


AT_EXIT = """
import threading, time
from task_manager import TaskChain, TaskManager

def same(x):
    return x

def work(x):
    if x == 30:
        print("working", flush=True)
    time.sleep(60 if x >= 30 else 0.001)
    return x

if __name__ == "__main__":
    stages = [TaskManager(same, MODE, logger=None), TaskManager(work, logger=None)]
    stages.append(TaskManager(same, "process", logger=None))
    chain = TaskChain(stages, "thread")
    threading.Thread(target=chain.start, args=(range(10**9),), daemon=True).start()
    time.sleep(WAIT)
    print("end", flush=True)
"""


@pytest.mark.parametrize("wait", [0.0, 1.0])
@pytest.mark.parametrize("mode", ["serial", "process"])
def test_f11_the_script_ends_with_a_chain_in_flight(
    mode: str, wait: float, script: Callable[[str], Script]
) -> None:
    """In a thread that is a daemon: at once, and no process is left."""
    running = script(AT_EXIT.replace("MODE", repr(mode)).replace("WAIT", str(wait)))
    out, _ = running.process.communicate(timeout=20)

    assert "end" == out.splitlines()[-1]
    assert 0 == running.process.returncode
    assert [] == running.left_after(10)


def test_f31_what_stages_say_is_bounded() -> None:
    """A stage waits until the caller comes, as in an input that takes its time; the order is kept."""
    inbox, signals, done = Inbox(), HeldSignals(), []

    def say() -> None:
        for n in range(3 * MOST):
            inbox.post(partial(done.append, n), signals)

    with beside(say):
        wait_until(lambda: len(inbox._deeds) == MOST)
        time.sleep(0.1)
        waiting = len(inbox._deeds)
        while len(done) < 3 * MOST:
            inbox.wait(0.2)
            inbox.work()

    assert MOST == waiting
    assert list(range(3 * MOST)) == done
