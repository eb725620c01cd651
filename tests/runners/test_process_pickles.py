"""What a process runner sends to its workers and back: what cannot travel, what is large."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import functions as f
from scripts import Script
from task_manager import (
    ConfigurationError,
    TaskChain,
    TaskManager,
    TransportError,
    WorkerDiedError,
    WorkerStartError,
)

Manager = Callable[..., TaskManager]


@pytest.fixture(params=f.START_METHODS)
def process_manager(request: pytest.FixtureRequest) -> Manager:
    """Makes managers in process mode, by each start method."""

    def make(func: Any, **options: Any) -> TaskManager:
        common = {"worker_limit": 2, "logger": None, "retry_delay": 0.0, "start_method": request.param}
        return TaskManager(func, "process", **{**common, **options})

    return make


@pytest.fixture(params=f.START_METHODS)
def start_method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize(("what", "when", "how"), f.BAD_OBJECTS)
def test_f04_an_object_that_cannot_travel_is_the_error_of_its_task(
    what: str, when: str, how: str, process_manager: Manager
) -> None:
    """One named error, and 199 results: as argument, result and error, at pickling and unpickling."""
    tasks = f.burdened(what, when, how)
    with process_manager(f.carry) as manager:
        summary = manager.start(tasks)
        ((task, error),) = manager.get_error_dict().items()

        assert (199, 1, 0, 0) == (
            summary.succeeded,
            summary.failed,
            summary.retries,
            summary.not_started,
        )
        assert task is tasks[77]
        assert (WorkerDiedError if how == "crashes" else TransportError) is type(error)
        assert how == "crashes" or what == error.what


@pytest.mark.parametrize("where", ["argument", "result"])
@pytest.mark.parametrize("kind", [f.CannotPickle, f.CannotUnpickle])
def test_f04_the_type_of_what_cannot_travel(where: str, kind: type, process_manager: Manager) -> None:
    """It is the object's, whichever way it went and wherever it refused."""
    tasks: list[Any] = [[], kind()] if where == "argument" else [(1, kind), (7, kind)]
    with process_manager(f.same if where == "argument" else f.give) as manager:
        manager.start(tasks)
        (error,) = manager.get_error_dict().values()

        assert (where, f"functions.{kind.__name__}") == (error.what, error.type_name)


def test_f04_an_error_with_a_constructor_of_its_own_comes_as_it_is(process_manager: Manager) -> None:
    """pickle alone would make no error of it: its type, its message and the worker's lines are there."""
    with process_manager(f.raise_two_arguments) as manager:
        summary = manager.start(range(200))
        (error,) = manager.get_error_dict().values()

        assert (199, 1) == (summary.succeeded, summary.failed)
        assert (f.TwoArguments, "404 not found") == (type(error), str(error))
        assert 'raise TwoArguments(404, "not found")' in str(error.__cause__)


def test_f04_an_error_that_cannot_be_pickled_comes_as_text(process_manager: Manager) -> None:
    """Its type's name, its message and the worker's traceback are kept."""
    with process_manager(f.raise_unpicklable) as manager:
        summary = manager.start(range(200))
        (error,) = manager.get_error_dict().values()

        assert (199, 1) == (summary.succeeded, summary.failed)
        assert isinstance(error, TransportError)
        assert ("error", "functions.Unpicklable", "a lock") == (
            error.what,
            error.type_name,
            error.message,
        )
        assert 'raise Unpicklable("a lock")' in error.traceback


@pytest.mark.parametrize("func", [f.raise_odd, f.return_odd])
@pytest.mark.parametrize("what", ["text", "module", "name"])
def test_f04_an_object_of_an_odd_class(what: str, func: Any, process_manager: Manager) -> None:
    """Its text may be no exact str, its class have no module or a broken name: one named error."""
    with process_manager(func) as manager:
        summary = manager.start([(n, what) for n in range(200)])
        (error,) = manager.get_error_dict().values()

        assert (199, 1) == (summary.succeeded, summary.failed)
        assert isinstance(error, TransportError)
        assert {str} == {type(error.type_name), type(error.message), type(error.traceback)}


