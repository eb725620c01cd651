"""Every error that task_manager itself raises or files."""

from __future__ import annotations

import inspect
import pickle
import re
from typing import Any

import pytest

import task_manager
from task_manager import errors
from task_manager._processes.child import failed_starts_error
from task_manager.errors import (
    ConfigurationError,
    CoroutineReturnedError,
    DeadlineExceeded,
    GetArgsError,
    GetRetryDelayError,
    HookError,
    InDoubtError,
    JournalError,
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

TEXTS = [
    (TaskManagerError("anything"), "anything"),
    (ConfigurationError("worker_limit must be ..."), "worker_limit must be ..."),
    (JournalError("journal 'run.db' ..."), "journal 'run.db' ..."),
    (
        InDoubtError("https://a.org"),
        "a call may have begun before a crash, and what came of it is not known; "
        "it is made again only when the task is given again",
    ),
    (WorkerError("anything"), "anything"),
    (
        WorkerDiedError(12, 3),
        "ended with exit code 3: worker process 12, with this task in hand",
    ),
    (WorkerDiedError(12, -9), "killed by SIGKILL: worker process 12, with this task in hand"),
    (WorkerDiedError(12, -11), "killed by SIGSEGV: worker process 12, with this task in hand"),
    (
        WorkerDiedError(12, 0),
        "ended with exit code 0: worker process 12, with this task in hand",
    ),
    (WorkerDiedError(12, -99), "killed by signal 99: worker process 12, with this task in hand"),
    (
        WorkerDiedError(None, None),
        "ended with an unknown exit code: a worker process, with this task in hand",
    ),
    (WorkerStartError("3 worker processes in a row ..."), "3 worker processes in a row ..."),
    (StageDiedError(2, 12, -15), "killed by SIGTERM: the process of stage 2 (pid 12)"),
    (StageDiedError(1, None, 1), "ended with exit code 1: the process of stage 1"),
    (RetryAfter(2), "the function asked for a pause of 2 s"),
    (RetryAfter(0.5, all=True), "the function asked for a pause of 0.5 s for all"),
    (RetryAfter(1, all="a.org"), "the function asked for a pause of 1 s for all of 'a.org'"),
    (RateKeyError(3, "ValueError: no"), "rate_key raised ValueError: no"),
    (TooManyFailures("anything"), "anything"),
    (DeadlineExceeded("anything"), "anything"),
    (GetRetryDelayError(3, "ValueError: no"), "get_retry_delay raised ValueError: no"),
    (TaskTimeoutError(2.0), "the call took longer than task_timeout=2 s"),
    (TaskTimeoutError(0.25), "the call took longer than task_timeout=0.25 s"),
    (
        TransportError("result", "a.B", "will not be pickled"),
        "the result cannot cross to another process: a.B: will not be pickled",
    ),
    (
        TransportError("error", "a.E", "no", "Traceback ...\na.E: no\n"),
        "the error cannot cross to another process: a.E: no\nTraceback ...\na.E: no\n",
    ),
    (
        CoroutineReturnedError("fetch"),
        "the function returned a coroutine (fetch), which nothing awaits in this mode; "
        "pass the async function itself with execution_mode='async'",
    ),
    (
        CoroutineReturnedError("fetch", awaited=True),
        "the async function returned a coroutine (fetch), which nothing awaits; "
        "write `return await fetch(...)`",
    ),
    (HookError({"a": 1}, "KeyError: 'b'"), "hook raised KeyError: 'b'"),
    (GetArgsError({"a": 1}, "KeyError: 'b'"), "get_args raised KeyError: 'b'"),
    (ProcessResultError({"a": 1}, "KeyError: 'b'"), "process_result raised KeyError: 'b'"),
]

FIELDS = [
    (WorkerDiedError(12, -9), {"pid": 12, "exitcode": -9}),
    (StageDiedError(2, 12, -9), {"stage": 2, "pid": 12, "exitcode": -9}),
    (TaskTimeoutError(2.5), {"timeout": 2.5}),
    (
        TransportError("error", "a.E", "no", "Traceback"),
        {"what": "error", "type_name": "a.E", "message": "no", "traceback": "Traceback"},
    ),
    (TransportError("result", "a.E", "no"), {"what": "result", "traceback": ""}),
    (CoroutineReturnedError("fetch", True), {"coroutine": "fetch", "awaited": True}),
    (GetArgsError([1], "KeyError: 'b'"), {"task": [1], "error": "KeyError: 'b'", "hook": "get_args"}),
    (ProcessResultError([1], "no"), {"task": [1], "error": "no", "hook": "process_result"}),
]

errors_by_text = pytest.mark.parametrize(
    ("error", "text"), TEXTS, ids=[type(error).__name__ for error, _ in TEXTS]
)


@errors_by_text
def test_every_error_says_what_happened(error: TaskManagerError, text: str) -> None:
    """One text, that a person can act on."""
    assert text == str(error)


@errors_by_text
def test_every_error_crosses_to_another_process(error: TaskManagerError, text: str) -> None:
    """With its type, its arguments, its text, its fields and its notes."""
    error.add_note("a note")
    copy = pickle.loads(pickle.dumps(error))

    assert (type(error), error.args, text) == (type(copy), copy.args, str(copy))
    assert vars(error) == vars(copy)


@pytest.mark.parametrize(("error", "fields"), FIELDS)
def test_errors_have_what_their_docstrings_name(error: TaskManagerError, fields: dict[str, Any]) -> None:
    """The parts of the text are there as attributes."""
    assert fields == {name: getattr(error, name) for name in fields}


def test_the_tree_that_is_drawn_is_the_tree() -> None:
    """The docstring of the module shows every error under its base, and what else it is."""
    drawn: dict[str, list[str]] = {}
    branch: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        node = re.match(r"([ │├└─]+)(\w+)( +\(also an? (\w+)\))?", line)
        if node:
            depth = len(node[1]) // 4 - 1
            branch[depth:] = [node[2]]
            drawn[node[2]] = [*branch[-2:-1], *([node[4]] if node[4] else [])]
    drawn["TaskManagerError"] = ["Exception"]

    assert {
        name: [base.__name__ for base in getattr(errors, name).__bases__] for name in errors.__all__
    } == drawn


@pytest.mark.parametrize(
    ("what", "processes"),
    [("worker processes", "the worker processes"), ("processes of stage 2", "the processes of stage 2")],
)
def test_what_does_not_come_up_is_named(what: str, processes: str) -> None:
    """The workers of a manager, or a stage of a chain."""
    text = str(failed_starts_error(what, 7))

    assert text.startswith(
        f"{processes} die before they are ready, one after the other (the last one with "
    )


def test_every_error_can_be_imported() -> None:
    """All that the module defines is offered by it, and by the package itself."""
    defined = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, BaseException)
    }

    assert defined == set(errors.__all__)
    assert defined <= set(task_manager.__all__)


def test_errors_are_what_python_calls_them_too() -> None:
    """A wrong option is a ValueError; a time limit is a TimeoutError, and so retried by default."""
    assert issubclass(ConfigurationError, ValueError)
    assert issubclass(TaskTimeoutError, TimeoutError)
