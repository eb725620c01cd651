"""A few bytes of shared memory, in which a worker process says what it has in hand."""

from __future__ import annotations

import array
import contextlib
import mmap
import os
import socket
import tempfile
from collections.abc import Callable
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any

from .._call import IDLE, NEVER
from .channel import NO_SIGNAL, without_signal
from .files import standard_files_taken
from .life import FAREWELL, end_process, start_process


class SharedSlot:
    """The two floats of a Slot, living in two processes at once."""

    def __init__(self, fd: int) -> None:
        """fd: A file of one page; it is closed here."""
        try:
            self._map = mmap.mmap(fd, mmap.PAGESIZE)
        finally:
            os.close(fd)
        self._cells = memoryview(self._map).cast("d")

    @classmethod
    def make_and_send(cls, pipe: socket.socket) -> SharedSlot:
        """A new slot, and its twin on the way to the worker at the other end of the pipe."""
        fd = _make_file()
        passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
        without_signal(pipe)
        with contextlib.suppress(OSError):  # the worker is dead already; its sentinel says so
            pipe.sendmsg([b"s"], passed, NO_SIGNAL)  # socket.send_fds drops the flags
        slot = cls(fd)
        slot._cells[0] = IDLE
        slot._cells[1] = NEVER
        return slot

    @classmethod
    def receive(cls, pipe: socket.socket) -> SharedSlot:
        """The twin. Raises EOFError when the other side is gone."""
        _, fds, _, _ = socket.recv_fds(pipe, 1, 1)
        if not fds:
            raise EOFError
        return cls(fds[0])

    @property
    def cells(self) -> memoryview[float]:
        """The floats themselves, for a loop in a hurry."""
        return self._cells

    def __getitem__(self, cell: int) -> float:
        return self.cells[cell]

    def close(self) -> None:
        self._cells.release()
        self._map.close()


def start_with_slot(
    context: BaseContext, target: Callable[..., None], *args: Any, name: str
) -> tuple[BaseProcess, socket.socket, SharedSlot]:
    """As `start_process`, and a slot, whose twin is the first thing that comes through the pipe."""
    with standard_files_taken():
        process, pipe = start_process(context, target, *args, name=name)
        try:
            slot = SharedSlot.make_and_send(pipe)
        except BaseException:
            pipe.close()
            process.kill()
            end_process(process, FAREWELL)
            raise
    return process, pipe, slot


def _make_file() -> int:
    """A nameless file of one page, in memory where the platform can."""
    try:
        fd = os.memfd_create("task_manager")
    except (AttributeError, OSError):  # not on every platform, and forbidden in some sandboxes
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.ftruncate(fd, mmap.PAGESIZE)
    return fd
