"""The record of a run without a journal: what a run asks of one, and nothing done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .._summary import Summary
from .._task import Batch, Unrun
from ..events import Observer
from .restoring import Ledger, Results

Fail = Callable[[int, Any, BaseException, int], None]


class NoRecord:
    """The verbs that a run uses.

    observers: Itself, where it is told of what happens. calls_here: A call may keep the run for long.
    """

    observers: tuple[Observer, ...] = ()
    calls_here = False

    def restore(self, ledger: Ledger, results: Results, keeps: bool | str) -> None:
        """Make known to the run what the file has, where that is not known yet.

        keeps: What the results are to have: all, only "errors", or nothing.
        """

    def failed_tasks(self) -> list[Any]:
        """The tasks in the file that have failed, or are in doubt."""
        return []

    def leaving(self, indices: Sequence[int]) -> None:
        """These go to the runner next: after this their calls may begin, and not before.

        Raises JournalError where that has to be written first, and cannot be.
        """

    def resting(self) -> None:
        """The run may wait for long now, as for its input or, in serial mode, for a call."""

    def returned(self, batch: Batch, unrun: Unrun, fail: Fail) -> Sequence[int]:
        """These attempts have come home without an outcome. Answers which of them are to be made again.

        fail: Called with the index, the task, its error and its attempts, of one that must not be.
        """
        return unrun.positions

    def not_begun(self, indices: Iterable[int]) -> None:
        """These had left, and surely no call of theirs has begun."""

    def taken(self, indices: list[int], tasks: list[Any], fail: Fail) -> tuple[list[int], list[Any]]:
        """These have entered. Answers which are to be run; `fail` is called for those in doubt."""
        return indices, tasks

    def close(self, summary: Summary) -> Summary:
        """The end of the run. The summary, with what is to be said of the journal."""
        return summary
