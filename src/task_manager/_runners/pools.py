"""An executor of concurrent.futures, whoever made it: what it tells of itself, how it is made and ended.

One that was passed in is somebody else's: it is given calls, and nothing more.  One that we have made
is ended, and made anew where it is broken.
"""

from __future__ import annotations

import contextlib
import inspect
import weakref
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from typing import Any

from .._platform import this_process
from .._repr import name_of
from .._signals import let_through
from ..errors import ConfigurationError, ExecutorError, WorkerStartError
from .packed import ready

TIME_TO_COME_UP = 30.0  # seconds that a first call is waited for, where the second one has failed
_TELLS = ("_max_workers", "max_workers", "num_workers")  # of the stdlib and loky; executorlib; mpi4py


class Named(partial[Executor]):
    """Makes an executor that a user has picked by a name, which is its first argument."""


_homes: weakref.WeakKeyDictionary[Executor, object] = weakref.WeakKeyDictionary()


def remember_home(executor: Executor) -> None:
    """It works in this process: a copy of it in another one has none of its threads."""
    with contextlib.suppress(TypeError):  # it cannot be weakly referred to
        _homes.setdefault(executor, this_process())


def workers_of(executor: Executor) -> int | None:
    """How many calls it makes at the same time, if it tells."""
    for name in _TELLS:
        try:
            told = getattr(executor, name, None)
        except Exception as error:  # a property of one that has lost its cluster
            let_through(error)
            continue
        if type(told) is int and told > 0:
            return told
    return None


def calls_here(executor: Any) -> bool:
    """Whether it makes its calls in this process, as far as is known. Subinterpreters are here too."""
    return not isinstance(executor, ProcessPoolExecutor)


def has_script(executor: Executor) -> bool:
    """Whether this script is `__main__` where it makes its calls."""
    return isinstance(executor, ProcessPoolExecutor) or type(executor) is ThreadPoolExecutor


def cancels_what_waits(executor: Executor) -> bool:
    """Whether what it has let us cancel has surely not begun; others let us cancel what runs, too."""
    of = type(executor).__module__.partition(".")[0]
    return isinstance(executor, ThreadPoolExecutor | ProcessPoolExecutor) or of == "loky"


class Pool:
    """Owns an executor, if it is ours, and what is known of it.

    ours: We have made it.
    """

    def __init__(self, given: Executor | Callable[[], Executor]) -> None:
        self._make = None if isinstance(given, Executor) else given
        self.ours = self._make is not None
        if isinstance(given, Executor):
            if _homes.get(given, this_process()) is not this_process():
                raise ConfigurationError(
                    f"the {type(given).__name__} works in the process that made it, and this one is a "
                    "copy of that; pass a function that makes an executor"
                )
            self._executor: Executor | None = given
        else:
            self._executor = _made_by(given)
        self._name = type(self._executor).__name__
        self._first: Future[bool] | None = None
        self._workers: int | None = None
        self.has_script = has_script(self._executor)
        self.cancels_what_waits = cancels_what_waits(self._executor)

    @property
    def workers(self) -> int | None:
        """How many calls it makes at the same time, as of now; None: it does not tell."""
        if self._executor is not None:
            self._workers = workers_of(self._executor)
        return self._workers

    @property
    def name(self) -> str:
        """For messages."""
        return f"the {self._name}{'' if self.ours else ' that was passed in'}"

    def submit(self, function: Callable[[Any], Any], argument: Any) -> Future[Any]:
        """Raises BrokenExecutor, and ExecutorError where it takes nothing any more."""
        try:
            if self._executor is None:
                self._executor = _made_by(self._make)
            if self._first is None:
                self._first = self._executor.submit(ready, None)
            return self._executor.submit(function, argument)
        except (BrokenExecutor, WorkerStartError):
            raise
        except Exception as error:
            let_through(error)
            raise ExecutorError(f"{self.name} takes no call: {_said(error)}") from error

    def why_not_ready(self) -> BaseException | None:
        """What came of its first call, if that has failed: it has never made one."""
        if self._first is None or self._first.cancelled():
            return None
        try:
            return self._first.exception(TIME_TO_COME_UP)
        except Exception as error:  # too late, or cancelled
            let_through(error)
            return error

    def call_everywhere(self, function: Callable[[Any], Any], argument: Any) -> None:
        """In each process of its workers, where it can do that, as the one of dask."""
        call = getattr(self._executor, "call_everywhere", None)
        if call is not None:
            try:
                call(function, argument)
            except Exception as error:  # it is gone, or has no time for us
                let_through(error)

    def discard(self) -> None:
        """It is broken: another one is made when it is needed. Only of one that is ours."""
        broken, self._executor, self._first = self._executor, None, None
        if broken is not None:
            end(broken, busy=True)

    def close(self, busy: bool) -> None:
        """End it if it is ours. busy: Calls go on in it: they are ended, too, where that can be done."""
        executor, self._executor = self._executor, None
        if self.ours and executor is not None:
            end(executor, busy)


def end(executor: Executor, busy: bool) -> None:
    """Shut it down; where it is busy, kill its processes, if it has any here."""
    wanted: dict[str, Any] = {"wait": True}
    understood = inspect.signature(executor.shutdown).parameters
    if "cancel_futures" in understood:
        wanted["cancel_futures"] = True
    if busy:
        processes = list((getattr(executor, "_processes", None) or {}).values())
        wanted["wait"] = bool(processes)  # threads cannot be ended, and are not waited for
        if "kill_workers" in understood:  # loky
            wanted["kill_workers"] = True
        else:
            for process in processes:
                with contextlib.suppress(Exception):  # it has ended
                    process.kill()
    executor.shutdown(**wanted)


def _made_by(make: Any) -> Executor:
    try:
        executor = make()
    except Exception as error:
        let_through(error)
        if isinstance(error, ConfigurationError | WorkerStartError):
            raise
        raise WorkerStartError(
            f"execution_mode={_title(make)} cannot make an executor: {_said(error)}"
        ) from error
    if not isinstance(executor, Executor):
        raise ConfigurationError(
            f"execution_mode={_title(make)} must return a concurrent.futures.Executor; got {executor!r}"
        )
    remember_home(executor)
    return executor


def _title(make: Any) -> str:
    """What stands behind `execution_mode=`: of one that is known by a name, that name."""
    return repr(make.args[0]) if isinstance(make, Named) else name_of(make)


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
