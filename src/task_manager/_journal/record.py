"""The journal of one run: what the run tells it is written, and what the file has is known to the run.

    Run, Book ──▶ entered, leaving, observe, not_begun ──▶ Pending ──▶ Store
              ◀── restore, doubtful ◀── Known ◀── what was read of the file

A task is known by its index here, and by its id in the file; `Known` has which is which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from time import time  # bound here, as tests of other code stop the clock
from typing import Any, NoReturn

from .._platform import this_process
from .._repr import WHOLE, short_repr, text_of
from .._reprs import short_reprs
from .._signals import let_through
from .._summary import Summary
from .._task import Batch, Unrun
from ..errors import InDoubtError, JournalError, StageDiedError, TaskTimeoutError, WorkerDiedError
from ..events import Event, Failed, Retrying, RunBegan, Succeeded, Waiting
from ..journal import Journal
from .codec import PICKLE, CodecError, storable
from .errors import row_of
from .known import Known
from .no_record import Fail, NoRecord
from .pending import Pending, said
from .restoring import Ledger, Results, failed_tasks, restore
from .schema import DONE, FAILED, PASSED, STARTED
from .sqlite import sqlite3
from .store import Store

Functions = Sequence[Callable[..., Any]]


class Record(NoRecord):
    """Owns the open journal of one run, from before its first task until after its last outcome.

    In a copy of this process that somebody has forked it does nothing.

    name: Of the file, for people.
    """

    def __init__(self, journal: Journal, functions: Functions, chain: bool, known: Known) -> None:
        """Open it. Raises JournalError where it is refused.

        functions: Of the manager, or of each stage of the chain. known: Of earlier runs in this process.
        """
        self._home = this_process()
        self._store = Store(journal, functions, chain)
        self._codec = self._store.codec
        self.name = Path(journal.path).name
        self._known = known
        self._pending = Pending(self._store, self.name)
        self._marks = journal.started
        self._strict = journal.in_doubt == "error"
        self._cells: dict[int, tuple[Any, str | None] | CodecError] = {}  # by index, of tasks
        self._tasks: dict[int, Any] = {}  # by index, where there are marks
        self._marked: set[int] = set()  # noted as started, without an outcome
        self._touched: set[int] = set()  # of these, what may have had a call that nobody heard of again
        self._run: int | None = None
        self._open = True
        self.observers = (self,)

    # ------------------------------------------------------------------ what the file has

    @property
    def doubtful(self) -> dict[int, Any]:
        """By index, the tasks of which nobody knows whether they were called; told of, they go."""
        return self._known.doubtful

    def restore(self, ledger: Ledger, results: Results, keeps: bool | str) -> None:
        known, amount = self._known, _AMOUNTS[keeps]
        if known.last_run != self._store.last_run or amount > known.kept:
            keeping = results if keeps else None
            restore(self._store, known, ledger, keeping, keeps is True, self._strict, self.name)
            known.last_run = self._store.last_run
            known.kept = amount
        known.kept = min(amount, known.kept)  # no more than that is kept of this run
        if keeps:
            for index, task in self._known.doubtful.items():
                results.observe(Failed(index, task, InDoubtError(task), 0))

    def failed_tasks(self) -> list[Any]:
        return failed_tasks(self._store, self._strict)

    # ------------------------------------------------------------------ what the run does

    def taken(self, indices: list[int], tasks: list[Any], fail: Fail) -> tuple[list[int], list[Any]]:
        self.entered(indices, tasks)
        doubtful = self._known.doubtful
        if doubtful.keys().isdisjoint(indices):
            return indices, tasks
        good: list[int] = []
        for place, (index, task) in enumerate(zip(indices, tasks, strict=True)):
            if doubtful.pop(index, None) is None:
                good.append(place)
            else:
                fail(index, task, InDoubtError(task), 0)
        return [indices[place] for place in good], [tasks[place] for place in good]

    def entered(self, indices: Sequence[int], tasks: Sequence[Any]) -> None:
        """These have been taken, and may be changed from here on: what they are is noted now."""
        if self._home is not this_process():
            return
        if self._marks:
            self._tasks.update(zip(indices, tasks, strict=True))
        cells = self._codec.encode_all(tasks)
        if self._marks or not _NO_CELL.isdisjoint(map(type, cells)):
            texts = iter(
                short_reprs(
                    [t for t, cell in zip(tasks, cells, strict=True) if type(cell) is bytes], WHOLE
                )
            )
            for index, cell in zip(indices, cells, strict=True):
                text = storable(next(texts)) if type(cell) is bytes else None
                self._cells[index] = cell if type(cell) is CodecError else (cell, text)

    def leaving(self, indices: Sequence[int]) -> None:
        if self._home is not this_process():
            return
        if not self._marks:
            if self.calls_here:
                self.resting()
            return
        new = [index for index in indices if index not in self._marked]
        if not new:
            return
        for index in new:
            cell = self._cells[index]
            if type(cell) is not CodecError:
                self._add(index, STARTED, None, None, None, None)
                self._marked.add(index)
            elif self._strict:
                self._refuse(new, f"the task {short_repr(self._tasks[index])}: {cell}")
        if not self._strict:
            self._pending.write_now(sync=True)
        elif (error := self._pending.write(sync=True)) is not None:
            self._refuse(new, said(error))

    def _refuse(self, indices: list[int], why: str) -> NoReturn:
        self.not_begun(indices)
        raise JournalError(
            f"the journal {self.name} cannot note what is about to be called: {why}; "
            "with in_doubt='error' nothing is called without that"
        )

    def resting(self) -> None:
        if self._pending and self._home is this_process():
            self._pending.write_now()

    def returned(self, batch: Batch, unrun: Unrun, fail: Fail) -> Sequence[int]:
        if not self._marks or self._home is not this_process():
            return unrun.positions
        begun = set(unrun.begun)
        self.not_begun(batch.indices[place] for place in unrun.positions if place not in begun)
        if not self._strict:
            self._touched.update(batch.indices[place] for place in begun)
            return unrun.positions
        for place in sorted(begun):
            task = batch.tasks[place]
            fail(batch.indices[place], task, InDoubtError(task), batch.numbers[place])
        return [place for place in unrun.positions if place not in begun]

    def not_begun(self, indices: Iterable[int]) -> None:
        if self._home is not this_process():
            return
        unmarked = self._marked.intersection(indices) - self._touched
        if unmarked:
            self._marked -= unmarked
            self._pending.unmark(self._known.ids_of(sorted(unmarked)))

    # ------------------------------------------------------------------ as an observer

    def observe(self, event: Event) -> None:
        """Note what has happened. Raises nothing: what cannot be written is told at the end."""
        if self._home is not this_process():
            return
        try:
            self._note(event)
            if type(event) is Waiting:
                self._pending.write_now()
            else:
                self._pending.write_if_due()
        except Exception as error:
            let_through(error)
            self._pending.lose(1, text_of(error), f"an outcome cannot be noted: {text_of(error)}")

    def _note(self, event: Event) -> None:
        match event:
            case Succeeded(indices, tasks, results, seconds, attempts):
                self._outcomes(DONE, None, indices, tasks, results, attempts, seconds)
                self._settle(indices)
            case Failed():
                self._failed(event)
            case Retrying(index):
                self.not_begun([index])
            case RunBegan():
                self._begin(event)

    def _begin(self, event: RunBegan) -> None:
        try:
            self._store.begin_run(event.mode or "", event.workers, event.total)
        except sqlite3.Error as error:
            let_through(error)
            self._pending.refuse(error)
        self._run = self._store.last_run

    def _outcomes(
        self,
        state: int,
        stage: int | None,
        indices: Sequence[int],
        tasks: Sequence[Any],
        results: Sequence[Any],
        attempts: Sequence[int],
        seconds: Sequence[float],
    ) -> None:
        values = self._codec.encode_all(results)
        known: list[Any] = list(map(self._cells.get, indices)) if self._cells else []
        if CodecError not in map(type, values) and CodecError not in map(type, known):
            texts: Iterable[str | None] = repeat(None)
            if known:
                cells = [cell or (task, None) for cell, task in zip(known, tasks, strict=True)]
                tasks, texts = zip(*cells, strict=True)
            self._pending.add(
                zip(
                    self._known.ids_of(indices),
                    tasks,
                    texts,
                    repeat(state),
                    repeat(stage),
                    values,
                    attempts,
                    seconds,
                    repeat(time()),
                    repeat(self._run),
                )
            )
            return
        for place, value in enumerate(values):
            index = indices[place]
            if not (
                self._tell_if_lost(self._cells.get(index), "task", tasks[place], state)
                or self._tell_if_lost(value, "result of the task", tasks[place], state)
            ):
                self._add(index, state, stage, value, attempts[place], seconds[place], tasks[place])

    def _failed(self, event: Failed) -> None:
        index, error = event.index, event.error
        unknown = self._strict and index in self._marked and issubclass(type(error), _UNKNOWN)
        if unknown or (type(error) is InDoubtError and error.task is event.task):
            pass  # the note that its call has begun stands: a new process is told that it is in doubt
        elif not self._tell_if_lost(self._cells.get(index), "task", event.task, FAILED):
            (number,) = self._known.ids_of([index])
            self._pending.add_error(row_of(number, error, pickles=self._codec is PICKLE))
            self._add(index, FAILED, None, None, event.attempts, event.seconds, event.task)
        self._settle([index])

    def _add(
        self,
        index: int,
        state: int,
        stage: int | None,
        value: Any,
        attempts: int | None,
        seconds: float | None,
        task: Any = None,
    ) -> None:
        """The row of one task, whose cell is known since it entered, unless it is a plain one."""
        cell = self._cells.get(index, (task, None))
        if isinstance(cell, CodecError):
            return
        (number,) = self._known.ids_of([index])
        self._pending.add([(number, *cell, state, stage, value, attempts, seconds, time(), self._run)])

    def _tell_if_lost(self, cell: Any, what: str, task: Any, state: int) -> bool:
        """Whether this is no cell, but the reason why there is none."""
        if type(cell) is not CodecError:
            return False
        text = f"the {what} {short_repr(task)} cannot be written: {cell}"
        self._pending.lose(state != PASSED, str(cell), text)
        return True

    def _settle(self, indices: Sequence[int]) -> None:
        """These have their outcomes."""
        for owned in (self._cells, self._tasks) if self._cells else ():
            for index in indices:
                owned.pop(index, None)
        if self._marked:
            self._marked.difference_update(indices)
            self._touched.difference_update(indices)

    # ------------------------------------------------------------------ the end

    def close(self, summary: Summary) -> Summary:
        if not self._open or self._home is not this_process():
            return summary
        self._open = False
        if self._run is None:
            self._store.close()
            return summary
        known = self._known
        try:
            why = self._pending.close()
            known.last_run = self._run if self._ended(summary) else None
        finally:
            self._store.close()
        if summary.ended_early is None:
            known.doubtful.clear()  # their owner has been told
        if self._strict:
            known.doubtful.update((index, self._tasks[index]) for index in sorted(self._marked))
        return replace(summary, journal=why, done_in=self.name)

    def _ended(self, summary: Summary) -> bool:
        """Whether the file has the end of the run."""
        try:
            self._store.end_run({name: getattr(summary, name) for name in COUNTS}, summary.ended_early)
        except sqlite3.Error as error:  # a run without an end, as where the process was killed
            let_through(error)
            return False
        return True


_NO_CELL = frozenset({bytes, CodecError})  # what stands for a task that is no plain value
_UNKNOWN = (WorkerDiedError, StageDiedError, TaskTimeoutError)  # what came of the call, nobody knows
_AMOUNTS: dict[bool | str, int] = {False: 0, "errors": 1, True: 2}  # by what a run keeps: see `Known`
COUNTS = ("succeeded", "failed", "duplicates", "retries", "seconds", "not_started", "interrupted")
