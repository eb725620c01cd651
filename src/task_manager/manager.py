"""TaskManager: the options, checked at the door; the hooks; the starts."""

from __future__ import annotations

import copy
import functools
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Concatenate, Generic, Literal, Self, Unpack, overload

from . import _options as options
from ._door import door
from ._generic import More, R, Result, T, Task
from ._hooks import HOOKS, check_assigned_hooks, check_hooks, warn_of_near_names
from ._notice import Notice
from ._repr import name_of
from ._rules.retry import RetryPolicy
from ._run.inputs import AsyncTasks, Tasks, awaited_input_of, input_of
from ._run.runs import Plan, Runs
from ._runners import MODES, Orders
from ._signals import HeldSignals
from ._summary import Summary
from ._task import is_tuple
from .errors import NotInitializedError
from .events import Observer
from .logger import TaskLogger
from .options import ExecutionMode, ManagerAttributes, ManagerOptions, StartMethod
from .progress import ProgressObserver

__all__ = ["TaskManager"]


@door("manager", options.MANAGER, "_runs")
class TaskManager(ManagerAttributes, Generic[T, R]):
    """Runs a function over tasks and accounts for every task: a result, or the error.

    func: Called once for each attempt. A tuple task is unpacked into its positional arguments,
        anything else is its one argument; `get_args` overrides both. In async mode a coroutine
        function, in the other modes a plain one.
    execution_mode: "serial" (in turn, in the caller's thread), "thread", "process" or "async".
    worker_limit: How many calls may run at the same time; None means as many as suit the mode on
        this machine: 1 in serial, cores + 4 (32 at most) in thread, the cores in process, 100 in
        async mode.
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
    start_method: How process mode starts its workers, and a chain the process of this stage: "fork",
        "forkserver" or "spawn"; None: the platform's default.
    keep_results: Keep results and errors for `get_result_dict` and `get_error_dict`. "errors" keeps the
        errors alone. If False, tasks are counted, logged and handed to `process_result` only.
    deduplicate: Run a task that was taken before only if it failed in an earlier run.
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
        execution_mode: Literal["serial", "thread", "process"] = "serial",
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
        execution_mode: Literal["serial", "thread", "process"] = "serial",
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
        deduplicate: bool = True,
        logger: TaskLogger | None = TaskLogger(),  # noqa: B008 - it holds options only
        start_method: StartMethod | None = None,
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

    # ------------------------------------------------------------------ hooks

    def get_args(self, task: T, /) -> Any:
        """The arguments of the call for this task, as a tuple; another value is the one argument.

        To be overridden. Called in the thread that called `start`. What it raises is the task's
        error, inside a GetArgsError.
        """
        return task if is_tuple(task) else (task,)

    def process_result(self, task: T, result: Any, /) -> R:
        """What is to be kept as the result of this task.

        To be overridden. Called once for each task that succeeded, in the thread that called
        `start`. What it raises is the task's error, inside a ProcessResultError.
        """
        return result  # type: ignore[no-any-return]

    def handle_error(self) -> None:
        """Called once at the end of every run, when all results and errors are in place.

        To be overridden; `get_error_dict` has the errors, if there are any. What it raises, `start`
        raises.
        """

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
            return self._runs.start(plan_of(self, source.observers), source, signals)

    async def start_async(self, task_list: AsyncTasks[T]) -> Summary:
        """The same, awaited in the caller's event loop; it works in every execution mode.

        task_list: As for `start`; async iterables and an asyncio.Queue too. An async generator is closed
            where the run is broken off.

        The loop goes on meanwhile, except in serial mode, where the function runs in its thread.
        """
        with HeldSignals().held() as signals:
            source = signals.through(awaited_input_of, task_list, _AWAITED)
            return await self._runs.start_async(plan_of(self, source.observers), source, signals)

    def get_result_dict(self) -> Mapping[T, R]:
        """Task to result, for the tasks that succeeded, in the order in which they were taken.

        A dict if all tasks are hashable; otherwise a read-only mapping that finds unhashable tasks
        by their content, and yields the very objects given.
        """
        return self._runs.results.values()

    def get_error_dict(self) -> Mapping[T, BaseException]:
        """Task to exception, for the tasks that failed after all their attempts; else as the results."""
        return self._runs.results.errors()

    def get_summary(self) -> Summary:
        """The counts of the last run, also of one that was broken off; all 0 before the first."""
        return self._runs.summary

    def reset(self) -> None:
        """Forget what was done: results, errors, the summary, and which tasks were taken before.

        The same tasks run again then. Workers are kept. Raises RuntimeError in the middle of a run.
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

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown_pools()

    def __repr__(self) -> str:
        try:
            return f"<{type(self).__name__} {name_of_function(self)} in {self.execution_mode} mode>"
        except NotInitializedError:
            return f"<{type(self).__name__} that is not initialized>"


