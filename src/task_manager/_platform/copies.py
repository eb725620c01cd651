"""Tells a process from a copy of it that somebody has forked.

The pid would tell it as well, unless `os.getpid` is mocked just then, as tests of other code do: then
a worker thread took itself for a copy, and ended the whole process.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator

CAN_FORK = hasattr(os, "fork")

_here = object()
_forking = threading.RLock()  # a signal's handler may come to it twice


def this_process() -> object:
    """The same object at every call in one process, and another one in a copy of it."""
    return _here


def after_fork(function: Callable[[], object]) -> None:
    """Have this called first in each copy of this process, whoever forks it."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=function)


def end_a_copy(home: object, error: BaseException | None = None) -> None:
    """End this process at once, and print and flush nothing, if it is a copy of the one called `home`.

    home: What `this_process` said where the run began.
    error: What the copy would end with; a SystemExit has its exit code.

    To be called where a run goes on after code of the user's: that may have forked, and let the child
    return. The child would read what the workers send, write what they wait for, and change the
    selector, all of which it shares with its parent.
    """
    if home is not _here:
        os._exit(_exit_code(error))


def _exit_code(error: BaseException | None) -> int:
    code = error.code if isinstance(error, SystemExit) else error
    return code if isinstance(code, int) else int(code is not None)


@contextlib.contextmanager
def no_fork_meanwhile() -> Iterator[None]:
    """The time of a fork of ours, or of what must not be going on in another thread during one.

    loguru takes all its locks before a fork, and releases them after it. Where another thread makes a
    handler meanwhile there is one more to release, which raises there: the others stay locked for ever.
    """
    with _forking:
        yield


def _in_a_copy() -> None:
    global _here, _forking
    _here = object()
    _forking = threading.RLock()  # the thread that held it may not exist here


_forking = threading.RLock()  # a signal's handler may come to it twice


after_fork(_in_a_copy)
