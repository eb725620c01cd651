"""A function that changes its task: F28. Its key is the one that it had when it was entered."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy
import pytest

import functions as f
from task_manager import TaskChain, TaskManager

in_this_process = pytest.mark.parametrize("way", ["serial", "thread", "async"])
deduplicating = pytest.mark.parametrize("deduplicate", [True, False])


@dataclass
class Order:
    """Unhashable, as it may change."""

    n: int
    done: bool = False


@dataclass(unsafe_hash=True)
class Hashed:
    """Hashable, and its hash changes with it."""

    n: int
    done: bool = False


def take_from_dict(order: dict[str, int]) -> int:
    return order.pop("n")


def take_from_list(order: list[int]) -> int:
    return order.pop()


def take_from_set(order: set[int]) -> int:
    return order.pop()


def take_from_bytes(order: bytearray) -> int:
    n = order[0]
    order[0] = 0
    return n


def take_from_array(order: Any) -> int:
    n = int(order[0])
    order[0] = 0
    return n


def take_from_object(order: Any) -> int:
    n: int = order.n
    order.n = 0
    return n


def take_from_inside(order: dict[str, Any]) -> int:
    n: int = order["inside"][0].n
    order["inside"][0].n = 0
    return n


def take_from_big(order: dict[Any, int]) -> int:
    return order.pop("n")


TASKS: dict[str, tuple[Callable[[int], Any], Callable[[Any], int]]] = {
    "dict": (lambda n: {"n": n}, take_from_dict),
    "list": (lambda n: [n], take_from_list),
    "set": (lambda n: {n}, take_from_set),
    "bytearray": (lambda n: bytearray([n]), take_from_bytes),
    "array": (lambda n: numpy.array([n]), take_from_array),
    "dataclass": (Order, take_from_object),
    "nested": (lambda n: {"inside": [Order(n)]}, take_from_inside),
    "big": (lambda n: {"n": n, **dict.fromkeys(range(1000))}, take_from_big),
}
UNHASHABLE = pytest.mark.parametrize(("make", "take"), TASKS.values(), ids=TASKS)
NUMBERS = range(1, 6)


@in_this_process
@deduplicating
@UNHASHABLE
def test_f28_every_task_has_its_result(way: str, deduplicate: bool, make: Any, take: Any) -> None:
    """Tasks that the function has made equal stay apart: found by the object, and by what it was."""
    tasks = [make(n) for n in NUMBERS]
    with f.manager_of(take, way, deduplicate=deduplicate) as manager:
        manager.start(tasks)
        results = manager.get_result_dict()

    assert [*NUMBERS] == list(results.values())
    assert [id(task) for task in tasks] == [id(task) for task in results]
    assert [*NUMBERS] == [results[task] for task in tasks]
    assert [*NUMBERS] == [results[make(n)] for n in NUMBERS]


@in_this_process
@UNHASHABLE
def test_f28_an_object_that_comes_again_as_it_was_left_is_a_repeat(
    way: str, make: Any, take: Any
) -> None:
    """The same list a second time runs nothing twice, though each of its tasks looks different now."""
    tasks = [make(n) for n in NUMBERS]
    with f.manager_of(take, way) as manager:
        manager.start(tasks)
        again = manager.start(tasks)
        copies = manager.start([make(n) for n in NUMBERS])

    assert (0, 5, 0, 5) == (again.succeeded, again.duplicates, copies.succeeded, copies.duplicates)


def try_twice(order: Any) -> int:
    """Fails on what has not been tried, and notes that it was."""
    if isinstance(order, dict):
        order["tries"] = order.get("tries", 0) + 1
        if order["tries"] == 1:
            raise LookupError(order["n"])
        return int(order["n"])
    tried, order.done = order.done, True
    if not tried:
        raise LookupError(order.n)
    return int(order.n)


@in_this_process
@deduplicating
@pytest.mark.parametrize("make", [lambda n: {"n": n}, Order, Hashed], ids=["dict", "order", "hashed"])
def test_f28_what_failed_and_then_succeeded_is_a_result(way: str, deduplicate: bool, make: Any) -> None:
    """`start(get_error_dict())` runs the failed tasks under their old numbers; none is in both dicts."""
    tasks = [make(n) for n in NUMBERS]
    with f.manager_of(try_twice, way, deduplicate=deduplicate) as manager:
        manager.start(tasks)
        failed = list(manager.get_error_dict())
        summary = manager.start(manager.get_error_dict())

        assert [id(task) for task in tasks] == [id(task) for task in failed]
        assert (5, 0, 0) == (summary.succeeded, summary.failed, summary.duplicates)
        assert {} == manager.get_error_dict()
        assert [*NUMBERS] == list(manager.get_result_dict().values())
        assert [*NUMBERS] == [manager.get_result_dict()[task] for task in tasks]


@deduplicating
def test_f28_hashable_tasks_that_have_become_equal(deduplicate: bool) -> None:
    """Also a hash may change with its object: each has its result, and is found by itself."""
    tasks = [Hashed(n) for n in NUMBERS]
    with TaskManager(take_from_object, deduplicate=deduplicate, logger=None) as manager:
        manager.start(tasks)
        results = manager.get_result_dict()

    assert [*NUMBERS] == list(results.values())
    assert [*NUMBERS] == [results[task] for task in tasks]


def test_f28_a_failed_task_that_now_equals_another_is_run_again() -> None:
    """It is not taken for the repeat of the one that it has come to look like."""
    tasks = [Hashed(1), Hashed(2)]

    def run(task: Hashed) -> int:
        if task is tasks[0] and task.n == 1:
            task.n = 2
            raise LookupError
        return task.n

    with TaskManager(run, logger=None) as manager:
        manager.start(tasks)
        summary = manager.start(manager.get_error_dict())

    assert (1, 0) == (summary.succeeded, summary.duplicates)
    assert {} == manager.get_error_dict()


def test_f28_what_you_change_between_two_starts_is_a_new_task() -> None:
    """What the function has made of a task is the same task; what you make of it is another one."""
    order = {"n": 1}
    with TaskManager(try_nothing, logger=None) as manager:
        manager.start([order])
        order["n"] = 2
        second = manager.start([order])
        third = manager.start([order, {"n": 1}])
        results = manager.get_result_dict()

    assert (1, 0) == (second.succeeded, second.duplicates)
    assert (0, 2) == (third.succeeded, third.duplicates)
    assert [1, 2] == [results[{"n": 1}], results[{"n": 2, "seen": 1}]]


def try_nothing(order: dict[str, int]) -> int:
    order["seen"] = 1
    return order["n"]


@pytest.mark.parametrize("chain_mode", ["serial", "thread", "process"])
@UNHASHABLE
def test_f28_in_a_chain(chain_mode: str, make: Any, take: Any) -> None:
    """The initial tasks and those of every stage: as many results as there were tasks."""
    tasks = [make(n) for n in NUMBERS]
    stages = [f.stage(f.same), f.stage(take, "thread"), f.stage(f.plus_one)]
    chain = TaskChain(stages, chain_mode)
    for _ in range(2):
        chain.start_chain(tasks)
        if chain_mode != "process":  # the stages work on the very objects
            break
    finals = chain.get_final_result_dict()

    assert [n + 1 for n in NUMBERS] == list(finals.values())
    assert [n + 1 for n in NUMBERS] == [finals[task] for task in tasks]
    assert [n + 1 for n in NUMBERS] == [finals[make(n)] for n in NUMBERS]
    assert [*NUMBERS] == sorted(stages[1].get_result_dict().values())


@deduplicating
def test_f28_a_chain_that_is_started_again_with_what_failed(deduplicate: bool) -> None:
    """The last outcome of a task stands, also where it was changed on its way."""
    tasks = [{"n": n} for n in NUMBERS]
    chain = TaskChain([f.stage(try_twice, deduplicate=deduplicate), f.stage(f.plus_one)])
    chain.start_chain(tasks)
    failed = len(chain.get_final_error_dict())
    summary = chain.start_chain(chain.get_final_error_dict())

    assert (5, 5, 0) == (failed, summary.succeeded, summary.duplicates)
    assert ({}, 5) == (chain.get_final_error_dict(), len(chain.get_final_result_dict()))


def test_f28_what_is_not_kept_is_not_held() -> None:
    """Without results there are no keys of them either: memory stays flat."""
    with TaskManager(take_from_dict, keep_results=False, deduplicate=False, logger=None) as manager:
        manager.start({"n": n} for n in range(100))

        assert {} == manager._runs._ledger.keys
        assert {} == manager._runs._ledger._changed


def test_f28_tasks_that_were_let_go_are_not_held_for_ever() -> None:
    """A chain that is started again and again keeps the last outcome of each task, and no more."""
    chain = TaskChain([f.stage(take_from_dict)])
    for _ in range(60):
        chain.start_chain([{"n": n} for n in range(50)])

    assert 50 == len(chain.get_final_result_dict())
    assert len(chain._starts._ledger.keys) <= 150
    assert len(chain._starts._ledger._changed) <= 1500


def test_f28_a_copy_of_what_was_left_is_no_such_task() -> None:
    """Only the very object is known again by what it was left as."""
    task = {"n": 1}
    with TaskManager(take_from_dict, logger=None) as manager:
        manager.start([task])
        summary = manager.start([copy.copy(task)])

    assert (1, 0) == (summary.failed, summary.duplicates)
