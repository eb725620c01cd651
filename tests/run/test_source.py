"""Where tasks come from."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from task_manager import ConfigurationError
from task_manager._run import source as source_module
from task_manager._run.source import PATIENCE, IterableSource
from task_manager._signals import HeldSignals


class Clock:
    """The clock of the source, turned by hand."""

    def __init__(self) -> None:
        self.now = 50.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(source_module, "monotonic", clock.monotonic)
    return clock


def numbers(upto: int) -> Iterator[int]:
    yield from range(upto)


def read_all(source: IterableSource, limit: int) -> list[list[Any]]:
    reads = []
    while not source.ended:
        reads.append(source.read(limit, 0.0, HeldSignals()))
    return reads


ITERABLES = [
    list("abcde"),
    tuple("abcde"),
    "abcde",
    dict.fromkeys("abcde"),
    deque("abcde"),
    dict.fromkeys("abcde").keys(),
    iter("abcde"),
    (letter for letter in "abcde"),
]


@pytest.mark.parametrize("tasks", ITERABLES, ids=lambda tasks: type(tasks).__name__)
def test_any_iterable_is_read_in_order(tasks: Any, clock: Clock) -> None:
    """Every task comes once, in the order of the iterable, at most `limit` at a time."""
    source = IterableSource(tasks)

    assert [["a", "b"], ["c", "d"], ["e"]] == read_all(source, limit=2)
    assert (True, None) == (source.ended, source.error)


@settings(deadline=None)
@given(st.integers(0, 30), st.lists(st.integers(1, 12)), st.booleans())
def test_no_task_is_lost_between_two_reads(count: int, limits: list[int], listed: bool) -> None:
    """However the reads are cut, together they are the input."""
    source = IterableSource(list(range(count)) if listed else numbers(count))
    reads = [source.read(limit, 0.0, HeldSignals()) for limit in limits]
    taken = list(itertools.chain(*reads))
    rest = list(itertools.chain(*read_all(source, limit=100)))

    assert all(len(read) <= limit for read, limit in zip(reads, limits, strict=True))
    assert list(range(count)) == taken + rest


@pytest.mark.parametrize(
    "tasks", [[], (), {}, range(0), numbers(0)], ids=lambda tasks: type(tasks).__name__
)
def test_an_empty_input_ends_with_the_first_read(tasks: Any) -> None:
    """No tasks are an input like any other."""
    source = IterableSource(tasks)

    assert not source.ended
    assert [] == source.read(5, 0.0, HeldSignals())
    assert source.ended


def test_a_set_is_an_input() -> None:
    """Each element comes once, in whatever order."""
    (read,) = read_all(IterableSource({3, 1, 2}), limit=10)

    assert [1, 2, 3] == sorted(read)


def test_remaining_counts_down() -> None:
    """Of an input of known length it is known how many tasks are to come."""
    source = IterableSource(range(5))
    remaining = [source.remaining]
    while not source.ended:
        source.read(2, 0.0, HeldSignals())
        remaining.append(source.remaining)

    assert [5, 3, 1, 0] == remaining


def test_nobody_knows_the_length_of_a_generator() -> None:
    """remaining is None, before the first read and after."""
    source = IterableSource(numbers(5))
    before = source.remaining
    source.read(2, 0.0, HeldSignals())

    assert (None, None) == (before, source.remaining)


def test_a_length_that_lies_does_not_count_below_zero() -> None:
    """An input with more tasks than its len() says is read to its end."""

    class Lying:
        def __len__(self) -> int:
            return 2

        def __iter__(self) -> Iterator[int]:
            return numbers(4)

    source = IterableSource(Lying())
    first = source.remaining
    read = source.read(3, 0.0, HeldSignals())

    assert (2, [0, 1, 2], 0) == (first, read, source.remaining)
    assert [[3]] == read_all(source, limit=3)


def test_a_generator_is_read_no_further_than_wanted() -> None:
    """F14: of an endless input only what is asked for is pulled."""
    pulled = []

    def tasks() -> Iterator[int]:
        for n in itertools.count():
            pulled.append(n)
            yield n

    source = IterableSource(tasks())
    source.read(3, 0.0, HeldSignals())
    source.read(1, 0.0, HeldSignals())

    assert [0, 1, 2, 3] == pulled
    assert not source.ended


def test_nothing_is_read_before_the_first_read() -> None:
    """Making a source pulls no task."""
    pulled = []

    def tasks() -> Iterator[int]:
        pulled.append("begun")
        yield 1

    IterableSource(tasks())

    assert [] == pulled


class FailingList(list[int]):
    """A list in name; its iterator raises."""

    def __iter__(self) -> Iterator[int]:
        yield 1
        raise LookupError("the cursor is gone")


def failing() -> Iterator[int]:
    yield from FailingList()


@pytest.mark.parametrize("tasks", [failing(), FailingList([1, 2, 3])], ids=["generator", "list"])
def test_an_error_of_the_input_ends_it(tasks: Any) -> None:
    """F13: what was read before is given, the error is kept, and nothing more comes."""
    source = IterableSource(tasks)

    assert [1] == source.read(10, 0.0, HeldSignals())
    assert source.ended
    assert ("LookupError", "the cursor is gone") == (type(source.error).__name__, str(source.error))
    assert [] == source.read(10, 0.0, HeldSignals())


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_in_the_input_is_raised(error: type[BaseException]) -> None:
    """A Ctrl-C while the input is read is no task's error."""

    def tasks() -> Iterator[int]:
        raise error
        yield

    with pytest.raises(error):
        IterableSource(tasks()).read(10, 0.0, HeldSignals())


def test_a_slow_input_does_not_hold_back_what_has_come(clock: Clock) -> None:
    """After a while what has been read goes, and the next read goes on from there."""

    def tasks() -> Iterator[int]:
        for n in range(10):
            clock.now += PATIENCE / 2 if n < 4 else PATIENCE
            yield n

    source = IterableSource(tasks())
    reads = read_all(source, limit=100)

    assert [[0, 1], [2, 3], [4], [5], [6], [7], [8], [9], []] == reads


def test_a_slow_end_is_the_end(clock: Clock) -> None:
    """However long the input takes to say so."""

    def tasks() -> Iterator[int]:
        yield 1
        clock.now += 100.0

    source = IterableSource(tasks())

    assert [1] == source.read(10, 0.0, HeldSignals())
    assert source.ended


@pytest.mark.parametrize("tasks", [None, 5, 2.5, len, object()], ids=lambda tasks: type(tasks).__name__)
def test_tasks_must_be_an_iterable(tasks: Any) -> None:
    """What is no iterable is refused at the door, in words that say what came."""
    with pytest.raises(ConfigurationError) as caught:
        IterableSource(tasks)

    assert f"tasks must be an iterable of tasks, as a list; got {type(tasks).__name__}" == str(
        caught.value
    )
