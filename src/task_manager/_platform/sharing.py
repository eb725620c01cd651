"""What two processes share: a pair of sockets, and a few floats in memory.

files can be passed (POSIX)     a nameless file in memory, sent through the pair (MemoryByPipe)
they cannot (Windows)           memory with a name, an argument of the process (MemoryByArgument)
"""

from __future__ import annotations

import array
import contextlib
import mmap
import multiprocessing
import os
import signal
import socket
import tempfile
from typing import Any

PASSES_FILES = hasattr(socket, "send_fds")

# A write to one who is gone is an error, and not the signal that silently ends a process where
# somebody has set SIGPIPE to its default.
NO_SIGNAL: int = getattr(socket, "MSG_NOSIGNAL", 0)
_SO_NOSIGPIPE = 0x1022  # of macOS, whose sockets are told once; Python has no name for it


def without_signal(pipe: socket.socket) -> None:
    """To be called once with each socket that is sent on: for systems that know no MSG_NOSIGNAL."""
    if not NO_SIGNAL and hasattr(signal, "SIGPIPE"):
        with contextlib.suppress(OSError):  # what is left is a signal that Python ignores by default
            pipe.setsockopt(socket.SOL_SOCKET, _SO_NOSIGPIPE, 1)


def pair_of_sockets() -> tuple[socket.socket, socket.socket]:
    """Two ends that are connected. One of them may be an argument of a process that is started.

    On Windows the pair goes over TCP, which would wait for more to send before it sends little.
    """
    ends = socket.socketpair()
    for end in ends:
        if end.family in (socket.AF_INET, socket.AF_INET6):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return ends


def memory_of_machine() -> int:
    """Bytes that this machine has, or more than any has where it does not tell."""
    if hasattr(os, "sysconf"):
        with contextlib.suppress(ValueError, OSError):  # a name that this system does not know
            return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return 1 << 42


class MemoryByPipe:
    """Owns a page of memory, whose twin is passed as a file through a socket.

    cells: Its floats.
    """

    def __init__(self, fd: int) -> None:
        """fd: A file of one page; it is closed here."""
        try:
            self._map = mmap.mmap(fd, mmap.PAGESIZE)
        finally:
            os.close(fd)
        self.cells: memoryview[float] = memoryview(self._map).cast("d")

    @classmethod
    def make_and_send(cls, pipe: socket.socket, values: list[float]) -> MemoryByPipe:
        """New memory that begins with these values, its twin on the way to the other end of the pipe.

        The other end may be dead already: that is no error here, its sentinel says so.
        """
        fd = _make_file()
        try:
            os.write(fd, array.array("d", values))
            passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
            without_signal(pipe)
            with contextlib.suppress(OSError):
                pipe.sendmsg([b"s"], passed, NO_SIGNAL)  # socket.send_fds drops the flags
        except BaseException:
            os.close(fd)
            raise
        return cls(fd)

    @classmethod
    def receive(cls, pipe: socket.socket) -> MemoryByPipe:
        """The twin. Raises EOFError when the other side is gone."""
        _, fds, _, _ = socket.recv_fds(pipe, 1, 1)
        if not fds:
            raise EOFError
        return cls(fds[0])

    def close(self) -> None:
        self.cells.release()
        self._map.close()


class MemoryByArgument:
    """Owns floats in memory that has a name, as `shared_by_argument` made it, or its twin."""

    def __init__(self, shared: Any) -> None:
        self.cells: memoryview[float] = memoryview(shared).cast("B").cast("d")

    def close(self) -> None:
        self.cells.release()


def shared_by_argument(values: list[float]) -> Any:
    """What is to be an argument of the process that is started; None where it can be sent a file."""
    if PASSES_FILES:
        return None
    return multiprocessing.get_context("spawn").RawArray("d", values)


def _make_file() -> int:
    """A nameless file of one page, in memory where the platform can."""
    fd = _memory_file()
    if fd is None:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, mmap.PAGESIZE)
    return fd


def _memory_file() -> int | None:
    if not hasattr(os, "memfd_create"):
        return None
    try:
        return os.memfd_create("task_manager")
    except OSError:  # forbidden in some sandboxes
        return None
