"""A signal at any moment: no task is lost, none has two outcomes, and the next run takes up the rest."""

# ruff: noqa: PT012 - a signal comes between two steps

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import functions as f
import task_manager
from task_manager import TaskChain, TaskManager
from task_manager._signals import HeldSignals, comes_from_a_handler

PACKAGE = str(Path(task_manager.__file__).parent)
TASKS = 30


class Limit(Exception):
    """What a script's time limit raises. By SIGUSR1 here, as SIGALRM is the limit of the tests."""


def raise_limit(number: int, frame: FrameType | None) -> None:
    raise Limit


def leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(7)


HANDLERS: dict[int, tuple[Any, type[BaseException]]] = {
    signal.SIGINT: (signal.default_int_handler, KeyboardInterrupt),
    signal.SIGUSR1: (raise_limit, Limit),
    signal.SIGTERM: (leave, SystemExit),
}
each_signal = pytest.mark.parametrize("number", HANDLERS)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Those of a script that has some."""
    before = {number: signal.signal(number, handler) for number, (handler, _) in HANDLERS.items()}
    yield
    now = {number: signal.getsignal(number) for number in HANDLERS}
    for number, handler in before.items():
        signal.signal(number, handler)

    assert {number: handler for number, (handler, _) in HANDLERS.items()} == now


def press(number: int = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


@contextlib.contextmanager
def sent_at_line(line: int, number: int) -> Iterator[list[int]]:
    """A signal at the line of this count that runs in the package; answers how many ran."""
    lines = [0]
    home = os.getpid()

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if os.getpid() != home or not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if event == "line":
            lines[0] += 1
            if lines[0] == line:
                press(number)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield lines
    finally:
        sys.settrace(before)


class Hooked(TaskManager):
    def get_args(self, task: int) -> Any:
        return (task,)

    def process_result(self, task: int, result: int) -> int:
        return result


def manager_of(
    way: str,
) -> tuple[TaskManager, Callable[[Any], Any], Callable[[], Any], Callable[[], Any]]:
    """A manager or the last one of a chain that goes this way, and its start, results and summary."""
    options: dict[str, Any] = {"logger": None, "retry_delay": 0.0}
    if way.startswith("chain"):
        stages = [TaskManager(f.same, **options), TaskManager(f.same, **options)]
        chain = TaskChain(stages, way.split()[1])
        return stages[1], chain.start_chain, chain.get_final_result_dict, chain.get_summary
    kind = Hooked if way == "hooks" else TaskManager
    mode = "serial" if way == "hooks" else way
    manager = kind(f.fit(f.same, mode), mode, worker_limit=1, **options)
    return manager, manager.start, manager.get_result_dict, manager.get_summary


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("way", "every", "number"),
    [
        ("serial", 5, signal.SIGINT),
        ("serial", 11, signal.SIGUSR1),
        ("hooks", 11, signal.SIGINT),
        ("hooks", 17, signal.SIGTERM),
        ("thread", 23, signal.SIGINT),
        ("thread", 29, signal.SIGUSR1),
        ("async", 41, signal.SIGUSR1),
        ("async", 43, signal.SIGTERM),
        ("process", 61, signal.SIGUSR1),
        ("chain serial", 37, signal.SIGINT),
        ("chain serial", 41, signal.SIGUSR1),
    ],
)
def test_f26_a_signal_at_any_line_loses_no_task(way: str, every: int, number: int) -> None:
    """Counts and results agree, no task has failed, and a second start does what the first did not."""
    line, over = every, False
    while not over:
        manager, start, results, summary = manager_of(way)
        stopped = False
        with sent_at_line(line, number) as lines:
            try:
                start(iter(range(TASKS)))
            except HANDLERS[number][1]:
                stopped = True
        over = lines[0] < line
        first = summary()
        if stopped and first.taken:
            assert (len(results()), 0) == (first.succeeded, first.failed), f"at line {line}"
        start(range(TASKS))

        assert {n: n for n in range(TASKS)} == dict(results()), f"at line {line}"
        manager.shutdown_pools()  # an exception out of a trace function leaves frames behind
        line += every


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
@pytest.mark.parametrize("mode", ["serial", "thread", "async"])
def test_f26_a_limit_in_the_first_lines_of_a_start_is_raised(mode: str, number: int) -> None:
    """Also where they look at the function's name, which may raise and must not stop a run."""
    for line in range(1, 61):
        manager = TaskManager(f.fit(f.same, mode), mode, worker_limit=1)  # with a log
        with sent_at_line(line, number), pytest.raises(HANDLERS[number][1]):
            manager.start(range(TASKS))
        manager.shutdown_pools()


