"""Runs a function over many tasks and accounts for every one of them: a result, or the error.

from task_manager import TaskManager

with TaskManager(fetch, execution_mode="thread", worker_limit=20) as manager:
    manager.start(urls)
    results, errors = manager.get_result_dict(), manager.get_error_dict()
"""

from ._outcome import Outcome
from ._run.queues import END
from ._summary import ErrorKind, Summary
from .chain import TaskChain
from .errors import (
    ConfigurationError,
    CoroutineReturnedError,
    DeadlineExceeded,
    ExecutorError,
    GetArgsError,
    GetRetryDelayError,
    HookError,
    InDoubtError,
    JournalError,
    NotInitializedError,
    ProcessResultError,
    RateKeyError,
    RetryAfter,
    StageDiedError,
    TaskManagerError,
    TaskTimeoutError,
    TooManyFailures,
    TransportError,
    WorkerDiedError,
    WorkerError,
    WorkerStartError,
)
from .journal import Journal
from .logger import TaskLogger
from .manager import TaskManager
from .progress import ProgressManager

__all__ = [
    "END",
    "ConfigurationError",
    "CoroutineReturnedError",
    "DeadlineExceeded",
    "ErrorKind",
    "ExecutorError",
    "GetArgsError",
    "GetRetryDelayError",
    "HookError",
    "InDoubtError",
    "Journal",
    "JournalError",
    "NotInitializedError",
    "Outcome",
    "ProcessResultError",
    "ProgressManager",
    "RateKeyError",
    "RetryAfter",
    "StageDiedError",
    "Summary",
    "TaskChain",
    "TaskLogger",
    "TaskManager",
    "TaskManagerError",
    "TaskTimeoutError",
    "TooManyFailures",
    "TransportError",
    "WorkerDiedError",
    "WorkerError",
    "WorkerStartError",
]