def test_f04_an_error_that_kills_at_pickling_is_charged_alone(process_manager: Manager) -> None:
    """Also among fast tasks that travel together."""
    with process_manager(raise_deadly) as manager:
        summary = manager.start(range(2000))

        assert (1999, 1) == (summary.succeeded, summary.failed)
        assert [50] == list(manager.get_error_dict())


class Deadly(Exception):
    def __reduce__(self) -> Any:
        os._exit(5)


def raise_deadly(x: int) -> int:
    if x == 50:
        raise Deadly
    return x


def test_f04_a_namedtuple_that_no_process_can_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without cloudpickle it is pickled by its class, local to a function: the error of that task."""
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    local = namedtuple("local", "a b")
    with f.manager_of(f.add, "fork") as manager:
        summary = manager.start([(1, 1), local(1, 2), (3, 4)])
        ((task, error),) = manager.get_error_dict().items()

        assert (2, 1, 0) == (summary.succeeded, summary.failed, summary.not_started)
        assert local is type(task)
        assert (TransportError, "argument") == (type(error), error.what)


NAMEDTUPLE_RUN = """
from collections import namedtuple
from task_manager import TaskManager

def add(a, b):
    return a + b

if __name__ == "__main__":
    Pair = namedtuple("Pair", "a b")
    manager = TaskManager(add, "process", 2, logger=None, start_method=METHOD)
    summary = manager.start([(1, 1), Pair(1, 2), (3, 4)])
    print(summary.succeeded, *(type(error).__name__ for error in manager.get_error_dict().values()))
"""


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_f04_a_namedtuple_under_the_main_guard(
    start_method: str, script: Callable[[str], Script]
) -> None:
    """A worker does not find its class: the error of that task, and not the worker's death."""
    out, _ = script(NAMEDTUPLE_RUN.replace("METHOD", repr(start_method))).process.communicate(timeout=20)

    assert "2 TransportError\n" == out


def test_f04_an_error_that_cannot_travel_is_retried_by_its_type(
    calls: Path, process_manager: Manager
) -> None:
    """What is lost on the way is the error, not what is known of it: its type decides on a retry."""
    with process_manager(f.flaky_two_arguments) as manager:
        manager.start([(str(calls), "a")])

        assert [2] == list(manager.get_result_dict().values())


def test_f14_what_cannot_be_pickled_is_recorded_as_it_comes(process_manager: Manager) -> None:
    """Of an endless input of such tasks no more is read than of any other, and no more at once."""
    ahead = []
    manager = process_manager(f.same)

    def tasks() -> Iterator[Any]:
        for n in range(500):
            ahead.append(n - len(manager.get_error_dict()))
            yield f.CannotPickle()

    with manager:
        summary = manager.start(tasks())

        assert (0, 500) == (summary.succeeded, summary.failed)
        assert max(ahead) <= 4


def test_f05_the_traceback_of_the_worker_is_shown(process_manager: Manager) -> None:
    """The worker's line stands in the traceback, and no line of this library's worker."""
    with process_manager(f.fail_on_seven) as manager:
        manager.start(range(10))
        (error,) = manager.get_error_dict().values()
        text = "".join(traceback.format_exception(error))

        assert 'raise ValueError("seven")' in text
        assert "_call.py" not in text


def test_f07_a_function_that_pickle_refuses_travels_through_cloudpickle(
    process_manager: Manager,
) -> None:
    """A lambda and a closure work in process mode if cloudpickle is there."""
    step = 10
    with process_manager(lambda x: x + step) as manager:
        manager.start([1, 2])

        assert {1: 11, 2: 12} == manager.get_result_dict()


def test_f07_without_cloudpickle_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, process_manager: Manager
) -> None:
    """One clear error, before any task is run, that names the package that is missing."""
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with (
        process_manager(lambda x: x) as manager,
        pytest.raises(ConfigurationError, match="pip install cloudpickle"),
    ):
        manager.start([1])


