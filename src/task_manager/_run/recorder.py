"""Hands events to observers."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Sequence
from typing import Protocol

from .._platform import this_process
from .._repr import text_of
from .._task import Event, Failed, Repeated, Retrying, Succeeded, Summary


class Observer(Protocol):
    """Takes the news of a run, as it comes."""

    def observe(self, event: Event) -> None: ...


class GuestObserver(Observer, Protocol):
    """An observer that shows or writes the news; the run does not depend on it.

    It is opened before the first event, and closed after the last one.

    name: What users call it, for the warning if it fails.
    """

    name: str

    def open(self, total: int | None) -> None:
        """total: Tasks to come, None where unknown."""
        ...

    def tick(self) -> None:
        """Called from time to time while nothing happens: write what is held back."""
        ...

    def close(self, summary: Summary) -> None: ...


def _levels_inside() -> int:
    """How far up the stack, as `warnings.warn` counts, the first frame of the user's is."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back and str(frame.f_globals.get("__name__")).partition(".")[0] in _BETWEEN:
        level, frame = level + 1, frame.f_back
    return level


# What stands on the stack between a line of the user's and ours.
_BETWEEN = frozenset(
    [__name__.partition(".")[0], "asyncio", "concurrent", "contextlib", "functools", "threading"]
)


class Tally:
    """Counts what happened to the tasks."""

    def __init__(self) -> None:
        self._succeeded = self._failed = self._duplicates = self._retries = 0

    def observe(self, event: Event) -> None:
        match event:
            case Succeeded(indices):
                self._succeeded += len(indices)
            case Failed():
                self._failed += 1
            case Retrying():
                self._retries += 1
            case Repeated(tasks):
                self._duplicates += len(tasks)

    def summary(self, seconds: float, not_started: int) -> Summary:
        return Summary(
            succeeded=self._succeeded,
            failed=self._failed,
            duplicates=self._duplicates,
            retries=self._retries,
            seconds=seconds,
            not_started=not_started,
        )


class Recorder:
    """Owns the observers of one run.

    essential: Told first. What they raise ends the run.
    guests: One that fails is detached with one warning, and the run and its results go on.
    tally: The counts, always kept.

    In a copy of this process that a hook has forked, and that ends in the middle of the run, the
    guests are told nothing: the bar and the log are those of the parent.
    """

    def __init__(self, essential: Sequence[Observer], guests: Sequence[GuestObserver]) -> None:
        self.tally = Tally()
        self._essential = (*essential, self.tally)  # what is counted is kept, whatever raises
        self._guests = list(guests)
        self._home = this_process()

    def open(self, total: int | None) -> None:
        for guest in tuple(self._guests):
            try:
                guest.open(total)
            except Exception as error:
                self._detach(guest, error)

    def record(self, event: Event) -> None:
        for observer in self._essential:
            observer.observe(event)
        for guest in self._present():
            try:
                guest.observe(event)
            except Exception as error:
                self._detach(guest, error)

    def tick(self) -> None:
        for guest in self._present():
            try:
                guest.tick()
            except Exception as error:
                self._detach(guest, error)

    def close(self, summary: Summary) -> None:
        for guest in self._present():
            try:
                guest.close(summary)
            except Exception as error:
                self._detach(guest, error)
        self._guests.clear()

    def _present(self) -> tuple[GuestObserver, ...]:
        return tuple(self._guests) if self._home is this_process() else ()

    def _detach(self, guest: GuestObserver, error: Exception) -> None:
        self._guests.remove(guest)
        with contextlib.suppress(Exception):  # where warnings are errors, or stderr is gone
            warnings.warn(
                f"the {guest.name} failed and is left out of the rest of this run, "
                f"which goes on: {text_of(error)}",
                RuntimeWarning,
                stacklevel=_levels_inside(),
            )
