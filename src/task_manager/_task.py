"""The values that flow: a batch of attempts out, and its outcomes back.

They hold columns, not one object a task: position i of every list of a value speaks of the same
attempt.  A per-task object costs more than a tiny task is worth.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import Any, NamedTuple, overload

from ._signals import let_through


@dataclass(frozen=True, slots=True, eq=False)
class Attempt:
    """One call for one task. Made only where a single attempt is looked at: where it waits.

    number: From 1; 0: the first, whose arguments are not made yet.
    """

    index: int
    task: Any
    args: tuple[Any, ...]
    number: int


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Attempts that travel together.

    indices: Which task of the manager, counted from 0 in the order taken.
    tasks: The very objects given.
    calls: What each call is made with: where `unpack`, the tuple of its arguments, and otherwise its
        one argument. A tuple a call would be most of what a tiny task costs.
    unpack: Whether the calls are tuples to be unpacked.
    numbers: The number of each attempt, from 1.
    """

    indices: list[int]
    tasks: list[Any]
    calls: list[Any]
    unpack: bool
    numbers: list[int]

    @classmethod
    def of(cls, attempts: Sequence[Attempt]) -> Batch:
        """Attempts that were looked at one by one, as a batch."""
        return cls(
            [attempt.index for attempt in attempts],
            [attempt.task for attempt in attempts],
            [attempt.args for attempt in attempts],
            True,
            [attempt.number for attempt in attempts],
        )

    def __len__(self) -> int:
        return len(self.indices)

    def part(self, positions: Sequence[int]) -> Batch:
        """The attempts at these positions, as a batch."""
        return Batch(
            [self.indices[position] for position in positions],
            [self.tasks[position] for position in positions],
            [self.calls[position] for position in positions],
            self.unpack,
            [self.numbers[position] for position in positions],
        )

    def attempt(self, position: int) -> Attempt:
        call = self.calls[position]
        args = call if self.unpack else (call,)
        return Attempt(self.indices[position], self.tasks[position], args, self.numbers[position])


class Failure(NamedTuple):
    """The outcome of an attempt that raised.

    kind: The type that was raised, which decides on a retry; it differs from the type of `error`
        where the error itself could not travel and a TransportError stands in its place.
    """

    error: BaseException
    kind: type[BaseException]


class InTurn(Sequence[float]):
    """When calls began that were made one right after the other: reckoned where somebody asks.

    first: When the first one began. seconds: How long each took.
    """

    __slots__ = ("_first", "_seconds")

    def __init__(self, first: float, seconds: Sequence[float]) -> None:
        self._first = first
        self._seconds = seconds

    def __len__(self) -> int:
        return len(self._seconds)

    def __iter__(self) -> Iterator[float]:
        return islice(accumulate(self._seconds, initial=self._first), len(self._seconds))

    @overload
    def __getitem__(self, place: int) -> float: ...
    @overload
    def __getitem__(self, place: slice) -> list[float]: ...
    def __getitem__(self, place: int | slice) -> float | list[float]:
        if place == 0 and self._seconds:
            return self._first
        return list(self)[place]


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """What came of some attempts of one batch.

    positions: Which attempts of the batch, ascending for all runners but async.
    values: What each returned; None where it failed.
    failures: By position in the batch, those that failed.
    seconds: How long each call took, until its end or ours of it; empty if no call was made, or if
        nobody knows. So with the next two.
    began: When each call began, by the clock of `_call`.
    workers: The number of the worker that made each.
    aside: Seconds that a worker has spent on these outcomes besides the calls.
    weight: Bytes an attempt, on its way to a worker; 0 where there is no way.
    """

    positions: Sequence[int]
    values: list[Any]
    failures: dict[int, Failure]
    seconds: list[float]
    began: Sequence[float] = ()
    workers: Sequence[int] = ()
    aside: float = 0.0
    weight: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Unrun:
    """Attempts that come back from a runner without an outcome: they are due again, uncharged.

    begun: Those of them whose call may have begun all the same, as with a worker that has died.
    """

    positions: Sequence[int]
    begun: Sequence[int] = ()


def has_tuples(tasks: list[Any]) -> bool:
    """Whether one of them is a tuple, whatever their classes make of being asked or hashed."""
    try:
        kinds: Iterable[type] = set(map(type, tasks))
    except BaseException as error:  # a metaclass with an __eq__ and no __hash__
        let_through(error)
        kinds = map(type, tasks)
    return any(issubclass(kind, tuple) for kind in kinds)


def is_tuple(value: Any) -> bool:
    """As isinstance, which would ask the value for its __class__."""
    return issubclass(type(value), tuple)