@each_signal
def test_it_waits_until_something_may_be_interrupted(number: int) -> None:
    """Between two such places it is held back, and raised at the next one."""
    signals = HeldSignals()
    steps = []
    with pytest.raises(HANDLERS[number][1]), signals.held():
        press(number)
        steps.append("after the signal")
        signals.through(steps.append, "called")

    assert ["after the signal"] == steps


@each_signal
def test_it_is_raised_where_it_is_let_through(number: int) -> None:
    """A wait or a call of the user's ends at once."""
    signals = HeldSignals()
    with signals.held(), pytest.raises(HANDLERS[number][1]):
        signals.through(press, number)

    assert not signals.allowed


@each_signal
def test_it_is_raised_at_the_end_at_the_latest(number: int) -> None:
    """What came during the last step is not lost."""
    with pytest.raises(HANDLERS[number][1]), HeldSignals().held():
        press(number)


def test_of_two_the_later_one_is_raised() -> None:
    """With the earlier one as its context, as if nobody had held them back."""
    with pytest.raises(SystemExit) as raised, HeldSignals().held():
        press(signal.SIGUSR1)
        press(signal.SIGTERM)

    assert isinstance(raised.value.__context__, Limit)


def test_the_second_one_does_not_wait_where_nothing_moves() -> None:
    """Whatever holds the first one back may be stuck, once its patience is over."""
    signals = HeldSignals(patience=0.0)
    steps = []
    with pytest.raises(KeyboardInterrupt), signals.held():
        press()
        steps.append("first")
        press()
        steps.append("second")

    assert ["first"] == steps


