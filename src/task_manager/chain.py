"""TaskChain: managers in a row, each result flowing on as the next one's task."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, SupportsIndex, overload

from . import _options as options
from ._chain.face import ChainStreams
from ._chain.modes import CHAIN_MODES
from ._chain.starts import Starts, Wanted
from ._door import Row, door
from ._generic import R, Result, T, Task
from ._run.inputs import AsyncTasks, Tasks, awaited_input_of, input_of
from ._run.source import Input, Source
from ._runners.kept import Turn
from ._signals import HeldSignals
from ._stop import Stop
from ._summary import Summary
from .errors import ConfigurationError
from .events import Observer
from .journal import Journal
from .manager import TaskManager, runs_of
from .options import ChainMode

__all__ = ["TaskChain"]


_failed: Callable[[], None] = lambda: None  # noqa: E731 - the initial tasks that have failed
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
        if stage.journal is not None:
            raise ConfigurationError(
                f"a stage must have no journal of its own; give it to the chain: TaskChain(..., "
                f"journal={os.fspath(stage.journal.path)!r}); got {stage!r}"
            )
        stages.append(stage)
    return tuple(stages)


def _journal(name: str, value: Any, stages: Sequence[TaskManager[Any, Any]]) -> Journal | None:
    journal = options.journal(name, value)
    _fits(journal, stages)
    return journal


def _fits(journal: Journal | None, stages: Sequence[TaskManager[Any, Any]]) -> None:
    if journal is not None and stages and not stages[0].deduplicate:
        raise ConfigurationError(
            "journal needs deduplicate=True of the first stage: what is done is known by the initial "
            f"task, so that equal tasks are one; got {stages[0]!r} with deduplicate=False"
        )


_CHAIN = {
    "stages": Row(_managers, instead="add_stage and remove_stage change them"),
    "chain_mode": Row(_mode, instead="set_chain_mode changes it"),
    "observers": Row(options.observers),
    "journal": Row(_journal, beside="stages"),
}


@door("chain", _CHAIN, "_starts", "_turn")
class TaskChain(ChainStreams[T, R]):
    """Runs tasks through stages; each stage's result is the task of the next one.

    stages: The managers, in order. Each stage works in its own execution mode, with its own
        retries, hooks, log and bar.
    chain_mode: "serial": one stage after the other, in this process. "process": every stage in a
        process of its own, all at the same time; a result goes on to the next stage at once, and a
        stage that is too fast waits for the next one. "thread": the same, every stage in a thread of
        this process: nothing is pickled.
    observers: Objects of yours that are told the news of each start, as `task_manager.events` says:
        of the initial tasks, with the stage. Those of a stage's manager are told of its own tasks.
    journal: As of a TaskManager: every outcome of an initial task goes to this file, and what each stage
        has made of it. A later start of the same script goes on from there, in any mode. It is bound
        to the functions of the stages.

    Initial tasks are followed by their number, so that equal results on the way stay apart. If the
    first stage deduplicates, as with a journal it must, repeats among the initial tasks of a start run
    once; the stages themselves take what comes, one for one.

    For editors a chain is generic, from its first task to its last result: `TaskChain[str, int]`. That
    is known by itself where the stages come as a tuple.

    The final results and errors are kept if the last stage keeps its own; the errors alone if it keeps
    those alone.

    In thread mode the hooks run in the stage's thread; the input is read, and observers are told, in
    that of the caller. In process mode the hooks run in the stage's process, and so do changes to the
    manager there: results, errors and counts come back to this process, attributes that a hook sets do
    not.

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
        self._starts = Starts()  # the options have been checked and kept at the door
        self._turn = Turn("a chain makes one start at a time")

    def set_chain_mode(self, chain_mode: ChainMode) -> None:
        """Choose how the next start runs: "serial", "thread" or "process"."""
        vars(self)["chain_mode"] = _mode("chain_mode", chain_mode)

    def add_stage(self, stage: TaskManager[Any, Any]) -> None:
        """Put a manager at the end of the chain."""
        self._change((*self.stages, stage))

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
        self._change(stages)

    def start_chain(self, tasks: Tasks[T]) -> Summary:
        """Run the initial tasks through all stages, in the chain's mode; wait until all are done.

        tasks: Any iterable or a queue, as for `TaskManager.start`; in thread and process mode it is read
            as the first stage takes them, so it may be endless. An exception out of it is raised at the
            end, as is one out of `handle_error`.

        Each start runs its tasks, also those that an earlier one has run, as the stages may have
        changed: repeats are those within one start. Results and errors add up over starts, and of
        each task the last outcome stands. With a journal, what has arrived in any earlier start is a
        repeat as well, and what has not begins at the stage that it had got to.

        Raises ConfigurationError (a ValueError) if the chain has no stage, JournalError if its journal
        is refused, and RuntimeError in the middle of another start.
        """
        return self._start(partial(input_of, tasks, _AWAITED), self.chain_mode)

    def start(self, tasks: Tasks[T]) -> Summary:
        """The same as `start_chain`."""
        return self.start_chain(tasks)

    async def start_chain_async(self, tasks: AsyncTasks[T]) -> Summary:
        """`start_chain`, awaited in the caller's event loop, with stages of any mode.

        tasks: Async iterables too, as `TaskManager.start_async` takes them.

        The loop goes on meanwhile, except while a stage in serial mode calls its function there, and
        while processes are started or ended. Cancelling it ends the chain as a Ctrl-C does.
        """
        return await self._start_async(partial(awaited_input_of, tasks, _AWAITED))

    def run_chain_in_serial(self, tasks: Tasks[T]) -> Summary:
        """`start_chain` in serial mode, whatever the chain's mode is."""
        return self._start(partial(input_of, tasks, _AWAITED), "serial")

    def run_chain_in_thread(self, tasks: Tasks[T]) -> Summary:
        """`start_chain` in thread mode, whatever the chain's mode is."""
        return self._start(partial(input_of, tasks, _AWAITED), "thread")

    def run_chain_in_process(self, tasks: Tasks[T]) -> Summary:
        """`start_chain` in process mode, whatever the chain's mode is."""
        return self._start(partial(input_of, tasks, _AWAITED), "process")

    def retry_failed(self) -> Summary:
        """Run the initial tasks that have failed once more; the summary is of this start alone.

        Without a journal they run through all stages, as `start_chain(get_final_error_dict())` does.
        With one, each goes on at the stage where it failed, also in a new process, and whatever
        `keep_results` says. Where nothing failed, nothing is run.

        Raises ConfigurationError where nobody knows what failed, as without a journal and with
        keep_results=False of the last stage.
        """
        return self._start(_failed, self.chain_mode)

    async def retry_failed_async(self) -> Summary:
        """The same, awaited in the caller's event loop."""
        return await self._start_async(_failed)

    def stop(self) -> bool:
        """End the start that is going on: calls that run are finished, at any stage, and none begins.

        As `TaskManager.stop`: from anywhere, also by the manager of a stage. What has not come to its
        end is `not_started`. A second call ends what runs as a Ctrl-C does.

        Returns whether there was a start to stop.
        """
        return self._starts.stop()

    def get_final_result_dict(self) -> Mapping[T, R]:
        """Initial task to the result of the last stage, in the order in which they were first taken.

        Else as `TaskManager.get_result_dict`.
        """
        return self._starts.results.values()

    def get_final_error_dict(self) -> Mapping[T, BaseException]:
        """Initial task to exception; a note on it names the stage and the initial task."""
        self._starts.unsaid.drop()
        return self._starts.results.errors()

    def get_summary(self) -> Summary:
        """The counts of the last start over the initial tasks; all 0 before the first."""
        return self._starts.summary

    def reset(self) -> None:
        """Forget what was done: results, errors and the summary, here and in the stages' managers.

        Not what a journal has: the next start reads it again. Workers are kept. Raises RuntimeError, and
        forgets nothing, in the middle of a start or of a run of a stage.
        """
        with self._turn.one_run("this chain"), ExitStack() as resting:
            for stage in self.stages:
                resting.enter_context(runs_of(stage).at_rest(repr(stage)))
            for stage in self.stages:
                runs_of(stage).reset()
            self._starts.reset()

    # ------------------------------------------------------------------ inside

    def _start(self, given: Callable[[], Input | None], mode: str) -> Summary:
        """given: The initial tasks; None for those that have failed."""
        signals = HeldSignals()
        with signals.held(), self._turn.one_run("this chain"):
            tasks = signals.through(given)
            error = None
            with self._starts.one(self._wanted(mode), tasks, Stop(signals)) as (book, source):
                error = signals.through(CHAIN_MODES[mode].start, self.stages, source, book)
                book.returned(error)
            return self._answer(error, source)

    async def _start_async(self, given: Callable[[], Input | None]) -> Summary:
        """The same, in the running event loop."""
        signals = HeldSignals()
        with signals.held(), self._turn.one_run("this chain"):
            tasks = signals.through(given)
            error, stop = None, Stop(signals, in_loop=True)
            with self._starts.one(self._wanted(self.chain_mode), tasks, stop) as (book, source):
                try:
                    with signals.let_in():
                        start = CHAIN_MODES[self.chain_mode].start_async
                        error = await start(self.stages, source, book)
                finally:
                    await source.close()
                book.returned(error)
            return self._answer(error, source)

    def _change(self, stages: Iterable[TaskManager[Any, Any]]) -> None:
        changed = _managers("stages", stages)
        _fits(self.journal, changed)
        vars(self)["stages"] = changed

    def _wanted(self, mode: str) -> Wanted:
        return Wanted(self.stages, mode, self.observers, self.journal)

    def _answer(self, error: BaseException | None, source: Source) -> Summary:
        if error is not None:
            raise error
        if source.error is not None:
            raise source.error
        return self._starts.summary
