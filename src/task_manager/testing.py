"""For who writes an executor: whether managers keep their promises on it.

from task_manager.testing import check_executor

def test_my_executor():
    check_executor(lambda: MyExecutor(2))
"""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from ._repr import short_repr
from .errors import TaskTimeoutError, TransportError, WorkerDiedError
from .manager import TaskManager

__all__ = ["check_executor"]


def check_executor(factory: Callable[[], Executor], *, patience: float = 60.0) -> list[str]:
    """Check that an executor keeps the promises of a manager, and return the names of the checks.

    factory: Makes a new one, as for `execution_mode`. It is made for each check, and shut down.
    patience: Seconds that a check may take, with the time in which the executor comes up.

    Raises AssertionError where a promise is broken, with the name of the check and what came. What a
    worker that dies comes to is checked where calls are made in other processes. These must see the
    folder for temporary files of this machine.
    """
    passed: list[str] = []
    for check in _CHECKS:
        name = check.__name__.strip("_").replace("_", " ")
        try:
            _in_time(check, factory, patience)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error
        passed.append(name)
    return passed


def _in_time(check: Callable[[Callable[[], Executor]], None], factory: Any, patience: float) -> None:
    """In a thread of its own: an executor that hangs is told, and not waited for."""
    came: list[BaseException | None] = []

    def run() -> None:
        try:
            check(factory)
        except BaseException as error:
            came.append(error)
        else:
            came.append(None)

    thread = threading.Thread(target=run, name="task_manager-check", daemon=True)
    thread.start()
    thread.join(patience)
    if not came:
        raise AssertionError(f"it hangs: no end within {patience:g} s")
    if isinstance(came[0], AssertionError):
        raise came[0]
    if came[0] is not None:
        raise AssertionError(f"{type(came[0]).__name__}: {came[0]}") from came[0]


def _equal(expected: Any, actual: Any) -> None:
    if expected != actual:
        raise AssertionError(f"expected {short_repr(expected)}, got {short_repr(actual)}")


def _manager(func: Callable[..., Any], made: Any, **options: Any) -> TaskManager[Any, Any]:
    return TaskManager(func, made, **{"logger": None, "retry_delay": 0.0, **options})


# ---------------------------------------------------------------------- what is called there


def _double(number: int) -> int:
    return 2 * number


def _fail_on_odd(number: int) -> int:
    if number % 2:
        raise ValueError(f"odd: {number}")
    return number


def _raise(error: type[BaseException]) -> None:
    raise error("out of the function")


def _once_flaky(folder: str, number: int) -> int:
    mark = Path(folder) / str(number)
    if not mark.exists():
        mark.touch()
        raise ConnectionError("the first time")
    return number


def _nap(number: int, seconds: float) -> int:
    time.sleep(seconds)
    return number


def _note(folder: str, number: int) -> int:
    with Path(folder, str(number)).open("a") as file:
        file.write("called ")
    return number


def _place(number: int) -> tuple[str, int]:
    return socket.gethostname(), os.getpid()


def _die_on_seven(number: int) -> int:
    if number == 7:
        os._exit(1)
    return number


def _reverse(data: bytes) -> bytes:
    return data[::-1]


def _state() -> Iterator[int]:
    yield 1000


def _add(state: int, number: int) -> int:
    return state + number


class _DoesNotTravel:
    def __reduce__(self) -> Any:
        raise TypeError("does not travel")


def _returns(number: int) -> Any:
    return _DoesNotTravel() if number == 7 else number


# ---------------------------------------------------------------------- the checks


def _results_are_those_of_map(factory: Callable[[], Executor]) -> None:
    with _manager(_double, factory) as manager:
        summary = manager.start(range(2000))
        if summary.failed:
            first = next(iter(manager.get_error_dict().values()))
            raise AssertionError(f"{summary.failed} of 2000 failed: {first!r} of {first.__cause__!r}")
        _equal({number: 2 * number for number in range(2000)}, dict(manager.get_result_dict()))


def _every_task_is_answered_for(factory: Callable[[], Executor]) -> None:
    with _manager(_fail_on_odd, factory) as manager:
        summary = manager.start([*range(500), *range(100)])
        counts = summary.succeeded, summary.failed, summary.duplicates, summary.not_started
        _equal((250, 250, 100, 0), counts)
        _equal("odd: 3", str(manager.get_error_dict()[3]))


def _whatever_is_raised_is_the_error_of_its_task(factory: Callable[[], Executor]) -> None:
    kinds = [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration]
    with _manager(_raise, factory) as manager:
        manager.start(kinds)
        _equal(kinds, [type(error) for error in manager.get_error_dict().values()])


def _failures_are_retried(factory: Callable[[], Executor]) -> None:
    with tempfile.TemporaryDirectory() as folder, _manager(_once_flaky, factory) as manager:
        summary = manager.start([(folder, number) for number in range(20)])
        _equal((20, 20), (summary.succeeded, summary.retries))


