"""TaskManager: the options, checked at the door, and the starts."""

from __future__ import annotations

import os
from collections.abc import (
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from typing import Any, Concatenate, Literal, Self, Unpack, overload

from . import _options as options
from ._door import door
from ._generic import More, R, Result, T, Task
from ._hooks import HOOKS, check_hooks, warn_of_near_names
from ._plan import name_of_function, name_of_mode, plan_of, plan_of_start
from ._run.inputs import AsyncTasks, Tasks, awaited_input_of, input_of
from ._run.plan import Plan
from ._run.pump import refuse_running_loop
from ._run.runs import Runs
from ._run.source import Input, IterableSource
from ._signals import HeldSignals
from ._streams import Streams
from ._summary import Summary
from .errors import NotInitializedError
from .events import Observer
from .journal import Journal
from .logger import TaskLogger
from .options import ExecutionMode, ManagerOptions, PlainMode, StartMethod

__all__ = ["TaskManager"]


@door("manager", options.MANAGER, "_runs")
class TaskManager(Streams[T, R]):
    """Runs a function over tasks and accounts for every task: a result, or the error.

    func: Called once for each attempt. A tuple task is unpacked into its positional arguments,
        anything else is its one argument; `get_args` overrides both. In async mode a coroutine
        function, in the other modes a plain one.
    execution_mode: "serial" (in turn, in the caller's thread), "thread", "process" or "async"; "loky",
        "dask" or "ray", where that is installed; any concurrent.futures.Executor, which is never shut
        down here; or a function without parameters that makes one, which is.
    worker_limit: How many calls may run at the same time; None means as many as suit the mode on
        this machine: 1 in serial, cores + 4 (32 at most) in thread, the cores in process, 100 in
        async mode; of an executor as many as it says that it has, or else the cores.
    max_retries: Attempts after the first; 0 never retries.
    show_progress: Draw a bar on stderr.
    progress_desc: What the bar calls the work.
    retry_exceptions: An exception type or a tuple of them; what is not of these is not retried, and
        neither is what does not derive from Exception. With ConnectionError and TimeoutError comes what
        well-known clients raise in their place. May be set on the manager between runs.
    retry_delay: The longest delay before the second attempt, in seconds. It doubles with every
        attempt, and the true delay is drawn evenly between 0 and it.
    max_retry_delay: The longest delay at all, in seconds.
    task_timeout: Seconds that one attempt may take, from the beginning of its call; None: no limit.
        Then it fails with a TaskTimeoutError, which is retried by default. In process mode the
        worker is killed and replaced. In async mode the call is cancelled, and left alone if it does
        not take that; what blocks the loop cannot be ended. In thread mode the call is left alone
        and its worker replaced, as a thread cannot be killed. Not in serial mode. With a limit, a worker
        process that hangs before it is ready, as in an import that never ends, is replaced as well: it
        has 20 s, or the limit if that is more, and more where many come up at once; a slow import is
        no fault. The second in a row ends the run with a WorkerStartError if no worker is ready.
    rate_limit: How many attempts may begin, retries included, in any window of a length of time: "20/s",
        "500/min", "2000/h" or (500, 60); None: no limit. A task that waits for it holds no worker.
    max_failures: How many tasks may fail for good, or their share, as 0.05, judged after 100 tasks; with
        one more the run is stopped, as by `stop()`. None: all may.
    deadline: Seconds after the start of a run at which it is stopped in the same way; None: never.
    start_method: How process mode starts its workers, and a chain the process of this stage: "fork",
        "forkserver" or "spawn"; None: the platform's default.
    address: Where the engine is, as "tcp://10.0.0.1:8786" of a dask scheduler; None: one is started on
        this machine, and ends with the manager. Of "dask" and "ray" only.
    worker_state: A function without parameters, called once in each worker before its first call; its
        result is the first argument of every call there. A generator function yields it, once, and
        cleans up after that when the worker ends in peace. In async mode it may be async.
    max_tasks_per_worker: Attempts that one thread or process makes; then another one, which is ready by
        then, comes in its place, as where memory leaks. None: no limit.
    keep_results: Keep results and errors for `get_result_dict` and `get_error_dict`. "errors" keeps the
        errors alone. If False, tasks are counted, logged and handed to `process_result` only.
    deduplicate: Run a task that was taken before only if it failed in an earlier run.
    journal: A path, or a Journal: every outcome is written to this file. A later start of the same
        script runs only what is not done there, and has the earlier results and errors.
    logger: Where the log goes; None: no log.
    observers: Objects of yours that are told the news of each run, as `task_manager.events` says.

    Options are read-only attributes, but for `retry_exceptions`. A subclass may have them as class
    attributes: what the constructor is not given is then taken from there.

    Raises ConfigurationError (a ValueError) for a wrong option.
    """

    _runs: Runs

    # For editors. A function that takes two arguments or more is given tuples; one that takes exactly
    # one says what its tasks are. The last is for subclasses, whose hooks may change both types.
    @overload
    def __init__(
        self: TaskManager[Any, Result],
        func: Callable[Concatenate[Any, Any, More], Result],
        execution_mode: PlainMode = "serial",
        worker_limit: int | None = None,
        max_retries: int = 3,
        show_progress: bool = False,
        progress_desc: str = "Processing",
        **options: Unpack[ManagerOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: TaskManager[Task, Result],
        func: Callable[[Task], Result],
        execution_mode: PlainMode = "serial",
        worker_limit: int | None = None,
        max_retries: int = 3,
        show_progress: bool = False,
        progress_desc: str = "Processing",
        **options: Unpack[ManagerOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: TaskManager[Any, Result],
        func: Callable[Concatenate[Any, Any, More], Awaitable[Result]],
        execution_mode: Literal["async"],
        worker_limit: int | None = None,
        max_retries: int = 3,
        show_progress: bool = False,
        progress_desc: str = "Processing",
        **options: Unpack[ManagerOptions],
    ) -> None: ...
    @overload
    def __init__(
        self: TaskManager[Task, Result],
        func: Callable[[Task], Awaitable[Result]],
        execution_mode: Literal["async"],
        worker_limit: int | None = None,
        max_retries: int = 3,
        show_progress: bool = False,
        progress_desc: str = "Processing",
        **options: Unpack[ManagerOptions],
    ) -> None: ...
    @overload
    def __init__(
        self,
        func: Callable[..., Any],
        execution_mode: ExecutionMode = "serial",
        worker_limit: int | None = None,
        max_retries: int = 3,
        show_progress: bool = False,
        progress_desc: str = "Processing",
        **options: Unpack[ManagerOptions],
    ) -> None: ...
    def __init__(
        self,
        func: Callable[..., Any],
        execution_mode: ExecutionMode = "serial",
        worker_limit: int | None = None,
        max_retries: int = 3,
        show_progress: bool = False,
        progress_desc: str = "Processing",
        *,
        retry_exceptions: type[Exception] | Sequence[type[Exception]] = (TimeoutError, ConnectionError),
        retry_delay: float = 0.1,
        max_retry_delay: float = 30.0,
        task_timeout: float | None = None,
        rate_limit: str | tuple[int, float] | None = None,
        rate_key: Callable[[Any], Any] | None = None,
        max_failures: int | float | None = None,
        deadline: float | None = None,
        deduplicate: bool = True,
        journal: str | os.PathLike[str] | Journal | None = None,
        logger: TaskLogger | None = TaskLogger(),  # noqa: B008 - it holds options only
        start_method: StartMethod | None = None,
        address: str | None = None,
        worker_state: Callable[[], Any] | None = None,
        max_tasks_per_worker: int | None = None,
        keep_results: bool | Literal["errors"] = True,
        observers: Iterable[Observer] = (),
    ) -> None:
        for hook in HOOKS:  # the options have been checked and kept at the door
            options.plain_hook(hook, getattr(self, hook))
        check_hooks(self)
        self._runs = Runs()

    def __init_subclass__(cls, **options_of_class: Any) -> None:
        super().__init_subclass__(**options_of_class)
        warn_of_near_names(cls, TaskManager)

    def __getstate__(self) -> dict[str, Any]:
        """A copy in another process has the options and what a subclass added; results stay here."""
        return {name: value for name, value in vars(self).items() if name != "_runs"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._runs = Runs()

    # ------------------------------------------------------------------ running

    def start(self, task_list: Tasks[T]) -> Summary:
        """Run the function over the tasks and wait until all are done.

        task_list: Any iterable; it is read as far as there is room, so it may be endless. An exception
            out of it is raised at the end, when the tasks taken until then are finished. One that waits,
            as a generator that sleeps, holds up the run: no result is recorded and no retry begins
            meanwhile. A queue.Queue or queue.SimpleQueue does not: it is read as tasks are put in, until
            it is shut down (Python 3.13) or gives `task_manager.END`. A string is refused.

        Results and errors add up over runs. A task that failed in an earlier run is run again when
        it is met again: `manager.start(manager.get_error_dict())`.
        """
        with HeldSignals().held() as signals:
            source = signals.through(input_of, task_list, _AWAITED)
            return self._runs.start(plan_of_start(self, self._runs, source), source, signals)

    async def start_async(self, task_list: AsyncTasks[T]) -> Summary:
        """The same, awaited in the caller's event loop; it works in every execution mode.

        task_list: As for `start`; async iterables and an asyncio.Queue too. An async generator is closed
            where the run is broken off.

        The loop goes on meanwhile, except in serial mode, where the function runs in its thread.
        """
        with HeldSignals().held() as signals:
            source = signals.through(awaited_input_of, task_list, _AWAITED)
            return await self._runs.start_async(plan_of_start(self, self._runs, source), source, signals)

    def stop(self) -> bool:
        """End the run that is going on: calls that run are finished, nothing more is begun or read.

        May be called from any thread, hook, observer or signal handler, and from the function unless it
        runs in another process. `start` then returns its summary: `ended_early` is "stop()", and what
        was taken and not run is `not_started`; it may be run again. A second call ends what runs as a
        Ctrl-C does, and `start` still returns its summary.

        Returns whether there was a run to stop. If not, nothing happens: the next run is not stopped.
        Of a manager that is a stage, the chain is stopped.
        """
        return self._runs.stop()

    def retry_failed(self) -> Summary:
        """Run what failed once more, as `start(get_error_dict())` does; the summary is of that run.

        With a journal, in a new process too: what it has is read first, whatever `keep_results` says.
        Where nothing failed, nothing is run. Raises ConfigurationError where nobody knows what failed:
        with keep_results=False and no journal.
        """
        with HeldSignals().held() as signals:
            plan, source = self._again()
            if plan.mode.awaits:
                what = "retry_failed() of a manager in async mode"
                refuse_running_loop(what, "await manager.retry_failed_async()")
            return self._runs.start(plan, source, signals)

    async def retry_failed_async(self) -> Summary:
        """The same, awaited in the caller's event loop."""
        with HeldSignals().held() as signals:
            return await self._runs.start_async(*self._again(), signals)

    def get_result_dict(self) -> Mapping[T, R]:
        """Task to result, for the tasks that succeeded, in the order in which they were taken.

        A dict if all tasks are hashable; otherwise a read-only mapping that finds unhashable tasks
        by their content, and yields the very objects given.
        """
        return self._runs.results.values()

    def get_error_dict(self) -> Mapping[T, BaseException]:
        """Task to exception, for the tasks that failed after all their attempts; else as the results."""
        self._runs.unsaid.drop()
        return self._runs.results.errors()

    def get_summary(self) -> Summary:
        """The counts of the last run, also of one that was broken off; all 0 before the first."""
        return self._runs.summary

    def reset(self) -> None:
        """Forget what was done: results, errors, the summary, and which tasks were taken before.

        The same tasks run again then. Workers are kept. With a journal it is the memory that is
        forgotten, and not the file: the next start reads it again. Raises RuntimeError in the middle of
        a run.
        """
        with self._runs.at_rest(repr(self)):
            self._runs.reset()

    def shutdown_pools(self) -> None:
        """End the worker threads and processes. The next run starts new ones.

        May be called at any time, twice, or never: the end of a `with` block, garbage collection and
        the interpreter's exit do the same. In the middle of a run it returns at once, and the
        workers end with the run.
        """
        self._runs.shutdown()

    def _again(self) -> tuple[Plan, Input]:
        """A run of what has failed."""
        source = IterableSource(self._runs.failed(plan_of(self)))
        return plan_of_start(self, self._runs, source), source

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown_pools()

    def __repr__(self) -> str:
        try:
            return f"<{type(self).__name__} {name_of_function(self)} in {name_of_mode(self)} mode>"
        except NotInitializedError:
            return f"<{type(self).__name__} that is not initialized>"


def runs_of(manager: TaskManager[Any, Any]) -> Runs:
    """What it keeps from run to run. For what runs managers itself, as a chain does."""
    return manager._runs  # noqa: SLF001 - in the module of its class


_AWAITED = "await manager.start_async(tasks)"
