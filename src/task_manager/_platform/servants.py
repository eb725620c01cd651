"""The processes that multiprocessing keeps for itself, where a process is started through them.

Its fork server and its resource tracker may be killed at any moment, or may be those of another
process.  Windows has neither.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from time import monotonic, sleep  # by name, as tests of other code put others into the module
from typing import Any

from .copies import CAN_FORK
from .signals import blocked

SHORTLY = 0.1  # seconds in which a process ends whose files are closed
GAP = 0.002  # seconds between two looks at it

if CAN_FORK:
    from multiprocessing import forkserver, resource_tracker


def ready_servants(method: str) -> None:
    """The resource tracker runs, and so does a fork server that is a child of ours, if one is needed."""
    if not CAN_FORK or method == "fork":
        return
    # Where it has to be started, that unblocks SIGINT and SIGTERM, whoever has blocked them (gh-110844):
    # as `uninterrupted` has, for the process that is to be started next.
    with blocked(()):
        resource_tracker.ensure_running()
    if method == "forkserver":
        _forget_a_strange_fork_server()
        forkserver.ensure_running()


def end_of_servant(method: str) -> int | None:
    """The exit code of the fork server, if it has just died, and has not been waited for."""
    server: Any = forkserver._forkserver if CAN_FORK and method == "forkserver" else None
    if server is None or not hasattr(os, "waitid"):
        return None
    with server._lock, contextlib.suppress(OSError):
        if server._forkserver_pid is not None:
            until = monotonic() + SHORTLY
            while monotonic() < until:  # it closes its files before it is seen to be dead
                flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
                ended = os.waitid(os.P_PID, server._forkserver_pid, flags)
                if ended is not None:
                    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
                sleep(GAP)
    return None


def track_semaphores(names: Iterable[str | None]) -> None:
    """Have the resource tracker know these, before they are taken out of it.

    The one that was told when they were made may have been killed since; the one in its place would
    print a KeyError for each. To be told twice is nothing to it.
    """
    if CAN_FORK:
        for name in names:
            if name is not None:
                resource_tracker.register(name, "semaphore")


def forget_locks_of_servants() -> None:
    """In a forked child: threads of the parent may have held their locks."""
    servants: tuple[Any, ...] = (forkserver._forkserver, resource_tracker._resource_tracker)
    for servant in servants:
        servant._lock._at_fork_reinit()


def _forget_a_strange_fork_server() -> None:
    """A forked process knows the fork server of its parent; then CPython waits for it, and fails.

    So it does where the script ignores SIGCHLD, or waits for all children, and the server has died.
    """
    server: Any = forkserver._forkserver
    if not hasattr(os, "waitid"):
        return
    with server._lock:
        if server._forkserver_pid is None:
            return
        try:
            os.waitid(os.P_PID, server._forkserver_pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            with contextlib.suppress(OSError):
                os.close(server._forkserver_alive_fd)
            server._forkserver_address = server._forkserver_alive_fd = server._forkserver_pid = None
