"""How arguments and results cross from process to process, each by itself where it must."""

from __future__ import annotations

import enum
import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions import Bad, CannotPickle, CannotUnpickle, TwoArguments, Unprintable
from task_manager import TransportError
from task_manager._call import IDLE
from task_manager._processes.arguments import named, pack_calls, unnamed
from task_manager._processes.wire import (
    LARGEST_SHARE,
    Column,
    Lost,
    dumps,
    loads,
    pack_values,
    qualified_name,
    shares,
    unpack_value,
)
from task_manager._signals import HeldSignals
from task_manager._task import Failure


@pytest.fixture(autouse=True)
def in_a_run(request: pytest.FixtureRequest) -> Iterator[None]:
    """Where it is known what a signal's handler has raised; an interrupt is tried outside of one."""
    with ExitStack() as stack:
        if "interrupt" not in request.node.name:
            stack.enter_context(HeldSignals().held())
        yield


class Raises:
    """Raises an exception of this type, made without arguments, when it is pickled."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __reduce__(self) -> Any:
        raise self.error


class RaisesAtUnpickle:
    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __reduce__(self) -> Any:
        return _raise, (self.error,)


def _raise(error: type[BaseException]) -> Any:
    raise error


def local() -> Any:
    class Local:
        """A type that no other process can import."""

        def __init__(self) -> None:
            self.lock = threading.Lock()

    return Local()


def endless() -> list[Any]:
    outer: list[Any] = []
    inside = outer
    for _ in range(100_000):
        inside.append([])
        inside = inside[0]
    return outer


class Size(enum.IntEnum):
    SMALL = 1


class Pair(NamedTuple):
    one: int
    other: int


class Text(str):
    """A string in all but its type."""


# What cannot be packed, and what cannot be unpacked, by what stands in the way.
AT_PICKLE = {
    "an error": CannotPickle,
    "SystemExit": lambda: Raises(SystemExit),
    "GeneratorExit": lambda: Raises(GeneratorExit),
    "an error without a text": lambda: Raises(Unprintable),
    "a closure over a lock": lambda: (lambda lock: lambda: lock)(threading.Lock()),
    "a lock": threading.Lock,
    "a generator": lambda: (n for n in ()),
    "a local type": local,
    "too deep": endless,
    "inside a list": lambda: [1, {"a": CannotPickle()}],
}


AT_UNPICKLE = {
    "an error": CannotUnpickle,
    "SystemExit": lambda: Bad("unpickle", "exits"),
    "GeneratorExit": lambda: RaisesAtUnpickle(GeneratorExit),
    "an error without a text": lambda: RaisesAtUnpickle(Unprintable),
    "two arguments": lambda: TwoArguments(404, "not found"),
    "inside a list": lambda: [1, {"a": CannotUnpickle()}],
}


bad_at_pickle = pytest.mark.parametrize("make", AT_PICKLE.values(), ids=AT_PICKLE)


bad_at_unpickle = pytest.mark.parametrize("make", AT_UNPICKLE.values(), ids=AT_UNPICKLE)


PLAIN = [0, -1, 10**30, True, None, 2.5, 1j, "text", "", b"bytes"]


OTHER = [Size.SMALL, Pair(1, 2), Text("text"), [1], (1,), {"a": 1}, {1}, Fraction(1, 3), ValueError, len]


class Slot(list[float]):
    """Remembers what it was told."""

    def __init__(self) -> None:
        super().__init__([IDLE, 0.0])
        self.told: list[tuple[int, float]] = []

    def __setitem__(self, cell: Any, value: Any) -> None:
        super().__setitem__(cell, value)
        self.told.append((cell, value))


def across(values: list[Any]) -> list[Any]:
    """Pack, send, unpack; an error in the place of what is lost."""
    plain, cells = loads(dumps(pack_values(values, Slot(), range(len(values)))))
    arrived = []
    for cell in cells:
        try:
            arrived.append(cell if plain else unpack_value(cell))
        except TransportError as error:
            arrived.append(error)
    return arrived


# ------------------------------------------------------------------ results


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inside: (
        st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=3), inside, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.lists(values))
def test_results_arrive_as_they_were_sent(results: list[Any]) -> None:
    """Whatever they are, and whatever travels with them."""
    assert results == across(results)


@pytest.mark.parametrize("value", [*PLAIN, *OTHER], ids=repr)
def test_a_result_arrives_as_what_it_was(value: Any) -> None:
    """Also one that looks like a plain value keeps its type."""
    arrived = across([value, 1])

    assert [value, 1] == arrived
    assert type(value) is type(arrived[0])


def test_plain_results_share_one_pickle() -> None:
    """Numbers, strings, bytes and None cannot fail, and nobody needs to be told of them."""
    slot = Slot()
    column = pack_values(PLAIN, slot, range(len(PLAIN)))

    assert (True, PLAIN) == column
    assert [] == slot.told


@pytest.mark.parametrize("value", OTHER, ids=repr)
def test_anything_else_has_a_pickle_of_its_own(value: Any) -> None:
    """Each cell is the pickle of one task."""
    plain, cells = pack_values([1, value], Slot(), range(2))

    assert (False, [1, value]) == (plain, [pickle.loads(cell) for cell in cells])


def test_the_slot_says_whose_result_is_being_pickled() -> None:
    """A pickle may kill its process; then it is known whom to charge."""
    slot = Slot()
    pack_values([[1], 2, [3]], slot, [7, 8, 9])

    assert [(0, 7), (0, 8), (0, 9)] == slot.told


@bad_at_pickle
def test_a_result_that_cannot_be_pickled_is_lost_alone(make: Callable[[], Any]) -> None:
    """F4: one named error, with the type of the result and what pickle said; the others arrive."""
    bad = make()
    plain, cells = pack_values([1, bad, "x"], Slot(), range(3))
    arrived = across([1, bad, "x"])

    assert (False, Lost) == (plain, type(cells[1]))
    assert [1, "x"] == [arrived[0], arrived[2]]
    assert TransportError is type(arrived[1])
    assert ("result", qualified_name(type(bad))) == (arrived[1].what, arrived[1].type_name)


@bad_at_unpickle
def test_a_result_that_cannot_be_unpickled_is_lost_alone(make: Callable[[], Any]) -> None:
    """F4: one named error that has the cause; the others arrive."""
    one, bad, other = across([1, make(), "x"])

    assert (1, "x") == (one, other)
    assert (TransportError, "result") == (type(bad), bad.what)
    assert isinstance(bad.__cause__, BaseException)


def test_a_lost_result_says_why() -> None:
    """F4: its type and the words of pickle are kept as text."""
    error = across([CannotPickle()])[0]

    assert (
        "the result cannot cross to another process: functions.CannotPickle: will not be pickled"
        == str(error)
    )


def test_an_interrupt_while_unpickling_is_raised() -> None:
    """F9: a Ctrl-C in the parent is no task's error."""
    with pytest.raises(KeyboardInterrupt):
        unpack_value(dumps(RaisesAtUnpickle(KeyboardInterrupt)))


