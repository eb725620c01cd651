"""What the file has, made known to a run: which tasks are done, their results, errors of others."""

from __future__ import annotations

from typing import Any, Protocol

from .._warning import warn
from ..events import Event, Failed, Succeeded
from .codec import PICKLE, CodecError
from .errors import error_in
from .known import Known
from .schema import DONE, FAILED, STARTED
from .store import Store


class Ledger(Protocol):
    """What numbers the tasks."""

    following: int

    def restore(self, tasks: list[Any]) -> list[int]:
        """The numbers of these tasks. All are done, but those that `fail` is told of next."""
        ...

    def fail(self, index: int) -> None: ...


class Results(Protocol):
    """What keeps results and errors."""

    def observe(self, event: Event) -> None: ...


def restore(
    store: Store,
    known: Known,
    ledger: Ledger,
    results: Results | None,
    keeps_values: bool,
    strict: bool,
    name: str,
) -> None:
    """Read the file. Rows that cannot be read any more cost one warning, with their number.

    name: Of the file, for people.
    results: None: nothing is kept. keeps_values: More than the errors is.
    strict: What may have been called is in doubt; otherwise it is to be run again.
    """
    reading = _Reading(store, known, ledger, results, strict)
    known.forget()
    for rows in store.rows(values=keeps_values, errors=results is not None):
        reading.take(rows)
    known.learned(ledger.following, store.following)
    if reading.lost:
        warn(
            f"{reading.lost:,} row{'s'[: reading.lost > 1]} of the journal {name} cannot be read "
            f"any more ({reading.why}); what they are of runs again if it is given"
        )


class _Reading:
    """Takes in the rows of a file, in order.

    lost: How many cannot be read any more. why: Of the first of them.
    """

    def __init__(
        self, store: Store, known: Known, ledger: Ledger, results: Results | None, strict: bool
    ) -> None:
        self._codec = store.codec
        self._known = known
        self._ledger = ledger
        self._results = results
        self._strict = strict
        self.lost = 0
        self.why: CodecError | None = None

    def take(self, rows: list[tuple[Any, ...]]) -> None:
        tasks = self._codec.decode_all([row[1] for row in rows])
        if CodecError in map(type, tasks):
            self._lose(tasks)
            good = [place for place, task in enumerate(tasks) if type(task) is not CodecError]
            rows, tasks = [rows[place] for place in good], [tasks[place] for place in good]
        values = self._codec.decode_all([row[4] for row in rows])
        indices = self._ledger.restore(tasks)
        self._known.learn(indices, [row[0] for row in rows])
        done = [
            place
            for place, row in enumerate(rows)
            if row[2] == DONE and type(values[place]) is not CodecError
        ]
        if self._results is not None:
            self._results.observe(
                Succeeded(
                    [indices[place] for place in done],
                    [tasks[place] for place in done],
                    [values[place] for place in done],
                    [rows[place][6] for place in done],
                    [rows[place][5] for place in done],
                )
            )
        if len(done) < len(rows):
            self._lose(values)
            finished = set(done)
            for place, row in enumerate(rows):
                if place not in finished:
                    self._take_undone(indices[place], tasks[place], row)

    def _take_undone(self, index: int, task: Any, row: tuple[Any, ...]) -> None:
        _, _, state, stage, _, attempts, seconds, error = row
        self._ledger.fail(index)
        if stage:
            self._known.partly.add(index)
        if state == FAILED and error is not None and self._results is not None:
            restored = error_in(error, pickles=self._codec is PICKLE)
            self._results.observe(Failed(index, task, restored, attempts or 0, seconds))
        if state == STARTED and self._strict:
            self._known.doubtful[index] = task

    def _lose(self, found: list[Any]) -> None:
        for one in found:
            if type(one) is CodecError:
                self.lost += 1
                self.why = self.why or one


def failed_tasks(store: Store, strict: bool) -> list[Any]:
    """The tasks in the file that have failed. strict: Those in doubt too."""
    undone = {FAILED, STARTED} if strict else {FAILED}
    found: list[Any] = []
    for rows in store.rows(values=False, errors=False):
        found += store.codec.decode_all([row[1] for row in rows if row[2] in undone])
    return [task for task in found if type(task) is not CodecError]
