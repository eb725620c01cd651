"""Hostile inputs and classes of tasks, and what raises in the middle of our own steps: F13, F15, F27."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import functions as f
from task_manager import TaskChain, TaskManager
from task_manager._run import first, hooks, keys
from task_manager._run.in_flight import InFlight
from task_manager._run.ledger import Ledger
from task_manager._run.results import Results
from task_manager._run.run import Run
from task_manager._run.source import IterableSource
from task_manager._run.waiting import WaitingAttempts

KINDS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "deque": (deque, lambda tasks: tasks.append(9999)),
    "set": (set, lambda tasks: tasks.add(9999)),
    "dict": (dict.fromkeys, lambda tasks: tasks.update({9999: None})),
}


class Crawl(TaskManager):
    """Adds to its own input, as a crawler does to its frontier."""

    grow: Callable[[], Any]
    ends = 0

    def process_result(self, task: int, result: int) -> int:
        if task == 40:
            self.grow()
        return result

    def handle_error(self) -> None:
        self.ends += 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", f.WAYS)
def test_f13_an_input_that_changes_while_it_is_read(way: str, kind: str) -> None:
    """What was taken is finished and kept, `handle_error` is called, then Python's error is raised."""
    make, grow = KINDS[kind]
    tasks = make(range(2000))
    manager = f.manager_of(f.same, way, Crawl, worker_limit=1)
    manager.grow = lambda: grow(tasks)  # type: ignore[attr-defined]
    with manager, pytest.raises(RuntimeError, match=r"mutated|changed size"):
        manager.start(tasks)
    summary = manager.get_summary()

    assert (summary.taken, 0) == (summary.succeeded, summary.not_started)
    assert {n: n for n in range(summary.taken)} == manager.get_result_dict()
    assert 1 == manager.ends  # type: ignore[attr-defined]


@pytest.mark.parametrize("chain_mode", ["serial", "thread", "process"])
def test_f13_a_chain_whose_input_changes(chain_mode: str) -> None:
    """The same: what entered gets through all stages first."""
    tasks = deque(range(3000))

    def growing() -> Iterator[int]:
        for task in tasks:
            if task == 2000:
                tasks.append(99)
            yield task

    chain = TaskChain([f.stage(f.same), f.stage(f.same)], chain_mode)
    with pytest.raises(RuntimeError, match="mutated"):
        chain.start_chain(growing())

    assert {n: n for n in range(2001)} == chain.get_final_result_dict()
    assert (2001, 0) == (chain.get_summary().succeeded, chain.get_summary().not_started)


class Loader:
    """As torch's DataLoader over an IterableDataset."""

    def __len__(self) -> int:
        raise TypeError("object of type 'Stream' has no len()")

    def __iter__(self) -> Iterator[int]:
        return iter(range(5))


class Negative(Loader):
    def __len__(self) -> int:
        return -1


@pytest.mark.parametrize("tasks", [Loader(), Negative()], ids=["raises", "negative"])
def test_f15_an_input_without_a_length_that_can_be_had(tasks: Any) -> None:
    """It is read as `for` reads it: the length is for the bar and the last batches alone."""
    manager = TaskManager(abs, logger=None)

    assert 5 == manager.start(tasks).succeeded


def test_f15_a_range_too_long_for_len() -> None:
    """`len(range(10**30))` raises OverflowError; its first tasks are run all the same."""

    class Enough(Exception):
        pass

    class Few(TaskManager):
        def get_args(self, task: int) -> Any:
            if task == 10:
                raise SystemExit
            return (task,)

    manager = Few(abs, logger=None)
    with pytest.raises(SystemExit):
        manager.start(range(10**30))

    assert list(range(10))[: manager.get_summary().succeeded] == list(manager.get_result_dict())
    assert manager.get_summary().succeeded >= 5


class ByName(type):
    """A metaclass that compares classes, which takes their hash away."""

    def __eq__(cls, other: object) -> bool:
        return cls is other

    __hash__ = None  # type: ignore[assignment]


class Point(metaclass=ByName):
    def __init__(self, n: int) -> None:
        self.n = n

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return self.n


