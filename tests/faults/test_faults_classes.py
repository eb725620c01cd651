"""Classes that refuse to be hashed, compared or asked: F27, in keys, in pickles and in mappings."""

from __future__ import annotations

from typing import Any

import pytest

import functions as f
from task_manager import TaskChain, TransportError
from task_manager._processes.wire import PLAIN, all_of
from task_manager._run.keys import TaskDict, all_hashable, key_of, key_of_unhashable, mapping_of
from task_manager._run.ledger import Ledger
from task_manager._run.results import Results
from task_manager.events import Failed, Succeeded


class PanicException(BaseException):
    """As extensions in Rust raise it: no Exception."""


def panic(*_: Any) -> Any:
    raise PanicException


class Equal(type):
    """Compares models, say by name; which takes __hash__ away."""

    def __eq__(cls, other: object) -> bool:
        return cls is other


class Panicking(type):
    __hash__ = panic  # type: ignore[assignment]


class Asked(type):
    __instancecheck__ = __subclasscheck__ = panic


class Thing:
    def __init__(self, n: int) -> None:
        self.n = n


class Unhashable(Thing, metaclass=Equal):
    pass


class PanickingHash(Thing, metaclass=Panicking):
    pass


class NotAsked(Thing, metaclass=Asked):
    pass


class Proxy(Thing):
    """A lazy proxy whose target is not there."""

    __class__ = property(panic)  # type: ignore[assignment]


class HashPanics(Thing):
    __hash__ = panic  # type: ignore[assignment]


class EqPanics(Thing):
    __eq__ = panic

    def __hash__(self) -> int:
        return 1


class AllPanics(Thing):
    def __getattribute__(self, name: str) -> Any:
        panic()

    __hash__ = __eq__ = panic  # type: ignore[assignment]


CLASSES = [Unhashable, PanickingHash, NotAsked, Proxy, HashPanics, EqPanics, AllPanics]
by_class = pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: type.__repr__(kind)[8:-2])
wraps = pytest.mark.parametrize(
    "wrap",
    [
        lambda one: one,
        lambda one: [one],
        lambda one: {"a": (one,)},
        lambda one: (one, [1]),
        lambda one: [one, *range(1000)],
        lambda one: {"a": [{"b": one}], **dict.fromkeys(range(1000))},
    ],
    ids=["itself", "list", "dict", "tuple", "big list", "big dict"],
)


@by_class
@wraps
def test_f27_every_object_has_a_key(kind: Any, wrap: Any) -> None:
    """Whatever its class refuses, the very object is the same task, and another one is another."""
    one, other = wrap(kind(1)), wrap(kind(2))
    ledger = Ledger()
    ledger.begin_run()
    indices, _, repeats = ledger.enter_new([one, other, one, other])

    assert ([0, 1], 2) == (indices, len(repeats))
    assert key_of(one) == key_of(one)
    assert key_of_unhashable(one) != key_of_unhashable(other)


@by_class
@wraps
@pytest.mark.parametrize("repeats", [True, False])
def test_f27_every_object_finds_its_outcome(kind: Any, wrap: Any, repeats: bool) -> None:
    """In the mappings of results and errors, whether repeats are run or not."""
    tasks = [wrap(kind(n)) for n in range(4)]
    ledger = Ledger()
    results = Results(ledger.keys)
    ledger.begin_run()
    results.begin_run(repeats)
    entered = ledger.enter_all(tasks) if repeats else ledger.enter_new(tasks)
    error = ValueError()
    for event in (
        Succeeded(entered.indices[:3], tasks[:3], [0, 1, 2], [], []),
        Failed(3, tasks[3], error, 1),
    ):
        results.observe(event)
        ledger.observe(event)
    values, errors = results.values(), results.errors()

    assert (3, 1) == (len(values), len(errors))
    assert [0, 1, 2] == [values[task] for task in tasks[:3]]
    assert error is errors[tasks[3]]
    assert tasks[3] not in values


@by_class
def test_f27_no_object_is_plain(kind: Any) -> None:
    """A type that cannot be hashed is none of those that were asked for."""
    assert not all_of(PLAIN, [1, kind(1)])
    assert all_of(PLAIN, [1, "a", None])
    assert not all_hashable([kind(1), []])


@by_class
def test_f27_a_mapping_of_such_tasks(kind: Any) -> None:
    """A task is found by itself, and what is no task is not there."""
    tasks = [kind(n) for n in range(3)]
    mapping = mapping_of(tasks, [0, 1, 2])
    if not isinstance(mapping, dict):
        assert [0, 1, 2] == [mapping[task] for task in tasks]
    table: Any = TaskDict(zip(tasks, range(3), strict=True))

    assert [0, 1, 2] == [table[task] for task in tasks]
    assert kind(9) not in table


def thing_of_seven(n: int) -> Any:
    kind, rest = divmod(n, 20)
    return CLASSES[kind](n) if rest == 7 else n


NUMBERS = range(20 * len(CLASSES))


@pytest.mark.parametrize("start_method", f.START_METHODS)
def test_f27_as_a_result_of_a_worker(start_method: str) -> None:
    """It costs its own task at most, by a named error, and no worker."""
    with f.manager_of(thing_of_seven, start_method) as manager:
        summary = manager.start(NUMBERS)
        errors = manager.get_error_dict()

        assert len(NUMBERS) == summary.succeeded + summary.failed
        assert {TransportError} >= {type(error) for error in errors.values()}
        assert all(n % 20 == 7 for n in errors)


@pytest.mark.parametrize("chain_mode", ["serial", "thread", "process"])
def test_f27_as_a_result_of_a_chain(chain_mode: str) -> None:
    """The same at the end of a chain: the others arrive."""
    chain = TaskChain([f.stage(f.same), f.stage(thing_of_seven)], chain_mode)
    summary = chain.start_chain(NUMBERS)
    errors = chain.get_final_error_dict()

    assert len(NUMBERS) == summary.succeeded + summary.failed
    assert {TransportError} >= {type(error) for error in errors.values()}
    assert all(n % 20 == 7 for n in errors)