# ------------------------------------------------------------------ arguments


def packed_calls(calls: list[Any], unpack: bool) -> tuple[Column, dict[int, Failure]]:
    """Those that travel in one share."""
    (share,) = pack_calls(calls, unpack)
    assert len(calls) == share.taken
    return share.column, share.failures


def test_plain_arguments_share_one_pickle() -> None:
    """The calls themselves travel."""
    tuples: list[Any] = [(1, "a"), (), (None,)]
    single: list[Any] = [1, "a", None]

    assert ((True, tuples), {}) == packed_calls(tuples, unpack=True)
    assert ((True, single), {}) == packed_calls(single, unpack=False)


@pytest.mark.parametrize("call", [Pair(1, 2), (1, Pair(1, 2)), ((1, 2),)], ids=repr)
def test_tuples_of_a_class_are_not_plain(call: Any) -> None:
    """They are pickled by the name of their class, which may be nowhere to be found."""
    (plain, cells), failures = packed_calls([call], unpack=True)

    assert (False, {}) == (plain, failures)
    assert [call] == [pickle.loads(packed) for packed in cells]


@pytest.mark.parametrize("value", OTHER, ids=repr)
def test_other_arguments_have_a_pickle_a_call(value: Any) -> None:
    """Each cell is the pickle of what the call is made with."""
    (plain, cells), failures = packed_calls([(1, value), (2,)], unpack=True)
    one = packed_calls([value, 2], unpack=False)

    assert (False, {}) == (plain, failures)
    assert [(1, value), (2,)] == [pickle.loads(packed) for packed in cells]
    assert [value, 2] == [pickle.loads(packed) for packed in one[0].cells]


