"""TaskChain: managers in a row, each result flowing on as the next one's task."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Any, SupportsIndex

from . import _options as options
from ._chain.book import Book, EntranceSource, Tickets
from ._chain.deaths import Deaths
from ._chain.round import Round
from ._processes.child import FailedStarts, failed_starts_error
from ._run.ledger import Ledger
from ._run.pump import refuse_running_loop
from ._run.recorder import Observer, Recorder
from ._run.results import Results
from ._run.source import IterableSource, Source
from ._runners.kept import Turn
from ._signals import HeldSignals, let_through
from ._task import Event, Failed, Retrying, Succeeded, Summary
from .errors import ConfigurationError
from .manager import TaskManager

CHAIN_MODES = ("serial", "process")


class TaskChain:
    """Runs tasks through stages; each stage's result is the task of the next one.

    stages: The managers, in order. Each stage works in its own execution mode, with its own
        retries, hooks, log and bar.
    chain_mode: "serial": one stage after the other, in this process. "process": every stage in a
        process of its own, all at the same time; a result goes on to the next stage at once, and a
        stage that is too fast waits for the next one.

    Initial tasks are followed by their number, so that equal results on the way stay apart. If the
    first stage deduplicates, repeats among the initial tasks of a start run once; the stages
    themselves take what comes, one for one.

    The final results and errors are kept if the last stage keeps its own.

    In process mode the hooks run in the stage's process, and so do changes to the manager there:
    results, errors and counts come back to this process, attributes that a hook sets do not.

    Raises ConfigurationError (a ValueError) for a wrong option.
    """

    def __init__(self, stages: Iterable[TaskManager] = (), chain_mode: str = "serial") -> None:
        self._stages: list[TaskManager] = []
        for stage in options.iterable("stages", stages, of="managers"):
            self.add_stage(stage)
        self.set_chain_mode(chain_mode)
        self._ledger = Ledger()
        self._results = Results(self._ledger.keys)
        self._summary = Summary()
        self._turn = Turn("a chain makes one start at a time")

    @property
    def stages(self) -> tuple[TaskManager, ...]:
        """The managers, in order. `add_stage` and `remove_stage` change them."""
        return tuple(self._stages)

    @property
    def chain_mode(self) -> str:
        """How the next start runs."""
        return self._chain_mode

    def set_chain_mode(self, chain_mode: str) -> None:
        """Choose how the next start runs: "serial" or "process"."""
        self._chain_mode = options.one_of("chain_mode", chain_mode, CHAIN_MODES)

    def add_stage(self, stage: TaskManager) -> None:
        """Put a manager at the end of the chain."""
        if not isinstance(stage, TaskManager):
            raise ConfigurationError(f"a stage must be a TaskManager; got {stage!r}")
        if any(stage is other for other in self._stages):
            raise ConfigurationError(f"a stage must be a manager of its own; {stage!r} is in the chain")
        self._stages.append(stage)

    def remove_stage(self, index: SupportsIndex) -> None:
        """Take out the stage at this index, counted from 0, or from the end if negative.

        Raises IndexError where there is none, TypeError for what is no whole number.
        """
        try:
            index = operator.index(index)
        except TypeError:
            raise TypeError(
                f"index must be a whole number, where the stage stands in `stages`; got {index!r}"
            ) from None
        try:
            del self._stages[index]
        except IndexError:
            raise IndexError(
                f"there is no stage {index}: the chain has {len(self._stages)}, counted from 0"
            ) from None

    def start_chain(self, tasks: Iterable[Any]) -> Summary:
        """Run the initial tasks through all stages, in the chain's mode; wait until all are done.

        tasks: Any iterable; in process mode it is read as the first stage takes them, so it may be
            endless. An exception out of it is raised at the end, as is one out of `handle_error`.

        Each start runs its tasks, also those that an earlier one has run, as the stages may have
        changed: repeats are those within one start. Results and errors add up over starts, and of
        each task the last outcome stands. `start_chain(get_final_error_dict())` runs the failures
        again. Raises ConfigurationError (a ValueError) if the chain has no stage, and
        RuntimeError in the middle of another start.
        """
        run = {"serial": self.run_chain_in_serial, "process": self.run_chain_in_process}
        return run[self._chain_mode](tasks)

    def run_chain_in_serial(self, tasks: Iterable[Any]) -> Summary:
        """`start_chain` in serial mode, whatever the chain's mode is."""
        return self._start(tasks, self._flow_in_serial)

    def run_chain_in_process(self, tasks: Iterable[Any]) -> Summary:
        """`start_chain` in process mode, whatever the chain's mode is."""
        return self._start(tasks, self._flow_in_process)

    def get_final_result_dict(self) -> Mapping[Any, Any]:
        """Initial task to the result of the last stage, in the order in which they were first taken.

        Else as `TaskManager.get_result_dict`.
        """
        return self._results.values()

    def get_final_error_dict(self) -> Mapping[Any, BaseException]:
        """Initial task to exception; a note on it names the stage and the initial task."""
        return self._results.errors()

    def get_summary(self) -> Summary:
        """The counts of the last start over the initial tasks; all 0 before the first."""
        return self._summary

    # ------------------------------------------------------------------ inside

    def _start(
        self, tasks: Iterable[Any], flow: Callable[[Source, Book], BaseException | None]
    ) -> Summary:
        if not self._stages:
            raise ConfigurationError("a chain needs at least one stage; add_stage puts one in")
        signals = HeldSignals()
        with signals.held(), self._turn.one_run("this chain"):
            source = IterableSource(tasks)
            names = [stage._name for stage in self._stages]
            self._results.begin_run(repeats=True)
            kept = self._ledger.keeps_keys = self._stages[-1].keep_results
            keepers: list[Observer] = [self._results, self._ledger] if kept else []
            book = Book(self._ledger, Recorder(keepers, []), names, self._stages[0].deduplicate)
            with ExitStack() as at_the_end:  # each of these, whatever another one raises
                for stage in self._stages:
                    at_the_end.callback(stage.shutdown_pools)
                at_the_end.callback(self._close, book, source)
                error = signals.through(flow, source, book)
            if error is not None:
                raise error
            if source.error is not None:
                raise source.error
            return self._summary

    def _close(self, book: Book, source: Source) -> None:
        self._summary = book.close(source.dropped)

    def _flow_in_serial(self, initial: Source, book: Book) -> BaseException | None:
        """One stage after the other; the first error that a stage's handle_error raised."""
        if any(stage._awaits for stage in self._stages):
            refuse_running_loop(
                "a serial chain with an async stage", "await asyncio.to_thread(chain.start_chain, tasks)"
            )
        first_error: Exception | None = None
        for number, stage in enumerate(self._stages):
            tickets = Tickets(first=stage._ledger.following)
            link = Progression(number, book, tickets)
            recorder = Recorder([*stage._keepers(), link], stage._guests())
            source: Source
            if number == 0:
                source = EntranceSource(initial, book, tickets, recorder)
            else:
                passed = dict(sorted(book.at[number].items()))
                source = IterableSource(list(passed.values()))
                tickets.come(list(passed))
            try:
                stage._flow(source, recorder, distinct=False)
            except Exception as error:
                let_through(error)
                first_error = first_error or error
        return first_error

    def _flow_in_process(self, initial: Source, book: Book) -> BaseException | None:
        """Rounds, until one ends with all its stages alive."""
        stages = self._stages
        recorders = [stage._recorder() for stage in stages]
        first_error: BaseException | None = None
        signals = HeldSignals()
        with ExitStack() as stack:
            stack.enter_context(signals.held())
            for stage, recorder in zip(stages, recorders, strict=True):
                stack.enter_context(stage._one_chain_run(recorder, initial.remaining))
            deaths = Deaths()
            first = 0
            failed_starts = FailedStarts()
            while first < len(stages):
                round_ = Round(stages, recorders, book, initial, first, deaths, signals)
                died = round_.run()
                if died is not None:
                    if failed_starts.too_many(died):
                        raise failed_starts_error(f"processes of stage {died.number + 1}", died.exitcode)
                    round_.charge(died)
                first_error = first_error or round_.error
                if died is None:
                    break
                if deaths.too_many:
                    round_.give_up(died)
                    first = died.number + 1
                    if not initial.ended:  # its length is unknown, and nobody is left to take the rest
                        first_error = first_error or died.error
        return first_error


class Progression:
    """The observer of a stage in serial mode: tells the book."""

    def __init__(self, stage: int, book: Book, tickets: Tickets) -> None:
        self._stage = stage
        self._book = book
        self._tickets = tickets

    def observe(self, event: Event) -> None:
        match event:
            case Succeeded(indices, _, results):
                self._book.passed(self._stage, self._tickets.leave(indices), results)
            case Failed(index, _, error, attempts):
                (ticket,) = self._tickets.leave([index])
                self._book.failed(self._stage, ticket, error, attempts)
            case Retrying(index, _, error, number, delay):
                self._book.retrying(self._tickets.of(index), error, number, delay)
