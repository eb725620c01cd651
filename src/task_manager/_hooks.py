"""The hooks of a manager: what each does by itself, and whether a subclass has written it right."""

from __future__ import annotations

import difflib
import inspect
import warnings
from typing import Any, Generic, Literal

from ._generic import R, T
from ._task import is_tuple
from .errors import ConfigurationError
from .options import ManagerAttributes

HOOKS: dict[str, tuple[str, ...]] = {  # a new hook is a new row
    "get_args": ("task",),
    "process_result": ("task", "result"),
    "get_retry_delay": ("task", "error", "attempt"),
    "process_error": ("task", "error"),
    "handle_error": (),
}
NEAR = 0.9  # of difflib's ratio: process_results and getArgs are near, process_request is not


class Hooks(ManagerAttributes, Generic[T, R]):
    """A manager as its run sees it: options, and hooks to be overridden."""

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

    def get_retry_delay(
        self, task: T, error: Exception, attempt: int, /
    ) -> float | Literal[False] | None:
        """Seconds until this task is tried again; None: the usual delay, False: no further attempt.

        To be overridden. Called in the thread that called `start` after each attempt that failed, as
        long as `max_retries` allows another one; a number retries whatever `retry_exceptions` says.
        attempt: The number of the one that failed, from 1. What it raises is the task's error, inside a
        GetRetryDelayError.
        """
        return None

    def process_error(self, task: T, error: BaseException, /) -> None:
        """What is to be done with a task that has failed for good, as it fails.

        To be overridden. Called once for each such task, in the thread that called `start`; the error
        is recorded by then, and stays. What this raises is a note on it, and one warning a run.
        """

    def handle_error(self) -> None:
        """Called once at the end of every run, when all results and errors are in place.

        To be overridden; `get_error_dict` has the errors, if there are any. What it raises, `start`
        raises.
        """


def check_hooks(manager: Any) -> None:
    """Raise ConfigurationError for a hook that cannot be called with what it will be called with.

    What has no signature that can be read is let through.
    """
    for name, parameters in HOOKS.items():
        hook = getattr(manager, name)
        if not callable(hook):
            raise ConfigurationError(
                f"{name} must be a function with the parameters {_listed(parameters)}; got {hook!r}"
            )
        whole = getattr(hook, "__func__", hook)
        bound = whole is not hook and getattr(hook, "__self__", None) is manager
        try:
            signature = inspect.signature(hook)
            written = inspect.signature(whole) if bound else signature
        except Exception:
            # A method without any parameter, which misses `self`, has no signature as one that is bound.
            if not bound or not inspect.isfunction(whole) or whole.__code__.co_argcount:
                continue
            signature = written = inspect.Signature()
            refused = True
        else:
            refused = not _takes(signature, parameters)
        if refused:
            right = ("self", *parameters) if bound else parameters
            came = getattr(whole, "__qualname__", None) or name
            raise ConfigurationError(
                f"{name} must take {_listed(right)}; {came} takes {_listed(_names(written))}"
            )


def check_assigned_hooks(manager: Any) -> None:
    """The same at the start of a run, where somebody has put a hook on the manager itself."""
    if not HOOKS.keys().isdisjoint(vars(manager)):
        check_hooks(manager)


def warn_of_near_names(kind: type, base: type) -> None:
    """Warn of each method in the body of a subclass that is called nearly as a hook it does not have.

    To be called by `__init_subclass__`, so that each class is looked at once.
    base: The class that the hooks come from; what it has itself is not looked at.
    """
    for name, value in vars(kind).items():
        method = inspect.isroutine(value) or isinstance(value, staticmethod | classmethod)
        if not method or name.startswith("_") or hasattr(base, name):
            continue
        for hook, parameters in HOOKS.items():
            missing = getattr(kind, hook) is getattr(base, hook)
            if missing and _is_near(name, hook):
                warnings.warn(
                    f"{kind.__qualname__}.{name} is no hook, and a manager never calls it; "
                    f"did you mean {hook}{_listed(('self', *parameters))}?",
                    stacklevel=4,  # the class statement: above __init_subclass__, and the door's
                )


def _is_near(name: str, hook: str) -> bool:
    plain, hooks = (text.lower().replace("_", "") for text in (name, hook))
    return plain[:1] == hooks[0] and difflib.SequenceMatcher(None, plain, hooks).ratio() >= NEAR


def _takes(signature: inspect.Signature, parameters: tuple[str, ...]) -> bool:
    try:
        signature.bind(*parameters)
    except TypeError:
        return False
    return True


def _names(signature: inspect.Signature) -> tuple[str, ...]:
    """As they are written, without annotations and defaults, whose repr may be anything."""
    star: dict[Any, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    names: list[str] = []
    for parameter in signature.parameters.values():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and not any("*" in one for one in names):
            names.append("*")
        names.append(star.get(parameter.kind, "") + parameter.name)
    return tuple(names)


def _listed(names: tuple[str, ...]) -> str:
    return f"({', '.join(names)})"
