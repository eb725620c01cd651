"""What is known of a journal from one run to the next of the same process."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

NONE = -1


class Known:
    """Which row of the file belongs to which task, by its index.

    first: The index of the first task that may be in it: none that has a lower one ever comes again.

    last_run: The last run in the file that is known here; None: the file must be read.
    kept: What is in the results of all that the file has: 0 nothing, 1 the errors, 2 the results, too.
    doubtful: By index, the tasks of which nobody knows whether they were called, and whose owner has not
        been told of it yet.
    partly: Of a chain: the indices of tasks that may have passed a stage, as the file tells.
    """

    def __init__(self, first: int = 0) -> None:
        self._first = first
        self.forget()

    def forget(self) -> None:
        """The file is read anew."""
        self.last_run: int | None = None
        self.kept = 0
        self.doubtful: dict[int, Any] = {}
        self.partly: set[int] = set()
        self._ids = array("q")  # by index, of the tasks that were known when the file was read
        self._offset = 0  # of those that came later: how far the id is from the index

    def learn(self, indices: Sequence[int], ids: Sequence[int]) -> None:
        """These tasks have these rows."""
        known, first = self._ids, self._first
        if indices and indices[0] == first + len(known) and indices[-1] - indices[0] == len(indices) - 1:
            known.extend(ids)  # they are new here, and numbered one after the other
            return
        for index, number in zip(indices, ids, strict=True):
            missing = index - first + 1 - len(known)
            if missing > 0:
                known.extend([NONE] * missing)
            known[index - first] = number

    def learned(self, following: int, free: int) -> None:
        """The file is read. following: The index of the next new task. free: No row has this id, or a
        higher one: tasks that the file has not, and that come again, are among them.
        """
        known = self._ids
        known.extend([NONE] * (following - self._first - len(known)))
        if NONE in known:
            for place, number in enumerate(known):
                if number == NONE:
                    known[place] = free
                    free += 1
        self._offset = free - following

    def ids_of(self, indices: Sequence[int]) -> Sequence[int]:
        """The rows of these tasks."""
        ids, first, offset = self._ids, self._first, self._offset
        known = first + len(ids)
        if len(ids) and min(indices) < known:
            return [ids[index - first] if index < known else index + offset for index in indices]
        return [index + offset for index in indices] if offset else indices
