"""A start without the `__main__` guard: how a child ends that comes to it, and what its parent tells.

     the script ──▶ start ──▶ child ──▶ imports the script ──▶ start ──▶ ends with UNGUARDED, in silence
                                                                             │
     WorkerStartError, once  ◀──────────────── exit code ────────────────────┘

A process that was not forked imports the script before anything of ours reaches it, so the exit code is
all that it can tell.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import sys
from multiprocessing import spawn
from types import FrameType

from ..errors import ConfigurationError, WorkerStartError

UNGUARDED = 117  # an exit code that nothing else is known to use
OURS = "task_manager-"  # what the names of processes of ours begin with
_SERVER = "MainProcess"  # the name of a fork server: it imports the script in newer releases of Python

_GUARD = (
    'Start under `if __name__ == "__main__":`, since every new process imports the script, and what '
    "that imports, and would come to this start again"
)


def importing_main() -> bool:
    """Whether this process was not forked and is just importing the script, or what that imports."""
    return bool(getattr(multiprocessing.process.current_process(), "_inheriting", False))


def end_if_unguarded() -> None:
    """To be called first in each start: a process of ours ends here if the start has no guard.

    It prints and flushes nothing: its parent tells, once. A start in any mode is the script's own work,
    which is not to be done again in each process.
    """
    if importing_main() and multiprocessing.current_process().name.startswith((OURS, _SERVER)):
        try:
            # Kept: an end of our pipe is in it. Were that closed before this process ends, the parent
            # might kill it, and not learn the exit code.
            _kept = _what_parent_sends()
        finally:
            os._exit(UNGUARDED)


def _what_parent_sends() -> object:
    """Take in what the parent still writes for this process, or it would wait for ever.

    It holds the other end of that pipe as well; a large function does not fit in.
    """
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code is not spawn._main.__code__:
        frame = frame.f_back
    return None if frame is None else pickle.load(frame.f_locals["from_parent"])


def refuse_unguarded() -> None:
    """Raise ConfigurationError where a process of somebody else's comes to such a start.

    Nobody knows there what its exit code says. Only where it is to start processes, which
    multiprocessing refuses as well, in many lines.
    """
    if importing_main():
        raise ConfigurationError(f"no process can be started while one imports the script. {_GUARD}")


def unguarded_error() -> WorkerStartError:
    """What the parent raises."""
    return WorkerStartError(f"the script starts a run without its guard. {_GUARD}")