def wrap(call: Any) -> Any:
    """Returns a closure over what it is given."""
    if call == "fail":
        error = ValueError("of a call")
        vars(error)["call"] = lambda: 5
        raise error
    inside = call["call"] if isinstance(call, dict) else call
    return {"wrapped": [lambda: inside() + 1]}


@pytest.mark.parametrize("chain", [False, True], ids=["manager", "chain"])
def test_f04_lambdas_travel_as_arguments_results_and_errors(chain: bool, start_method: str) -> None:
    """Also within containers, and those that an error holds: through cloudpickle."""
    step = 3
    tasks: list[Any] = [{"call": lambda: step}, lambda: 10, "fail"]
    manager = TaskManager(wrap, "process", 2, logger=None, start_method=start_method, deduplicate=False)
    last: TaskManager | TaskChain = manager
    if chain:
        stages = [f.stage(f.same, start_method=start_method, deduplicate=False), manager]
        last = TaskChain(stages, "process")
        last.start_chain(tasks)
        results, errors = last.get_final_result_dict(), last.get_final_error_dict()
    else:
        manager.start(tasks)
        results, errors = manager.get_result_dict(), manager.get_error_dict()
    manager.shutdown_pools()
    (error,) = errors.values()

    assert [4, 11] == [result["wrapped"][0]() for result in results.values()]
    assert (ValueError, 5) == (type(error), vars(error)["call"]())


OF_THE_SCRIPT = """
from task_manager import TaskManager

class Page:
    def __init__(self, key):
        self.key = key

def work(task):
    assert type(task) is Page, "another class"
    return Page(lambda: task.key() + 1)

if __name__ == "__main__":
    manager = TaskManager(work, "process", 1, logger=None, start_method=METHOD)
    manager.start([Page(lambda: 1)])
    print(*manager.get_error_dict().values())
    print([(type(page) is Page, page.key()) for page in manager.get_result_dict().values()])
"""


def test_f04_what_holds_a_lambda_keeps_its_class(
    start_method: str, script: Callable[[str], Script]
) -> None:
    """A class of the script is the same on both sides, as it is without a lambda in the object."""
    text = OF_THE_SCRIPT.replace("METHOD", repr(start_method))
    out, _ = script(text).process.communicate(timeout=20)

    assert "\n[(True, 2)]\n" == out


def test_f04_without_cloudpickle_a_lambda_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """As argument and as result it is the error of its task; an error comes without it, with a note."""
    monkeypatch.setitem(sys.modules, "cloudpickle", None)  # and so in what is forked
    with f.manager_of(wrap, "fork", max_retries=0, deduplicate=False) as manager:
        manager.start([lambda: 1, f.same, "fail"])
        errors = list(manager.get_error_dict().values())

        assert ["argument", "result", None] == [getattr(error, "what", None) for error in errors]
        texts = [*map(str, errors[:2]), *errors[2].__notes__[:1]]
        assert all("pip install cloudpickle" in text for text in texts)


def test_f07_what_nothing_can_pickle_is_refused(process_manager: Manager) -> None:
    """A function that holds a lock is refused once, before any task."""
    lock = threading.Lock()
    with process_manager(lambda x: lock) as manager:
        with pytest.raises(ConfigurationError, match="cannot be sent"):
            manager.start([1])

        assert 0 == manager.get_summary().taken


def test_f07_a_function_that_no_worker_can_load_ends_the_run(process_manager: Manager) -> None:
    """One clear error, not a pool that hires for ever."""
    with (
        process_manager(f.LoadsNowhere()) as manager,
        pytest.raises(WorkerStartError, match="be loaded"),
    ):
        manager.start([1])


@pytest.mark.parametrize("size", [100_000, 3_000_000])
def test_large_arguments_and_results_pass(size: int, process_manager: Manager) -> None:
    """Larger than any pipe: nobody waits for the other for ever."""
    with process_manager(f.double) as manager:
        manager.start([bytes([n]) * size for n in range(20)])

        assert [2 * size] * 20 == [len(result) for result in manager.get_result_dict().values()]
