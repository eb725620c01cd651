"""Whether a process has died, how it is waited for, and what ends together with it.

With POSIX each process of ours leads a group, and is killed with what the user's function has started
in it.  Windows has job objects for that, of which Python knows nothing: there the process alone is
killed, and what it has started lives on.
"""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import signal

# Bound here, as a function may mock these modules for a while: a signal must not go to a stranger then.
from collections.abc import Sequence
from multiprocessing.connection import wait as wait_for
from multiprocessing.process import BaseProcess
from time import sleep
from typing import Any, NoReturn

_getpid, _kill = os.getpid, os.kill
_getpgrp: Any = getattr(os, "getpgrp", None)
_killpg: Any = getattr(os, "killpg", None)

# Whether pipes can be polled, and so the sentinel of a process, beside sockets. On Windows a sentinel is
# a handle, and a selector takes sockets alone.
CAN_POLL = hasattr(selectors, "PollSelector")

LOST = 255  # what multiprocessing takes for the exit code of a process whose fork server has died

_KILL: int = getattr(signal, "SIGKILL", signal.SIGTERM)  # what Process.kill sends, or says that it sent
KILLED_CODES = (-_KILL, -signal.SIGTERM)  # exit codes of a process that somebody else has ended


def cores() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def has_died(process: BaseProcess) -> bool:
    """Asked of the system: a sentinel is silent as long as anybody holds a copy of its other end.

    Signal 0 only asks, in POSIX. On Windows os.kill knows no such question: 0 is CTRL_C_EVENT, and any
    other number ends the process.
    """
    if _killpg is None:
        return process.exitcode is not None
    if process.exitcode not in (None, LOST):
        return True
    try:
        _kill(process.pid or 0, 0)
    except ProcessLookupError:  # somebody else has waited for it
        return True
    except PermissionError:  # it lives, as another user
        return False
    return False


def is_alive(pid: int) -> bool | None:
    """Whether there is a process of this number; None: there is no way to ask.

    It may be another one than was meant, as numbers are given again.
    """
    if pid <= 0:
        return False
    if _killpg is None:
        return _is_alive_on_windows(pid)
    try:
        _kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _is_alive_on_windows(pid: int) -> bool | None:
    try:
        import ctypes

        kernel: Any = ctypes.windll.kernel32  # type: ignore[attr-defined, unused-ignore]
    except (ImportError, AttributeError):
        return None
    may_ask, still_active = 0x1000, 259  # PROCESS_QUERY_LIMITED_INFORMATION, STILL_ACTIVE
    handle = kernel.OpenProcess(may_ask, False, pid)
    if not handle:
        return False
    code = ctypes.c_ulong()
    known = kernel.GetExitCodeProcess(handle, ctypes.byref(code))
    kernel.CloseHandle(handle)
    return not known or code.value == still_active


def wait_for_end(process: BaseProcess, seconds: float) -> None:
    """Until it has ended, as its sentinel says, and not longer than so many seconds."""
    if CAN_POLL:
        # Not multiprocessing's wait, which asks the clock: that may be stopped, by tests of other code.
        poller = select.poll()
        poller.register(process.sentinel, select.POLLIN)
        poller.poll(seconds * 1000)
    else:
        wait_for([process.sentinel], seconds)


def when_ready(
    selector: selectors.BaseSelector, seconds: float
) -> Sequence[tuple[selectors.SelectorKey, int]]:
    """As `selector.select`, which on Windows is an error where nothing is registered."""
    if not selector.get_map():
        sleep(seconds)
        return []
    return selector.select(seconds)


def lead_a_group() -> None:
    """Have a group of its own, to be killed with what the user's function starts in it.

    A terminal's Ctrl-C does not reach it then: that is the parent's business. In the background of the
    terminal, reading from that is an error; as it comes, a process would be stopped for good.
    """
    if _killpg is None:
        return
    with contextlib.suppress(PermissionError):  # it leads a session already
        os.setpgid(0, 0)
    signal.signal(signal.SIGTTIN, signal.SIG_IGN)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)


def kill_left_behind(process: BaseProcess) -> None:
    """Kill what a dead process of ours has left in its group."""
    if _killpg is not None and process.pid:
        with contextlib.suppress(OSError):  # there is nothing, or it had not come to have a group
            _killpg(process.pid, signal.SIGKILL)


def end_with_group() -> NoReturn:
    """End this process, and with it what the user's function has started in its group."""
    if _killpg is not None:
        if _getpgrp() == _getpid():
            _killpg(0, signal.SIGKILL)
        signal.raise_signal(signal.SIGKILL)
    os._exit(1)
