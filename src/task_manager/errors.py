"""Every error that task_manager itself raises or files, and what a person needs to act on it.

    TaskManagerError
    ├── ConfigurationError    (also a ValueError)  a wrong option; raised, not kept
    │   ├── NotInitializedError (also an AttributeError) a subclass did not call super().__init__()
    │   └── JournalError                           a journal that cannot be used, as it is or as asked
    ├── WorkerError                                something happened to a worker
    │   ├── WorkerDiedError                        a worker process died with a task in hand
    │   ├── WorkerStartError                       no worker comes up; ends the run
    │   ├── ExecutorError                          an executor is broken or shut down; ends the run
    │   └── StageDiedError                         a stage process of a chain died
    ├── TaskTimeoutError      (also a TimeoutError) a call took longer than task_timeout
    ├── TransportError                             an object could not cross a process boundary
    ├── CoroutineReturnedError (also a TypeError)  the function returned a coroutine in place of a result
    ├── InDoubtError                               nobody knows whether a call was made, before a crash
    ├── RetryAfter                                 raised by the user's function: try again then
    ├── TooManyFailures                            a run ended for max_failures; raised on demand
    ├── DeadlineExceeded      (also a TimeoutError) a run ended for its deadline; raised on demand
    └── HookError                                  a hook of a manager's subclass raised
        ├── GetArgsError
        ├── GetRetryDelayError
        ├── ProcessResultError
        └── RateKeyError

An exception out of the user's own function is none of these: it is kept as it was raised.
"""

from __future__ import annotations

import copy
import pickle
import signal
import sys
from typing import Any, Self

__all__ = [
    "ConfigurationError",
    "CoroutineReturnedError",
    "DeadlineExceeded",
    "ExecutorError",
    "GetArgsError",
    "GetRetryDelayError",
    "HookError",
    "InDoubtError",
    "JournalError",
    "NotInitializedError",
    "ProcessResultError",
    "RateKeyError",
    "RetryAfter",
    "StageDiedError",
    "TaskManagerError",
    "TaskTimeoutError",
    "TooManyFailures",
    "TransportError",
    "WorkerDiedError",
    "WorkerError",
    "WorkerStartError",
]


class TaskManagerError(Exception):
    """The root of all errors of this library."""


class ConfigurationError(TaskManagerError, ValueError):
    """A wrong option, or a function that does not fit the mode; says what came and what is right."""


class NotInitializedError(ConfigurationError, AttributeError):
    """A subclass whose __init__ has not called super().__init__() was used.

    It is an AttributeError, so that hasattr, copies and debuggers may ask such an object anything.
    """


class JournalError(ConfigurationError):
    """A journal that cannot be used: another file, or one of another function, or one in use.

    Raised where a run begins, before any task is run; the file is as it was.
    """


class WorkerError(TaskManagerError):
    """Something happened to a worker, not inside the user's function."""


class WorkerDiedError(WorkerError):
    """A worker process ended while it had this task in hand.

    pid: The process that died.
    exitcode: As `multiprocessing.Process.exitcode`: the exit status, or minus the signal's number.
    """

    def __init__(self, pid: int | None, exitcode: int | None) -> None:
        super().__init__(pid, exitcode)
        self.pid = pid
        self.exitcode = exitcode

    def __str__(self) -> str:
        process = "a worker process" if self.pid is None else f"worker process {self.pid}"
        return f"{_end(self.exitcode)}: {process}, with this task in hand"


class WorkerStartError(WorkerError):
    """No worker thread can be started, or processes die before they are ready: the run cannot go on."""


class ExecutorError(WorkerError):
    """The executor that makes the calls is broken or shut down, and not ours to replace: the run ends.

    What has no outcome may be run again, with another executor.
    """


class StageDiedError(WorkerError):
    """A stage process of a chain died: with this task in hand, or for good before it came to it.

    stage: Where the stage stands in the chain, from 1.
    """

    def __init__(self, stage: int, pid: int | None, exitcode: int | None) -> None:
        super().__init__(stage, pid, exitcode)
        self.stage = stage
        self.pid = pid
        self.exitcode = exitcode

    def __str__(self) -> str:
        process = "" if self.pid is None else f" (pid {self.pid})"
        return f"{_end(self.exitcode)}: the process of stage {self.stage}{process}"


class TaskTimeoutError(TaskManagerError, TimeoutError):
    """A call took longer than `task_timeout`; being a TimeoutError, it is retried by default.

    timeout: The limit, in seconds.
    """

    def __init__(self, timeout: float) -> None:
        super().__init__(timeout)
        self.timeout = timeout

    def __str__(self) -> str:
        return f"the call took longer than task_timeout={self.timeout:g} s"


class TransportError(TaskManagerError):
    """An object could not be pickled on one side of a process boundary, or unpickled on the other.

    what: "argument", "result" or "error": which way it travelled.
    type_name: The qualified name of the object's type; of a lost error, the error's type.
    message: What pickle said; of a lost error, the error's own text.
    traceback: The worker's traceback as text, or "".
    """

    def __init__(self, what: str, type_name: str, message: str, traceback: str = "") -> None:
        super().__init__(what, type_name, message, traceback)
        self.what = what
        self.type_name = type_name
        self.message = message
        self.traceback = traceback

    def __str__(self) -> str:
        text = f"the {self.what} cannot cross to another process: {self.type_name}: {self.message}"
        return f"{text}\n{self.traceback}" if self.traceback else text