class Proxy:
    """A lazy proxy whose target is not there."""

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        raise LookupError("no target")


def is_there(task: object) -> bool:
    return True


@pytest.mark.parametrize("way", ["serial", "thread", "async"])
@pytest.mark.parametrize(
    "tasks", [[Point(n) for n in range(5)], [(1,), (2,), (3,), Proxy(), (4,)]], ids=["hash", "class"]
)
def test_f15_a_task_of_a_class_that_refuses_to_be_looked_at(way: str, tasks: list[Any]) -> None:
    """Neither the hash of a class nor the `__class__` of a task is needed to run it."""
    with f.manager_of(is_there, way) as manager:
        first, second = manager.start(iter(tasks)), manager.start(iter(tasks))

    assert (5, 5) == (first.succeeded, second.duplicates)


@pytest.mark.parametrize("way", ["serial", "thread", "fork"])
@pytest.mark.parametrize(
    ("owner", "step"),
    [
        (IterableSource, "read"),
        (Ledger, "enter_new"),
        (Ledger, "fail"),
        (Results, "observe"),
        (Run, "next_batch"),
        (Run, "_due"),
        (first, "batch_of"),
        (hooks, "calls_of"),
        (Run, "finish"),
        (Run, "_succeed"),
        (Run, "_keep"),
        (Run, "_judge"),
        (WaitingAttempts, "add"),
        (InFlight, "remove"),
    ],
    ids=lambda part: getattr(part, "__name__", part),
)
def test_f27_whatever_raises_in_our_steps_loses_no_task(
    way: str, owner: type, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a step or after it, as where memory has run out: the next start does what is left."""
    # What has entered is given back by `enter_new` itself; nothing can raise between it and its caller.
    for when in ("before",) if step == "enter_new" else ("before", "after"):
        manager = f.manager_of(f.fail_on_odd, way, AllHooks, max_retries=1, retry_exceptions=ValueError)
        raises_once(monkeypatch, owner, step, when, at=3)
        with pytest.raises(MemoryError):
            manager.start(iter(range(200)))
        monkeypatch.undo()
        broken = manager.get_summary()
        second = manager.start(range(200))
        manager.shutdown_pools()

        done = manager.get_result_dict(), manager.get_error_dict()
        assert {n: n for n in range(0, 200, 2)} == done[0], when
        assert list(range(1, 200, 2)) == list(done[1]), when
        assert broken.not_started >= 0, when
        assert 200 == second.taken


class AllHooks(TaskManager):
    def get_args(self, task: int) -> Any:
        return (task,)

    def process_result(self, task: int, result: int) -> int:
        return result


def raises_once(monkeypatch: pytest.MonkeyPatch, owner: type, step: str, when: str, at: int) -> None:
    """A MemoryError before or after the call of this count of a method."""
    true = getattr(owner, step)
    calls = 0

    def method(self: Any, *args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at and when == "before":
            raise MemoryError
        answer = true(self, *args, **options)
        if calls == at:
            raise MemoryError
        return answer

    monkeypatch.setattr(owner, step, method)


def test_f27_a_hash_that_raises_what_is_no_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    """As extensions in Rust do. The tasks before it, and itself, have an owner."""

    def panic(task: Any) -> Any:
        raise f.Custom("no memory")

    class Panics:
        def __hash__(self) -> int:
            raise f.Custom("called `Option::unwrap()` on a `None` value")

    tasks = [1, 2, Panics(), 3]
    manager = TaskManager(is_there, logger=None, worker_limit=1)
    assert 4 == manager.start(tasks).succeeded

    other = TaskManager(is_there, logger=None)
    with monkeypatch.context() as patch:
        patch.setattr("task_manager._run.ledger.key_of_unhashable", panic)
        with pytest.raises(f.Custom):
            other.start(tasks)
    summary = other.get_summary()

    assert (summary.taken, {1: True, 2: True}) == (
        summary.succeeded + summary.not_started,
        dict(other.get_result_dict()),
    )
    assert 4 == other.start(tasks).taken
    assert 4 == len(other.get_result_dict())
    assert keys.key_of(tasks[2]) == keys.key_of(tasks[2])
