"""A process of ours ends when its parent is gone, also in the middle of a call."""

from __future__ import annotations

import multiprocessing
import os
import select
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import wait as wait_for
from os import getpid, getppid  # by name, as a function may mock the module for a while

from .processes import CAN_POLL, end_with_group

GLANCE = 0.5  # seconds between two looks at whether the parent still lives

Gone = Callable[[float], bool]  # waits up to so many seconds; whether the parent is gone


class SentinelClosedError(Exception):
    """The user's function has closed what tells of the parent; nothing else does."""


def parent_pid() -> int:
    """Of the process that this one belongs to, also where a fork server has started it for that."""
    parent = multiprocessing.parent_process()
    return getppid() if parent is None or parent.pid is None else parent.pid


def end_with_parent() -> None:
    """Watch the parent from now on, in a thread, or by a signal where there is none for us."""
    parent = multiprocessing.parent_process()
    sentinel = None if parent is None else parent.sentinel
    if CAN_POLL:
        # Where a fork server stands between, its death is not our parent's.
        gone = _gone_by_poll(sentinel, direct=parent is None or parent.pid == getppid())
    elif sentinel is not None:
        gone = _gone_by_wait(sentinel)
    else:
        return

    def watch() -> None:
        try:
            while not gone(GLANCE):
                continue
        except SentinelClosedError:
            return
        end_with_group()

    try:
        threading.Thread(target=watch, name="task_manager-watch", daemon=True).start()
    except (RuntimeError, MemoryError):  # the system has no thread for us, and may have none for long
        _watch_by_signal(sentinel, gone)


def _gone_by_poll(sentinel: int | None, direct: bool) -> Gone:
    """The sentinel tells at once, unless a younger sibling holds a copy of its other end (fork).

    direct: An orphan is known by its new parent as well.
    """
    poller = select.poll()
    if sentinel is not None:
        poller.register(sentinel, select.POLLIN)
    known = _file_at(sentinel)
    parent_id = getppid()

    def gone(wait: float) -> bool:
        for end, _ in poller.poll(wait * 1000):
            if _file_at(end) == known:
                return True
            poller.unregister(end)  # the user's function has closed it: that is no news of our parent
        return direct and getppid() != parent_id

    return gone


def _gone_by_wait(sentinel: int) -> Gone:
    """The handle of the parent. Its number is no file, and an orphan keeps the parent's pid."""

    def gone(wait: float) -> bool:
        try:
            return bool(wait_for([sentinel], wait))
        except (OSError, ValueError) as error:
            raise SentinelClosedError from error

    return gone


def _watch_by_signal(sentinel: int | None, gone: Gone) -> None:
    """The same without a thread: SIGIO comes when the other end of the sentinel is closed."""

    def look(*_: object) -> None:
        if gone(0.0):
            end_with_group()

    if sentinel is not None and hasattr(os, "O_ASYNC"):
        import fcntl

        signal.signal(signal.SIGIO, look)
        fcntl.fcntl(sentinel, fcntl.F_SETOWN, getpid())
        fcntl.fcntl(sentinel, fcntl.F_SETFL, fcntl.fcntl(sentinel, fcntl.F_GETFL) | os.O_ASYNC)
        look()  # it may have been closed before


def _file_at(fd: int | None) -> tuple[int, int] | None:
    """Which file has this number; None if none has."""
    if fd is None:
        return None
    try:
        found = os.fstat(fd)
    except OSError:
        return None
    return found.st_dev, found.st_ino
