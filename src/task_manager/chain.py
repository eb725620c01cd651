"""TaskChain: managers in a row, each result flowing on as the next one's task."""

from __future__ import annotations

import operator
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from types import TracebackType
from typing import Any, Generic, NamedTuple, SupportsIndex, overload

from . import _options as options
from ._chain.book import Book
from ._chain.process import run_in_processes, run_in_processes_async
from ._chain.serial import run_in_serial, run_in_serial_async
from ._door import Row, door
from ._generic import R, Result, T, Task
from ._notice import Notice
from ._plan import name_of_function
from ._run.inputs import AsyncTasks, Tasks, awaited_input_of, input_of
from ._run.ledger import Ledger
from ._run.recorder import Recorder
from ._run.results import Results
from ._run.source import Input, Source
from ._runners.kept import Turn
from ._signals import HeldSignals
from ._summary import Summary
from .errors import ConfigurationError
from .events import Observer
from .journal import Journal
from .manager import TaskManager, runs_of
from .options import ChainMode

__all__ = ["TaskChain"]


class Ways(NamedTuple):
    """How the stages run: told them, the initial tasks and the book, it answers with the first error out
    of a stage's handle_error. start_async: The same, in the running event loop.
    """

    start: Callable[[Sequence[TaskManager[Any, Any]], Source, Book], BaseException | None]
    start_async: Callable[
        [Sequence[TaskManager[Any, Any]], Source, Book], Awaitable[BaseException | None]
    ]


# By the name that a user picks.
# They are imported now, and not when first needed: what they bind by name, as the clock, is to be the
# true one, whatever a test of other code puts into those modules for the time of a start.
CHAIN_MODES: dict[str, Ways] = {
    "serial": Ways(run_in_serial, run_in_serial_async),
    "process": Ways(run_in_processes, run_in_processes_async),
}
_AWAITED = "await chain.start_chain_async(tasks)"


def _mode(name: str, value: Any) -> str:
    return options.one_of(name, value, CHAIN_MODES)


def _managers(name: str, value: Any) -> tuple[TaskManager[Any, Any], ...]:
    """As a tuple; each of them once only, as each keeps what is its own."""
    stages: list[TaskManager[Any, Any]] = []
    for stage in options.iterable(name, value, of="managers"):
        if not isinstance(stage, TaskManager):
            raise ConfigurationError(f"a stage must be a TaskManager; got {stage!r}")
        if any(stage is other for other in stages):
            raise ConfigurationError(f"a stage must be a manager of its own; {stage!r} is in the chain")
        stages.append(stage)
    return tuple(stages)


_CHAIN = {
    "stages": Row(_managers, instead="add_stage and remove_stage change them"),
    "chain_mode": Row(_mode, instead="set_chain_mode changes it"),
    "observers": Row(options.observers),
    "journal": Row(options.journal),
}


