"""The values that flow: a batch of attempts out, its outcomes back, and the events told to observers.

They hold columns, not one object a task: position i of every list of a value speaks of the same
attempt.  A per-task object costs more than a tiny task is worth.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ._signals import let_through


@dataclass(frozen=True, slots=True, eq=False)
class Attempt:
    """One call for one task. Made only where a single attempt is looked at: a waiting retry."""

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


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """What came of some attempts of one batch.

    positions: Which attempts of the batch, ascending for all runners but async.
    values: What each returned; None where it failed.
    failures: By position in the batch, those that failed.
    seconds: How long each call took; empty if none of them was made to its end.
    aside: Seconds that a worker has spent on these outcomes besides the calls.
    weight: Bytes an attempt, on its way to a worker; 0 where there is no way.
    """

    positions: Sequence[int]
    values: list[Any]
    failures: dict[int, Failure]
    seconds: list[float]
    aside: float = 0.0
    weight: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Unrun:
    """Attempts that come back from a runner without having been made: they are due again, uncharged."""

    positions: Sequence[int]


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


# ------------------------------------------------------------------ events


@dataclass(frozen=True, slots=True, eq=False)
class Succeeded:
    """These tasks have their results."""

    indices: list[int]
    tasks: list[Any]
    results: list[Any]
    seconds: list[float]


@dataclass(frozen=True, slots=True, eq=False)
class Failed:
    """A task has its error for good, after so many attempts; 0 where no call was made."""

    index: int
    task: Any
    error: BaseException
    attempts: int

    @property
    def when(self) -> str:
        """For people: "after 4 attempts"."""
        if self.attempts == 0:
            return "before its first attempt"
        return f"after {self.attempts} attempt{'s'[: self.attempts != 1]}"


@dataclass(frozen=True, slots=True, eq=False)
class Retrying:
    """Attempt `number` of this task failed; the next one is due in `delay` seconds."""

    index: int
    task: Any
    error: BaseException
    number: int
    delay: float


@dataclass(frozen=True, slots=True, eq=False)
class Repeated:
    """These tasks were taken before and are not run again."""

    tasks: list[Any]


Event = Succeeded | Failed | Retrying | Repeated


@dataclass(frozen=True, slots=True)
class Summary:
    """How a run went.  succeeded + failed + duplicates + not_started = tasks taken.

    succeeded: Tasks with a result.
    failed: Tasks with an error, after their retries.
    duplicates: Tasks met before, and not run again.
    retries: Attempts after the first, all tasks together.
    seconds: From the call of `start` until the last outcome was recorded.
    not_started: Tasks taken whose outcome is unknown since the run was broken off; otherwise 0.
    """

    succeeded: int = 0
    failed: int = 0
    duplicates: int = 0
    retries: int = 0
    seconds: float = 0.0
    not_started: int = 0

    @property
    def taken(self) -> int:
        """Tasks taken from the input."""
        return self.succeeded + self.failed + self.duplicates + self.not_started