class CoroutineReturnedError(TaskManagerError, TypeError):
    """The function returned a coroutine, which nothing awaits, in place of a result.

    coroutine: The name of the async function that it is of.
    awaited: Whether the function itself was an async one, and was awaited.
    """

    def __init__(self, coroutine: str, awaited: bool = False) -> None:
        super().__init__(coroutine, awaited)
        self.coroutine = coroutine
        self.awaited = awaited

    def __str__(self) -> str:
        if self.awaited:
            return (
                f"the async function returned a coroutine ({self.coroutine}), which nothing awaits; "
                f"write `return await {self.coroutine}(...)`"
            )
        return (
            f"the function returned a coroutine ({self.coroutine}), which nothing awaits in this mode; "
            "pass the async function itself with execution_mode='async'"
        )


class InDoubtError(TaskManagerError):
    """A call for this task may have been made, and what came of it is not known.

    So it is with a journal of `in_doubt="error"`, where the process or the worker died in the meantime.
    The task is run again only when it is given again.

    task: The task.
    """

    def __init__(self, task: Any) -> None:
        super().__init__(task)
        self.task = task

    def __str__(self) -> str:
        return (
            "a call may have begun before a crash, and what came of it is not known; "
            "it is made again only when the task is given again"
        )


class RetryAfter(TaskManagerError):
    """To be raised by your function: try this task again after so many seconds.

    Whatever `retry_exceptions` says; it counts as an attempt: after `max_retries` of them it is the
    task's error.

    seconds: From 0; neither `max_retry_delay` nor chance changes them.
    all: True: nothing else starts in that time either, as a server means it that says 429; where the
        manager has a `rate_key`, nothing of this task's key. False or None: others start. Another value
        is the key that is held back.
    """

    def __init__(self, seconds: float, *, all: Any = False) -> None:
        number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        if not number or not 0 <= seconds <= sys.float_info.max:
            raise ConfigurationError(
                f"seconds of a RetryAfter must be a number from 0 up; got {seconds!r}"
            )
        super().__init__(seconds)
        self.seconds: float = float(seconds)
        self.all: Any = all

    @property
    def holds_others(self) -> bool:
        """Not only its own task is to wait."""
        return self.all is not False and self.all is not None

    def __str__(self) -> str:
        text = f"the function asked for a pause of {self.seconds:g} s"
        if not self.holds_others:
            return text
        return f"{text} for all" if self.all is True else f"{text} for all of {self.all!r}"


class TooManyFailures(TaskManagerError):
    """More tasks failed than `max_failures` allows. Raised by `summary.raise_for_errors()` only."""


class DeadlineExceeded(TaskManagerError, TimeoutError):
    """The run took longer than its `deadline`. Raised by `summary.raise_for_errors()` only."""


class HookError(TaskManagerError):
    """A hook of a TaskManager's subclass raised for this task; the hook's own error is `__cause__`."""

    hook = "hook"

    def __init__(self, task: Any, error: str) -> None:
        super().__init__(task, error)
        self.task = task
        self.error = error

    def __str__(self) -> str:
        return f"{self.hook} raised {self.error}"


class GetArgsError(HookError):
    """`get_args(task)` raised; the function was not called for this task."""

    hook = "get_args"


class GetRetryDelayError(HookError):
    """`get_retry_delay(task, error, attempt)` raised, or gave no valid answer; the task is not retried.

    The error that it was called with is the `__context__` of its own.
    """

    hook = "get_retry_delay"


class RateKeyError(HookError):
    """`rate_key(task)` raised; the function was not called for this task."""

    hook = "rate_key"


class ProcessResultError(HookError):
    """`process_result(task, result)` raised; the function had succeeded and is not called again.

    result: What the function had returned, which was paid for. None where it could not come over from
        another process, as of a stage of a chain in process mode: the error arrives all the same.
    """

    hook = "process_result"

    def __init__(self, task: Any, error: str, result: Any = None) -> None:
        super().__init__(task, error)
        self.result = result

    def __copy__(self) -> Self:
        return self._with(self.task, self.result)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self._with(copy.deepcopy(self.task, memo), copy.deepcopy(self.result, memo))

    def _with(self, task: Any, result: Any) -> Self:
        made = type(self)(task, self.error, result)
        vars(made).update({**vars(self), "task": task, "result": result})
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        """The result in a pickle of its own, as it may refuse on either side."""
        state = {name: value for name, value in vars(self).items() if name != "result"}
        try:
            packed = pickle.dumps(self.result, pickle.HIGHEST_PROTOCOL)
        except Exception:
            packed = None
        return _with_result, (type(self), self.task, self.error, packed), state


def _with_result(
    kind: type[ProcessResultError], task: Any, error: str, packed: bytes | None
) -> ProcessResultError:
    try:
        result = None if packed is None else pickle.loads(packed)
    except Exception:
        result = None
    return kind(task, error, result)


def _end(exitcode: int | None) -> str:
    """How a process ended. It stands first: a table may have room for the beginning of a text only."""
    if exitcode is None:
        return "ended with an unknown exit code"
    if exitcode >= 0:
        return f"ended with exit code {exitcode}"
    try:
        return f"killed by {signal.Signals(-exitcode).name}"
    except ValueError:
        return f"killed by signal {-exitcode}"