def test_a_handler_that_raises_nothing_is_called_at_once() -> None:
    """It may write a note or set a flag, and its script relies on the moment."""
    heard: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: heard.append(number))
    try:
        with HeldSignals().held():
            press(signal.SIGUSR1)
            inside = list(heard)
        press(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert ([signal.SIGUSR1], [signal.SIGUSR1] * 2) == (inside, heard)


def test_other_threads_leave_handlers_alone() -> None:
    """Only the main thread runs them."""
    handlers: list[Any] = []

    def look() -> None:
        with HeldSignals().held():
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()

    assert [signal.getsignal(signal.SIGINT)] == handlers


def test_runs_beside_each_other_leave_the_scripts_handlers() -> None:
    """As in an event loop, where the one that began first ends first."""
    first, second = HeldSignals(), HeldSignals()
    with contextlib.ExitStack() as one, contextlib.ExitStack() as other:
        one.enter_context(first.held())
        other.enter_context(second.held())
        one.close()
        held = signal.getsignal(signal.SIGINT)
        other.close()

    assert signal.default_int_handler is not held
    assert signal.default_int_handler is signal.getsignal(signal.SIGINT)


def test_what_an_inner_one_still_has_goes_to_the_one_around_it() -> None:
    """As where a worker is started in the middle of a run's books: they are finished first."""
    outer, inner = HeldSignals(), HeldSignals()
    steps = []
    with pytest.raises(KeyboardInterrupt), outer.held():
        with inner.held():
            press()
            steps.append("inner")
        steps.append("outer")
        outer.deliver()
        steps.append("never")

    assert ["inner", "outer"] == steps


def test_an_inner_run_is_stopped_where_it_may_be() -> None:
    """Also where the outer one is not to be interrupted: a run inside a coroutine blocks its loop."""
    outer, inner = HeldSignals(), HeldSignals()
    with outer.held(), pytest.raises(KeyboardInterrupt), inner.held():
        inner.through(press)


def test_a_copy_that_is_forked_meanwhile_has_the_scripts_handlers() -> None:
    """A function in a forked worker may limit itself by an alarm: nobody there would let it through."""
    with HeldSignals().held():
        pid = os.fork()
        if pid == 0:
            mine = all(signal.getsignal(n) is handler for n, (handler, _) in HANDLERS.items())
            os._exit(0 if mine else 1)
        _, status = os.waitpid(pid, 0)

    assert 0 == status


def alarmed(x: int) -> int:
    if x == 3:
        press(signal.SIGUSR1)
        time.sleep(10)
    return x


@pytest.mark.parametrize("start_method", ["fork"])
def test_f26_a_limit_of_its_own_in_a_worker_is_its_tasks_error(start_method: str) -> None:
    """What a handler raises in a worker process is raised by the call that set the alarm."""
    with f.manager_of(alarmed, start_method, max_retries=0) as manager:
        manager.start(range(6))

        assert {3: Limit} == {task: type(error) for task, error in manager.get_error_dict().items()}


def with_own_handler(x: int) -> int:
    before = signal.signal(signal.SIGUSR1, raise_limit)
    try:
        return alarmed(x)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_f26_a_handler_that_a_call_sets_is_that_calls_own() -> None:
    """In serial mode a function may limit itself: what its handler raises is the error of its task."""
    manager = f.manager_of(with_own_handler, "serial", max_retries=0)
    manager.start(range(6))

    assert {3: Limit} == {task: type(error) for task, error in manager.get_error_dict().items()}


def test_an_error_that_replaces_the_end_of_the_script_is_no_outcome() -> None:
    """A `finally` of the function that fails, when a handler has raised SystemExit, does not hide it."""

    def call(x: int) -> int:
        try:
            press(signal.SIGTERM)
            time.sleep(10)
        finally:
            raise ValueError("while cleaning up")

    manager = TaskManager(call, logger=None)
    with pytest.raises(ValueError, match="while cleaning up"):
        manager.start([1, 2])

    assert ({}, 1) == (manager.get_error_dict(), manager.get_summary().not_started)


def test_what_an_object_raises_itself_comes_from_no_handler() -> None:
    """A KeyboardInterrupt that nobody pressed, as a test of other code might raise."""
    with HeldSignals().held():
        answers = [comes_from_a_handler(KeyboardInterrupt()), comes_from_a_handler(Limit())]

    assert [False, False] == answers


def told_to_stop(pid: int, number: int, x: int) -> int:
    """The script is told to stop in the middle of this call."""
    if x == 5:
        os.kill(pid, number)
    time.sleep(0.003)
    return x


class ToldToStop:
    def __init__(self, number: int) -> None:
        self.pid, self.number = os.getpid(), number
        self.__name__ = "told_to_stop"

    def __call__(self, x: int) -> int:
        return told_to_stop(self.pid, self.number, x)


STOPPED = [
    "serial",
    "thread",
    "async",
    "fork",
    "run_until_complete",
    "chain serial",
    "chain thread",
    "chain process",
]


@each_signal
@pytest.mark.parametrize("way", STOPPED)
def test_f26_a_script_that_is_told_to_stop_stops(way: str, number: int) -> None:
    """Whatever its handler raises, `start` raises it; no healthy task has an error, none is lost."""
    func = ToldToStop(number)
    results: Callable[[], Any]
    if way.startswith("chain"):
        chain = TaskChain([f.stage(func), f.stage(f.same)], way.split()[1])
        start, results, errors = (
            chain.start_chain,
            chain.get_final_result_dict,
            chain.get_final_error_dict,
        )
    else:
        manager = f.manager_of(func, "async" if way == "run_until_complete" else way)
        start, results, errors = manager.start, manager.get_result_dict, manager.get_error_dict
        if way == "run_until_complete":
            start = functools.partial(in_a_loop_of_ones_own, manager)
    with pytest.raises(HANDLERS[number][1]):
        start(range(70))
    first = len(results()), dict(errors())
    func.number = 0  # only asks whether the process is there
    start(range(70))
    if not way.startswith("chain"):
        manager.shutdown_pools()

    assert first[0] < 70
    assert first[1] == errors() == {}
    assert {x: x for x in range(70)} == results()


async def block_the_loop(x: int) -> int:
    if x == 1:
        press(signal.SIGUSR1)
        time.sleep(30)
    return x


async def wait_in_vain(x: int) -> int:
    if x == 1:
        asyncio.get_running_loop().call_later(0.05, press, signal.SIGUSR1)
        await asyncio.sleep(30)
    return x


@pytest.mark.parametrize("func", [block_the_loop, wait_in_vain])
@pytest.mark.parametrize("way", ["start", "start_async"])
def test_f26_a_limit_in_an_event_loop(func: Any, way: str) -> None:
    """It is raised at once, also in the middle of a call that blocks the loop, and nowhere swallowed."""
    manager = TaskManager(func, "async", logger=None)
    with pytest.raises(Limit):
        if way == "start":
            manager.start(range(3))
        else:
            in_a_loop_of_ones_own(manager, range(3))

    assert ({}, 0) == (manager.get_error_dict(), manager.get_summary().failed)


def test_f26_a_limit_in_an_event_loop_ends_a_call_of_serial_mode() -> None:
    """Awaited, it is made in the loop's thread as well."""
    manager = TaskManager(alarmed, logger=None)
    with pytest.raises(Limit):
        in_a_loop_of_ones_own(manager, range(6))

    assert [0, 1, 2] == list(manager.get_result_dict())


class Complaining(TaskManager):
    def handle_error(self) -> None:
        raise LookupError("a complaint")


def test_f26_a_limit_in_a_chain_is_not_taken_for_a_complaint() -> None:
    """What a stage's handle_error raises waits for the other stages; what a handler raises does not."""
    stages = [Complaining(f.same, logger=None), f.stage(alarmed), f.stage(f.same)]
    chain = TaskChain(stages)
    with pytest.raises(Limit):
        chain.start_chain(range(6))
    summary = chain.get_summary()

    assert (0, 0, 6) == (summary.succeeded, summary.failed, summary.not_started)


def in_a_loop_of_ones_own(manager: TaskManager, tasks: Any) -> Any:
    """Unlike asyncio.run, it has no handler of its own for Ctrl-C."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(manager.start_async(tasks))
    finally:
        loop.close()


def test_f09_what_an_iterator_had_given_is_counted() -> None:
    """A Ctrl-C while the input waits: what was read for a batch is not started, and said to be so."""

    def tasks() -> Iterator[int]:
        yield from range(2000)
        press()
        yield 2000

    manager = TaskManager(f.same, logger=None)
    with pytest.raises(KeyboardInterrupt):
        manager.start(tasks())

    assert 2000 == manager.get_summary().taken


def interrupt_at_five(x: int) -> int:
    if x == 5:
        raise KeyboardInterrupt
    return x


def test_f09_a_chain_counts_what_it_has_not_started() -> None:
    """What entered and has no outcome; every task that was taken is in one count."""
    chain = TaskChain([TaskManager(interrupt_at_five, logger=None), TaskManager(f.same, logger=None)])
    with pytest.raises(KeyboardInterrupt):
        chain.start_chain(range(10))
    summary = chain.get_summary()

    assert (0, 0) == (summary.succeeded, summary.failed)
    assert 6 <= summary.not_started <= 10
