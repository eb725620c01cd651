"""Counts what happened to the tasks of a run, and the kinds of their errors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .._kinds import Kind, kind_of
from .._signals import let_through
from .._summary import ErrorKind, Summary, input_raised
from ..events import Event, Failed, Repeated, Retrying, Succeeded

MOST_KINDS = 100  # that are counted each by itself
FIRST = 20  # errors that are held where nobody keeps all of them
OTHERS = Kind("other kinds", "")


class Tally:
    """Owns the counts.

    keeps_errors: All errors are held for the summary, as they are kept anyway; otherwise the first ones.
    """

    def __init__(self, keeps_errors: bool = False) -> None:
        self._succeeded = self._failed = self._duplicates = self._retries = 0
        self._keeps_errors = keeps_errors
        self._errors: list[BaseException] = []
        self._kinds: dict[Kind, _Counted] = {}

    def observe(self, event: Event) -> None:
        match event:
            case Succeeded(indices):
                self._succeeded += len(indices)
            case Failed(_, task, error):
                self._failed += 1
                try:
                    self._note(task, error)
                except BaseException as broken:  # no memory: the count is what must be right
                    let_through(broken)
            case Retrying():
                self._retries += 1
            case Repeated(tasks):
                self._duplicates += len(tasks)

    def _note(self, task: Any, error: BaseException) -> None:
        if self._keeps_errors or len(self._errors) < FIRST:
            self._errors.append(error)
        kind = kind_of(error)
        counted = self._kinds.get(kind)
        if counted is None:
            if len(self._kinds) >= MOST_KINDS:
                kind = OTHERS
            counted = self._kinds.setdefault(kind, _Counted(task, error))
        counted.count += 1

    @property
    def outcomes(self) -> tuple[int, int]:
        """Tasks that have failed, and that have succeeded."""
        return self._failed, self._succeeded

    def so_far(
        self,
        seconds: float,
        taken: int,
        interrupted: int,
        broken_off: str | None,
        input_error: Exception | None,
    ) -> Summary:
        """The counts up to now. What has no outcome when a run was broken off is not started.

        taken: Tasks that were read, or would have been. broken_off: Why it was, or stopped.
        """
        settled = self.summary(seconds, not_started=0)
        if broken_off is None:
            return (
                settled
                if input_error is None
                else replace(settled, ended_early=input_raised(input_error))
            )
        not_started = taken - settled.taken
        return replace(
            settled,
            not_started=not_started,
            # One may be counted, and still be in flight.
            interrupted=min(interrupted, not_started),
            ended_early=broken_off,
        )

    def summary(
        self,
        seconds: float,
        not_started: int,
        interrupted: int = 0,
        ended_early: str | None = None,
    ) -> Summary:
        others = [self._kinds[OTHERS]] if OTHERS in self._kinds else []
        ranked = sorted(
            ((kind, counted) for kind, counted in self._kinds.items() if counted not in others),
            key=lambda ranked: -ranked[1].count,
        )
        ranked += [(OTHERS, counted) for counted in others]
        return Summary(
            succeeded=self._succeeded,
            failed=self._failed,
            duplicates=self._duplicates,
            retries=self._retries,
            seconds=seconds,
            not_started=not_started,
            interrupted=interrupted,
            kinds=tuple(
                ErrorKind(*kind, counted.count, counted.task, counted.error) for kind, counted in ranked
            ),
            ended_early=ended_early,
            errors=tuple(self._errors),
        )


class _Counted:
    """How many errors there were of a kind, and the first of them."""

    __slots__ = ("count", "error", "task")

    def __init__(self, task: Any, error: BaseException) -> None:
        self.count = 0
        self.task = task
        self.error = error