def runs_of(manager: TaskManager[Any, Any]) -> Runs:
    """What it keeps from run to run. For what runs managers itself, as a chain does."""
    return manager._runs  # noqa: SLF001 - in the module of its class


def plan_of(manager: TaskManager[Any, Any], more: Iterable[Observer] = ()) -> Plan:
    """What it wants of a run that starts now: its options, hooks and observers as they are, and more."""
    check_assigned_hooks(manager)
    mode = MODES[manager.execution_mode]
    return Plan(
        owner=repr(manager),
        name=name_of_function(manager),
        func=manager.func,
        mode=mode,
        orders=Orders(
            manager.worker_limit or mode.workers(), manager.task_timeout, manager.start_method
        ),
        retry=RetryPolicy(
            manager.max_retries,
            manager.retry_exceptions,
            manager.retry_delay,
            manager.max_retry_delay,
        ),
        keeps=manager.keep_results,
        distinct=manager.deduplicate,
        get_args=_overridden(manager, "get_args"),
        process_result=_overridden(manager, "process_result"),
        handle_error=manager.handle_error,
        observers=(*(observer for made in _OBSERVERS for observer in made(manager)), *more),
    )


def quiet_copy(manager: TaskManager[Any, Any]) -> TaskManager[Any, Any]:
    """One that writes no log, draws no bar and tells no observer: where the parent does that."""
    quiet = copy.copy(manager)
    vars(quiet).update(logger=None, show_progress=False, observers=())
    return quiet


def name_of_function(manager: TaskManager[Any, Any]) -> str:
    """For people: of what a partial was made of, if it is one."""
    func = manager.func.func if isinstance(manager.func, functools.partial) else manager.func
    return name_of(func)


def _overridden(manager: TaskManager[Any, Any], hook: str) -> Callable[..., Any] | None:
    """The hook as a method, None where it is the one of this class and need not be called."""
    method = getattr(manager, hook)
    return None if getattr(method, "__func__", None) is getattr(TaskManager, hook) else method


def _bar(manager: TaskManager[Any, Any]) -> Iterable[Observer]:
    return [ProgressObserver(manager.progress_desc)] if manager.show_progress else []


def _log(manager: TaskManager[Any, Any]) -> Iterable[Observer]:
    return [] if manager.logger is None else [manager.logger.observer(name_of_function(manager))]


def _notice(manager: TaskManager[Any, Any]) -> Iterable[Observer]:
    kept = manager.keep_results
    return [Notice(name_of_function(manager), [manager.show_progress], [manager.logger], kept)]


_AWAITED = "await manager.start_async(tasks)"

# Who is told the news of a run, in this order, besides what keeps its results. A new row is all that
# a new observer needs.
_OBSERVERS: tuple[Callable[[TaskManager[Any, Any]], Iterable[Observer]], ...] = (
    _bar,
    _log,
    _notice,
    lambda manager: manager.observers,
)