@bad_at_pickle
def test_an_argument_that_cannot_be_pickled_costs_its_own_task_an_error(make: Callable[[], Any]) -> None:
    """F4: known by its position in the batch, with its cause; the other calls travel."""
    (plain, cells), failures = packed_calls([1, make(), [3]], unpack=False)
    ((position, failure),) = failures.items()
    error: Any = failure.error

    assert (False, [1, [3]]) == (plain, [pickle.loads(packed) for packed in cells])
    assert (1, TransportError, TransportError) == (position, type(error), failure.kind)
    assert "argument" == error.what
    assert isinstance(error.__cause__, BaseException)


@pytest.mark.parametrize(
    ("call", "unpack", "name"),
    [
        (threading.Lock(), False, "_thread.lock"),
        ((1, threading.Lock(), "a"), True, "_thread.lock"),
        ((Fraction(1), threading.Lock()), True, "_thread.lock"),
        ((threading.Lock(),), False, "tuple"),
    ],
)
def test_a_refusing_argument_is_known_by_its_type(call: Any, unpack: bool, name: str) -> None:
    """F4: of several arguments it is the one that refuses."""
    failure = packed_calls([call], unpack)[1][0]

    assert isinstance(failure.error, TransportError)
    assert name == failure.error.type_name


@pytest.mark.parametrize(
    ("call", "unpack", "name"),
    [
        (Fraction(1), False, "fractions.Fraction"),
        ((1, Fraction(1)), True, "fractions.Fraction"),
        ((Fraction(1), {}, Fraction(2)), True, "fractions.Fraction, dict"),
        ((1, "a"), True, "int, str"),
    ],
)
def test_an_argument_that_a_worker_cannot_name(call: Any, unpack: bool, name: str) -> None:
    """F4: it is named here, by what may have refused; any other failure stays as it is."""
    failure = Failure(unnamed(ValueError("no number")), TransportError)
    other = Failure(TransportError("argument", "int", "of a manager inside"), TransportError)
    error = named(failure, call, unpack).error

    assert isinstance(error, TransportError)
    assert ("argument", name, "no number") == (error.what, error.type_name, error.message)
    assert other is named(other, call, unpack)


def test_arguments_are_packed_as_they_are_asked_for() -> None:
    """F30: a share is some megabyte, one that is larger is alone, and the rest is not pickled yet."""
    pickled: list[int] = []

    class Noted:
        def __init__(self, size: int) -> None:
            self.size = size

        def __reduce__(self) -> Any:
            pickled.append(self.size)
            return bytes, (b"x" * self.size,)

    sizes = [10, 20, 2 * LARGEST_SHARE, 30, LARGEST_SHARE // 2, LARGEST_SHARE // 2, 40]
    shares_of = pack_calls([Noted(size) for size in sizes], unpack=False)
    first = next(shares_of)
    then = list(pickled)

    assert (2, sizes[:3]) == (first.taken, then)
    assert [1, 2, 2] == [share.taken for share in shares_of]
    assert sizes == pickled


@pytest.mark.parametrize("unpack", [False, True])
def test_large_plain_arguments_are_parted(unpack: bool) -> None:
    """F30: what travels as a whole is a megabyte at most, or one call."""
    texts = ["x" * (LARGEST_SHARE // 4)] * 8
    calls: list[Any] = [(text, 1) for text in texts] if unpack else texts

    assert [3, 3, 2] == [share.taken for share in pack_calls(calls, unpack)]


def test_an_interrupt_while_pickling_arguments_is_raised() -> None:
    """F9: a Ctrl-C in the parent is no task's error."""
    with pytest.raises(KeyboardInterrupt):
        packed_calls([Raises(KeyboardInterrupt)], unpack=False)


class Local(Exception):
    """With fields of its own."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.field = [message]


# ------------------------------------------------------------------ names and texts


@pytest.mark.parametrize(
    ("cells", "lengths"),
    [
        ([], [0]),
        ([1, 2.0, None, True], [4]),
        ([b"x"] * 1000, [1000]),
        ([b"x" * LARGEST_SHARE] * 3, [1, 1, 1]),
        ([b"x" * (LARGEST_SHARE // 4)] * 8, [3, 3, 2]),
    ],
)
def test_a_column_travels_in_shares_of_a_bounded_size(cells: list[Any], lengths: list[int]) -> None:
    """Large results do not pile up in one report, and small ones are not parted."""
    parted = [cells[share] for share in shares(Column(True, cells))]

    assert lengths == [len(part) for part in parted] or (not cells and parted in ([], [[]]))
    assert cells == [cell for part in parted for cell in part]