@door("chain", _CHAIN, "_ledger", "_results", "_summary", "_turn")
class TaskChain(Generic[T, R]):
    """Runs tasks through stages; each stage's result is the task of the next one.

    stages: The managers, in order. Each stage works in its own execution mode, with its own
        retries, hooks, log and bar.
    chain_mode: "serial": one stage after the other, in this process. "process": every stage in a
        process of its own, all at the same time; a result goes on to the next stage at once, and a
        stage that is too fast waits for the next one.
    observers: Objects of yours that are told the news of each start, as `task_manager.events` says:
        of the initial tasks, with the stage. Those of a stage's manager are told of its own tasks.
    journal: As of a TaskManager: every outcome of an initial task goes to this file, and where it has
        got to. A later start of the same script goes on there.

    Initial tasks are followed by their number, so that equal results on the way stay apart. If the
    first stage deduplicates, repeats among the initial tasks of a start run once; the stages
    themselves take what comes, one for one.

    For editors a chain is generic, from its first task to its last result: `TaskChain[str, int]`. That
    is known by itself where the stages come as a tuple.

    The final results and errors are kept if the last stage keeps its own; the errors alone if it keeps
    those alone.

    In process mode the hooks run in the stage's process, and so do changes to the manager there:
    results, errors and counts come back to this process, attributes that a hook sets do not.

    Raises ConfigurationError (a ValueError) for a wrong option.
    """

    stages: tuple[TaskManager[Any, Any], ...]
    chain_mode: ChainMode
    observers: Sequence[Observer]
    journal: Journal | None

    # For editors. Of a tuple they know the first and the last element, of a list one type for all.
    @overload
    def __init__(
        self: TaskChain[Task, Result],
        stages: tuple[TaskManager[Task, Result]],
        chain_mode: ChainMode = "serial",
        *,
        observers: Iterable[Observer] = (),
        journal: str | os.PathLike[str] | Journal | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: TaskChain[Task, Result],
        stages: tuple[
            TaskManager[Task, Any], *tuple[TaskManager[Any, Any], ...], TaskManager[Any, Result]
        ],
        chain_mode: ChainMode = "serial",
        *,
        observers: Iterable[Observer] = (),
        journal: str | os.PathLike[str] | Journal | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        stages: Iterable[TaskManager[Any, Any]] = (),
        chain_mode: ChainMode = "serial",
        *,
        observers: Iterable[Observer] = (),
        journal: str | os.PathLike[str] | Journal | None = None,
    ) -> None: ...
    def __init__(
        self,
        stages: Iterable[TaskManager[Any, Any]] = (),
        chain_mode: ChainMode = "serial",
        *,
        observers: Iterable[Observer] = (),
        journal: str | os.PathLike[str] | Journal | None = None,
    ) -> None:
        self._ledger = Ledger()  # the options have been checked and kept at the door
        self._results = Results(self._ledger.keys)
        self._summary = Summary()
        self._turn = Turn("a chain makes one start at a time")

    def set_chain_mode(self, chain_mode: ChainMode) -> None:
        """Choose how the next start runs: "serial" or "process"."""
        vars(self)["chain_mode"] = _mode("chain_mode", chain_mode)

    def add_stage(self, stage: TaskManager[Any, Any]) -> None:
        """Put a manager at the end of the chain."""
        vars(self)["stages"] = _managers("stages", (*self.stages, stage))

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
        stages = list(self.stages)
        try:
            del stages[index]
        except IndexError:
            raise IndexError(
                f"there is no stage {index}: the chain has {len(stages)}, counted from 0"
            ) from None
        vars(self)["stages"] = tuple(stages)

    def start_chain(self, tasks: Tasks[T]) -> Summary:
        """Run the initial tasks through all stages, in the chain's mode; wait until all are done.

        tasks: Any iterable or a queue, as for `TaskManager.start`; in process mode it is read as the
            first stage takes them, so it may be endless. An exception out of it is raised at the end,
            as is one out of `handle_error`.

        Each start runs its tasks, also those that an earlier one has run, as the stages may have
        changed: repeats are those within one start. Results and errors add up over starts, and of
        each task the last outcome stands. `start_chain(get_final_error_dict())` runs the failures
        again. Raises ConfigurationError (a ValueError) if the chain has no stage, and
        RuntimeError in the middle of another start.
        """
        return self._start(tasks, self.chain_mode)

    def start(self, tasks: Tasks[T]) -> Summary:
        """The same as `start_chain`."""
        return self.start_chain(tasks)

    async def start_chain_async(self, tasks: AsyncTasks[T]) -> Summary:
        """`start_chain`, awaited in the caller's event loop, with stages of any mode.

        tasks: Async iterables too, as `TaskManager.start_async` takes them.

        The loop goes on meanwhile, except while a stage in serial mode calls its function there, and
        while processes are started or ended. Cancelling it ends the chain as a Ctrl-C does.
        """
        signals = HeldSignals()
        with signals.held(), self._turn.one_run("this chain"):
            source = signals.through(awaited_input_of, tasks, _AWAITED)
            with self._one_start(source, self.chain_mode) as book:
                try:
                    with signals.let_in():
                        start = CHAIN_MODES[self.chain_mode].start_async
                        error = await start(self.stages, source, book)
                finally:
                    await source.close()
                book.returned(error)
            return self._answer(error, source)

    def run_chain_in_serial(self, tasks: Tasks[T]) -> Summary:
        """`start_chain` in serial mode, whatever the chain's mode is."""
        return self._start(tasks, "serial")

    def run_chain_in_process(self, tasks: Tasks[T]) -> Summary:
        """`start_chain` in process mode, whatever the chain's mode is."""
        return self._start(tasks, "process")

    def get_final_result_dict(self) -> Mapping[T, R]:
        """Initial task to the result of the last stage, in the order in which they were first taken.

        Else as `TaskManager.get_result_dict`.
        """
        return self._results.values()

    def get_final_error_dict(self) -> Mapping[T, BaseException]:
        """Initial task to exception; a note on it names the stage and the initial task."""
        return self._results.errors()

    def get_summary(self) -> Summary:
        """The counts of the last start over the initial tasks; all 0 before the first."""
        return self._summary

    def reset(self) -> None:
        """Forget what was done: results, errors and the summary, here and in the stages' managers.

        Workers are kept. Raises RuntimeError, and forgets nothing, in the middle of a start or of a run
        of a stage.
        """
        with self._turn.one_run("this chain"), ExitStack() as resting:
            for stage in self.stages:
                resting.enter_context(runs_of(stage).at_rest(repr(stage)))
            for stage in self.stages:
                runs_of(stage).reset()
            self._ledger = Ledger(self._ledger.following)
            self._results = Results(self._ledger.keys)
            self._summary = Summary()

    # ------------------------------------------------------------------ inside

    def _start(self, tasks: Tasks[T], mode: str) -> Summary:
        signals = HeldSignals()
        with signals.held(), self._turn.one_run("this chain"):
            source = signals.through(input_of, tasks, _AWAITED)
            with self._one_start(source, mode) as book:
                error = signals.through(CHAIN_MODES[mode].start, self.stages, source, book)
                book.returned(error)
            return self._answer(error, source)

    @contextmanager
    def _one_start(self, source: Input, mode: str) -> Iterator[Book]:
        """The time of a start. However it ends, its counts are kept, and the pools closed."""
        if not self.stages:
            raise ConfigurationError("a chain needs at least one stage; add_stage puts one in")
        names = [name_of_function(stage) for stage in self.stages]
        keeps = self.stages[-1].keep_results
        self._results.begin_run(repeats=True, keeps=keeps)
        self._ledger.keeps_keys = bool(keeps)
        essential: list[Observer] = [self._results, self._ledger] if keeps else []
        essential.append(self._notice(names))  # it never raises, and needs no news to be made for it
        observers = [*self.observers, *source.observers]
        recorder = Recorder(essential, observers, keeps_errors=bool(keeps))
        book = Book(self._ledger, recorder, names, self.stages[0].deduplicate)
        book.began(source.remaining, mode)
        with ExitStack() as at_the_end:  # each of these, whatever another one raises
            for stage in self.stages:
                at_the_end.callback(stage.shutdown_pools)
            at_the_end.push(partial(self._close, book, source))
            yield book

    def _answer(self, error: BaseException | None, source: Source) -> Summary:
        if error is not None:
            raise error
        if source.error is not None:
            raise source.error
        return self._summary

    def _notice(self, names: Sequence[str]) -> Notice:
        drawn = [stage.show_progress for stage in self.stages]
        logs = [stage.logger for stage in self.stages]
        return Notice(f"chain {', '.join(names)}", drawn, logs, self.stages[-1].keep_results)

    def _close(
        self,
        book: Book,
        source: Source,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """As the exit of a context: error: What breaks off the start; None where it goes to its end."""
        self._summary = book.close(source, error)
