"""What a chain keeps from start to start, and the time of one start.

Wanted, initial tasks ──▶ Starts.one ──▶ Book ──▶ results · counts · journal · your observers
│
└── kept: the initial tasks taken, what came of them, the last summary; what is known of the journal
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from types import TracebackType

from .._journal.chain_record import ChainRecord
from .._journal.known import Known
from .._notice import Notice, Unsaid
from .._plan import name_of_function
from .._run.ledger import Ledger
from .._run.recorder import Recorder
from .._run.results import Keeps, Results
from .._run.source import Input, IterableSource, Source
from .._run.untold import Untold
from .._stop import Stop, StoppedAtOnce
from .._summary import Summary
from ..errors import ConfigurationError
from ..events import Observer
from ..journal import Journal
from ..manager import TaskManager
from .book import Book
from .plans import plans_of


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a chain wants of a start: its options, as they are then."""

    stages: Sequence[TaskManager]
    mode: str
    observers: Sequence[Observer]
    journal: Journal | None
    keep_results: Keeps | None = None

    @property
    def keeps(self) -> Keeps:
        """Of its own, and of the stages where `keep_results` is given, in the place of their options."""
        return self.stages[-1].keep_results if self.keep_results is None else self.keep_results

    @property
    def names(self) -> list[str]:
        """Of the functions of its stages, for people."""
        return [name_of_function(stage) for stage in self.stages]


class Starts:
    """Owns it. results: Of all starts. summary: Of the last one. unsaid: Of failures, till the end."""

    def __init__(self) -> None:
        self._ledger = Ledger()
        self.results: Results = Results(self._ledger.keys)
        self.summary: Summary = Summary()
        self.unsaid: Unsaid = Unsaid()
        self._known = Known()
        self._stop: Stop | None = None  # of the start that is going on

    def stop(self) -> bool:
        """As `TaskChain.stop`."""
        stop = self._stop
        return stop is not None and stop.stop()

    @contextmanager
    def one(
        self, wanted: Wanted, given: Input | None, stop: Stop, told: Untold | None = None
    ) -> Iterator[tuple[Book, Source]]:
        """The time of a start. However it ends, its counts are kept, and the pools closed.

        given: The initial tasks; None: those that have failed in earlier starts.
        stop: Its own. That it was stopped at once is no error for who has started it.
        told: What its reader is told, if it is read.

        Raises ConfigurationError, and runs nothing, where there is no stage, or where nobody knows what
        has failed, and JournalError where the journal is refused.
        """
        stages = wanted.stages
        if not stages:
            raise ConfigurationError("a chain needs at least one stage; add_stage puts one in")
        names, keeps = wanted.names, wanted.keeps
        with self._recording(wanted) as record:
            # Where a journal tells what is done, the same task is not run twice.
            self.results.begin_run(repeats=record is None, keeps=keeps)
            self._ledger.keeps_keys = bool(keeps)
            if record is not None:
                record.restore(self._ledger, self.results, keeps)
            given = self._failed(wanted, record) if given is None else given
            essential: list[Observer] = [self.results, self._ledger] if keeps else []
            essential.append(self._notice(wanted))  # it never raises, and needs no news made
            if record is not None:
                essential.append(record)
            source: Source = given
            if told is not None:
                essential.append(told)
                workers = sum(plan.orders.workers for plan in plans_of(stages))
                source = told.source(given, workers)
            observers = [*wanted.observers, *given.observers]
            recorder = Recorder(essential, observers, keeps_errors=bool(keeps))
            distinct = stages[0].deduplicate
            kept = wanted.keep_results
            book = Book(self._ledger, recorder, names, distinct, record, stop, kept, told)
            with ExitStack() as at_the_end:  # each of these, whatever another one raises
                at_the_end.callback(stop.over)
                at_the_end.callback(setattr, self, "_stop", None)
                self._stop = stop
                book.began(source.remaining, wanted.mode)
                for stage in stages:
                    at_the_end.callback(stage.shutdown_pools)
                at_the_end.push(partial(_stopped_at_once, stop))
                at_the_end.push(partial(self._close, book, source))
                yield book, source

    @contextmanager
    def _recording(self, wanted: Wanted) -> Iterator[ChainRecord | None]:
        """The time in which the journal is open, if there is one."""
        if wanted.journal is None:
            yield None
            return
        functions = [stage.func for stage in wanted.stages]
        record = ChainRecord(wanted.journal, functions, self._known)
        try:
            yield record
        finally:
            record.close(self.summary)  # where no start has begun; otherwise that is done

    def _failed(self, wanted: Wanted, record: ChainRecord | None) -> Input:
        """The initial tasks that have failed; with a journal, also those of other processes."""
        keeps = wanted.keeps
        if not keeps and record is None:
            raise ConfigurationError(
                "this chain does not know what failed, as keep_results=False of its last stage keeps no "
                "errors: make that with keep_results='errors', or the chain with a journal"
            )
        if not keeps and record is not None:
            return IterableSource(record.failed_tasks())
        return IterableSource(list(self.results.errors()))

    def reset(self) -> None:
        """Forget what was done; the numbers go on."""
        self._ledger = Ledger(self._ledger.following)
        self.results = Results(self._ledger.keys)
        self.summary = Summary()
        self._known = Known(self._ledger.following)

    def _close(
        self,
        book: Book,
        source: Source,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """As the exit of a context: error: What breaks off the start; None where it goes to its end."""
        self.summary = book.close(source, error)

    def _notice(self, wanted: Wanted) -> Notice:
        drawn = [stage.show_progress for stage in wanted.stages]
        logs = [stage.logger for stage in wanted.stages]
        kept = wanted.keeps
        title = f"chain {', '.join(wanted.names)}"
        return Notice(title, drawn, logs, kept, self.unsaid, lambda: self.results.errors())


def _stopped_at_once(
    stop: Stop,
    kind: type[BaseException] | None,
    error: BaseException | None,
    traceback: TracebackType | None,
) -> bool:
    """As the exit of a context, which goes no further then."""
    return isinstance(error, StoppedAtOnce) and error.stop is stop
