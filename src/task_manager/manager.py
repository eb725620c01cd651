"""TaskManager: the options, checked at the door; the hooks; a run built and let flow."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from time import monotonic  # bound here, as tests of other code stop the clock
from typing import TYPE_CHECKING, Any, Generic, Self

from . import _options as options
from ._call import Slot
from ._repr import name_of
from ._rules.batch_size import BatchSize
from ._rules.retry import RetryPolicy
from ._run.ledger import Ledger
from ._run.pump import pump, pump_awaiting, refuse_running_loop
from ._run.recorder import GuestObserver, Observer, Recorder
from ._run.results import Results
from ._run.run import Run
from ._run.source import IterableSource, Source
from ._runners import MODES, AwaitedRunner, Orders, Runner
from ._runners.awaited import Awaited
from ._runners.kept import KeptRunner
from ._signals import HeldSignals
from ._task import Summary, is_tuple
from .logger import TaskLogger
from .progress import ProgressObserver

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)  # of a task; where nobody names it, it is Any
    R = TypeVar("R", default=Any)  # of a result
else:  # defaults come with Python 3.13
    from typing import TypeVar

    T = TypeVar("T")
    R = TypeVar("R")


class TaskManager(Generic[T, R]):
    """Runs a function over tasks and answers for every task: a result, or the error.

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
        neither is what does not derive from Exception. May be set on the manager between runs.
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
    keep_results: Keep results and errors for `get_result_dict` and `get_error_dict`. If False, tasks
        are counted, logged and handed to `process_result` only.
    deduplicate: Run a task that was taken before only if it failed in an earlier run.
    logger: Where the log goes; None: no log.

    Raises ConfigurationError (a ValueError) for a wrong option.
    """

    _slot: Slot | None = None  # of the process that runs this manager as a stage

    def __init__(
        self,
        func: Callable[..., Any],
        execution_mode: str = "serial",
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
        start_method: str | None = None,
        keep_results: bool = True,
    ) -> None:
        for hook in _HOOKS:
            options.plain_hook(hook, getattr(self, hook))
        self.func = options.function(func, execution_mode)
        self.execution_mode = execution_mode
        self.worker_limit = options.whole_or_none("worker_limit", worker_limit, least=1)
        self.max_retries = options.whole("max_retries", max_retries, least=0)
        self.show_progress = options.flag("show_progress", show_progress)
        self.progress_desc = options.text("progress_desc", progress_desc)
        self.retry_exceptions = retry_exceptions
        self.retry_delay = options.seconds("retry_delay", retry_delay)
        self.max_retry_delay = options.seconds("max_retry_delay", max_retry_delay)
        self.task_timeout = options.timeout("task_timeout", task_timeout, execution_mode)
        self.start_method = options.start_method("start_method", start_method)
        self.keep_results = options.flag("keep_results", keep_results)
        self.deduplicate = options.flag("deduplicate", deduplicate)
        self.logger = options.log("logger", logger)
        self._begin_life()

    def __init_subclass__(cls, **options_of_class: Any) -> None:
        """A class attribute would hide the property, and have no effect."""
        super().__init_subclass__(**options_of_class)
        options.property_still("retry_exceptions", cls)

    def _begin_life(self) -> None:
        self._ledger = Ledger()
        self._results = Results(self._ledger.keys)
        self._summary = Summary()
        self._pool = KeptRunner()

    def __getstate__(self) -> dict[str, Any]:
        """A copy in another process has the options and what a subclass added; results stay here."""
        return {name: value for name, value in vars(self).items() if name not in _OWN}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._begin_life()

    @property
    def retry_exceptions(self) -> tuple[type[Exception], ...]:
        """The exception types that are retried."""
        return self._retry_exceptions

    @retry_exceptions.setter
    def retry_exceptions(self, types: type[Exception] | Sequence[type[Exception]]) -> None:
        self._retry_exceptions = options.exception_types("retry_exceptions", types)

    # ------------------------------------------------------------------ hooks

    def get_args(self, task: T) -> Any:
        """The arguments of the call for this task, as a tuple; another value is the one argument.

        To be overridden. Called in the thread that called `start`. What it raises is the task's
        error, inside a GetArgsError.
        """
        return task if is_tuple(task) else (task,)

    def process_result(self, task: T, result: Any) -> Any:
        """What is to be kept as the result of this task.

        To be overridden. Called once for each task that succeeded, in the thread that called
        `start`. What it raises is the task's error, inside a ProcessResultError.
        """
        return result

    def handle_error(self) -> None:
        """Called once at the end of every run, when all results and errors are in place.

        To be overridden; `get_error_dict` has the errors, if there are any. What it raises, `start`
        raises.
        """

    # ------------------------------------------------------------------ running

    def start(self, task_list: Iterable[T]) -> Summary:
        """Run the function over the tasks and wait until all are done.

        task_list: Any iterable; it is read as far as there is room, so it may be endless. An exception
            out of it is raised at the end, when the tasks taken until then are finished.

        Results and errors add up over runs. A task that failed in an earlier run is run again when
        it is met again: `manager.start(manager.get_error_dict())`.
        """
        return self._flow(IterableSource(task_list), self._recorder(), self.deduplicate)

    async def start_async(self, task_list: Iterable[T]) -> Summary:
        """The same, awaited in the caller's event loop; it works in every execution mode.

        The loop goes on meanwhile, except in serial mode, where the function runs in its thread.
        """
        signals = HeldSignals()
        with signals.held():
            return await self._flow_awaiting(
                IterableSource(task_list), self._recorder(), self.deduplicate, signals
            )

    def get_result_dict(self) -> Mapping[T, R]:
        """Task to result, for the tasks that succeeded, in the order in which they were taken.

        A dict if all tasks are hashable; otherwise a read-only mapping that finds unhashable tasks
        by their content, and yields the very objects given.
        """
        return self._results.values()

    def get_error_dict(self) -> Mapping[T, BaseException]:
        """Task to exception, for the tasks that failed after all their attempts; else as the results."""
        return self._results.errors()

    def get_summary(self) -> Summary:
        """The counts of the last run, also of one that was broken off; all 0 before the first."""
        return self._summary

    def shutdown_pools(self) -> None:
        """End the worker threads and processes. The next run starts new ones.

        May be called at any time, twice, or never: the end of a `with` block, garbage collection and
        the interpreter's exit do the same. In the middle of a run it returns at once, and the
        workers end with the run.
        """
        self._pool.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown_pools()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name} in {self.execution_mode} mode>"

    # ------------------------------------------------------------------ inside

    @property
    def _name(self) -> str:
        func = self.func.func if isinstance(self.func, functools.partial) else self.func
        return name_of(func)

    def _guests(self) -> list[GuestObserver]:
        """The bar and the log, as the options say."""
        guests: list[GuestObserver] = []
        if self.show_progress:
            guests.append(ProgressObserver(self.progress_desc))
        if self.logger is not None:
            guests.append(self.logger.observer(self._name))
        return guests

    def _recorder(self) -> Recorder:
        return Recorder(self._keepers(), self._guests())

    def _keepers(self) -> list[Observer]:
        return [self._results, self._ledger] if self.keep_results else []

    def _flow(self, source: Source, recorder: Recorder, distinct: bool) -> Summary:
        """One run, in this thread. distinct: Repeats are not run."""
        signals = HeldSignals()
        if self._awaits:
            refuse_running_loop("a manager in async mode", "await manager.start_async(tasks)")
            with signals.held():  # before the loop is made, as asyncio has no safe places either
                return asyncio.run(self._flow_alone(source, recorder, distinct, signals))
        with signals.held(), self._pool.one_run(repr(self)):
            runner = self._kept_runner()
            run = self._new_run(source, recorder, distinct, runner, signals)
            with self._ending(run, recorder):
                pump(run, runner, signals)
        return self._conclude(run)

    async def _flow_alone(
        self, source: Source, recorder: Recorder, distinct: bool, signals: HeldSignals
    ) -> Summary:
        """The same, in an event loop that ends with it."""
        try:
            return await self._flow_awaiting(source, recorder, distinct, signals)
        finally:
            signals.ends_allowed = True

    async def _flow_awaiting(
        self, source: Source, recorder: Recorder, distinct: bool, signals: HeldSignals
    ) -> Summary:
        """The same, in the running event loop. signals: Held back by the caller."""
        with self._pool.one_run(repr(self)):
            runner = self._awaited_runner(signals)
            run = self._new_run(source, recorder, distinct, runner, signals)
            with self._ending(run, recorder):
                try:
                    await pump_awaiting(run, runner, signals)
                finally:
                    await runner.close()
        return signals.through(self._conclude, run)

    @contextlib.contextmanager
    def _one_chain_run(self, recorder: Recorder, total: int | None) -> Iterator[None]:
        """A run whose calls are made elsewhere: in the stage process of a chain."""
        began = monotonic()
        with self._pool.one_run(repr(self)):
            self._results.begin_run(repeats=True)
            recorder.open(total)
            try:
                yield
            finally:
                self._summary = recorder.tally.summary(monotonic() - began, not_started=0)
                recorder.close(self._summary)

    def _new_run(
        self,
        source: Source,
        recorder: Recorder,
        distinct: bool,
        runner: Runner | AwaitedRunner,
        signals: HeldSignals,
    ) -> Run:
        self._ledger.begin_run()
        self._ledger.keeps_keys = self.keep_results
        self._results.begin_run(repeats=not distinct)
        recorder.open(source.remaining)
        return Run(
            source,
            self._ledger,
            self._ledger.enter_new if distinct else self._ledger.enter_all,
            RetryPolicy(self.max_retries, self.retry_exceptions, self.retry_delay, self.max_retry_delay),
            recorder,
            BatchSize(runner.workers, runner.sharing),
            get_args=self._overridden("get_args"),
            process_result=self._overridden("process_result"),
            clock=monotonic,
            chance=random.random,
            task_timeout=self.task_timeout,
            signals=signals,
            slot=self._slot,
        )

    @contextlib.contextmanager
    def _ending(self, run: Run, recorder: Recorder) -> Iterator[None]:
        """However the run ends, its counts are kept and its observers closed.

        A run that is broken off leaves its pool in the middle of things; the pool goes with it.
        """
        try:
            yield
        except BaseException:
            try:
                run.break_off()
            finally:
                self._pool.close()
            raise
        finally:
            self._summary = run.summary
            recorder.close(self._summary)

    def _conclude(self, run: Run) -> Summary:
        self.handle_error()
        if run.error is not None:
            raise run.error
        return self._summary

    def _overridden(self, hook: str) -> Callable[..., Any] | None:
        """The hook as a method, None where it is the one of this class and need not be called."""
        method = getattr(self, hook)
        return None if getattr(method, "__func__", None) is getattr(TaskManager, hook) else method

    def _kept_runner(self) -> Runner:
        return self._pool.runner(lambda: MODES[self.execution_mode].load()(self.func, self._orders))

    def _awaited_runner(self, signals: HeldSignals) -> AwaitedRunner:
        """A runner for the running loop: one that lives as long as the run, or the kept one."""
        if self._awaits:
            runner: AwaitedRunner = MODES[self.execution_mode].load()(self.func, self._orders)
            return runner
        return Awaited(self._kept_runner(), signals)

    @property
    def _awaits(self) -> bool:
        return MODES[self.execution_mode].awaits

    @property
    def _orders(self) -> Orders:
        workers = self.worker_limit or MODES[self.execution_mode].workers()
        return Orders(workers, self.task_timeout, self.start_method, self._slot)


_HOOKS = ("get_args", "process_result", "handle_error")
_OWN = frozenset(["_ledger", "_results", "_summary", "_pool"])