def _what_does_not_travel_costs_its_own_task_alone(factory: Callable[[], Executor]) -> None:
    with _manager(_returns, factory) as manager:
        summary = manager.start(range(50))
        errors = {type(error) for error in manager.get_error_dict().values()}
        _equal(50, summary.succeeded + summary.failed)
        if summary.failed:  # or nothing has to travel
            _equal(({7}, {TransportError}), (set(manager.get_error_dict()), errors))


def _each_call_is_made_once(factory: Callable[[], Executor]) -> None:
    with tempfile.TemporaryDirectory() as folder, _manager(_note, factory) as manager:
        manager.start([(folder, number) for number in range(200)])
        calls = {path.name: path.read_text() for path in Path(folder).iterdir()}
        _equal({str(number): "called " for number in range(200)}, calls)


def _large_arguments_and_results_travel(factory: Callable[[], Executor]) -> None:
    tasks = [bytes([number]) + bytes(3_000_000) for number in range(4)]
    with _manager(_reverse, factory) as manager:
        manager.start(tasks)
        _equal(True, [task[::-1] for task in tasks] == list(manager.get_result_dict().values()))


def _a_worker_has_its_state(factory: Callable[[], Executor]) -> None:
    with _manager(_add, factory, worker_state=_state) as manager:
        manager.start(range(100))
        _equal({number: 1000 + number for number in range(100)}, dict(manager.get_result_dict()))


def _an_event_loop_awaits_it(factory: Callable[[], Executor]) -> None:
    with _manager(_double, factory) as manager:
        asyncio.run(manager.start_async(range(200)))
        _equal({number: 2 * number for number in range(200)}, dict(manager.get_result_dict()))


def _a_stream_yields_in_order(factory: Callable[[], Executor]) -> None:
    with _manager(_double, factory) as manager:
        numbers = [outcome.result for outcome in manager.stream(range(500), ordered=True)]
        _equal(list(range(0, 1000, 2)), numbers)


def _a_rate_limit_holds(factory: Callable[[], Executor]) -> None:
    with _manager(_double, factory, rate_limit=(10, 0.5)) as manager:
        began = time.perf_counter()
        summary = manager.start(range(30))
        _equal((30, True), (summary.succeeded, time.perf_counter() - began >= 1.0))


def _a_worker_that_dies_costs_its_own_task_alone(factory: Callable[[], Executor]) -> None:
    with _manager(_place, factory) as manager:
        manager.start([0])
        elsewhere = manager.get_result_dict()[0] != _place(0)
    if elsewhere:  # or it would end this script
        with _manager(_die_on_seven, factory) as manager:
            manager.start(range(100))
            errors = {task: type(error) for task, error in manager.get_error_dict().items()}
            _equal(({7: WorkerDiedError}, 99), (errors, len(manager.get_result_dict())))


def _a_time_limit_holds(factory: Callable[[], Executor]) -> None:
    with _manager(_nap, factory, task_timeout=1.0, max_retries=0) as manager:
        summary = manager.start([(0, 0.0), (1, 3.0), (2, 0.0), (3, 0.0)])
        errors = {task[0]: type(error) for task, error in manager.get_error_dict().items()}
        _equal(({1: TaskTimeoutError}, 3), (errors, summary.succeeded))


def _endless_input_is_read_as_there_is_room(factory: Callable[[], Executor]) -> None:
    read = 0

    class Stops(TaskManager[int, int]):
        def process_result(self, task: int, result: int) -> int:
            if task == 1000:
                self.stop()
            return result

    def tasks() -> Iterator[int]:
        nonlocal read
        for number in itertools.count(1):
            read = number
            yield number

    with Stops(_double, factory, logger=None, keep_results=False, deduplicate=False) as manager:
        summary = manager.start(tasks())
        _equal((read, "stop()"), (summary.taken, summary.ended_early))
        _equal(True, summary.succeeded >= 1000 and summary.failed == 0)


def _one_that_is_passed_in_is_not_shut_down(factory: Callable[[], Executor]) -> None:
    with factory() as executor:
        for _ in range(2):
            with _manager(_double, executor) as manager:
                manager.start(range(20))
        _equal(4, executor.submit(_double, 2).result())


_CHECKS = (
    _results_are_those_of_map,
    _every_task_is_answered_for,
    _whatever_is_raised_is_the_error_of_its_task,
    _each_call_is_made_once,
    _failures_are_retried,
    _what_does_not_travel_costs_its_own_task_alone,
    _large_arguments_and_results_travel,
    _a_worker_has_its_state,
    _an_event_loop_awaits_it,
    _a_stream_yields_in_order,
    _a_rate_limit_holds,
    _a_worker_that_dies_costs_its_own_task_alone,
    _a_time_limit_holds,
    _endless_input_is_read_as_there_is_room,
    _one_that_is_passed_in_is_not_shut_down,
)
