"""The links of a chain in process mode: what a stage reads its tasks from.

    parent ──▶ WayIn ═════════ socket pair ═════════▶ stage 1
    stage 1 ─▶ Writer ─▶ feeder thread ═ pipe ═▶ Reader ─▶ stage 2        and so on: a LinkQueue each

A LinkQueue is a bounded multiprocessing.Queue with one writer and one reader.  An item of it is
- a frame, as bytes,
- or the size of a large frame and its note, followed by its pieces as bytes.
So no item is large: the bound on items is one on bytes, nothing waits long for the rest of an item, and
a reader without the memory for a frame can throw its pieces away.

A process that is killed in the middle of a put or a get leaves half an item behind, or a lock that
is never released.  The parent holds both ends of the pipe open, so the other stage takes that for no
end; it is the parent that ends all stages, and makes new queues.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator
from multiprocessing.connection import wait as wait_for
from multiprocessing.context import BaseContext
from multiprocessing.queues import Queue
from queue import Empty
from typing import Any, Protocol

from .._platform import this_process, track_semaphores
from .._processes.channel import CHUNK, LARGEST_FRAME, NAP, Channel, TooLarge
from .._processes.files import standard_files_taken
from .._processes.launch import servants_of
from ..errors import WorkerStartError

ITEMS = 16  # of a queue
PIECE = 1 << 20  # bytes of a large frame that travel as one item
LARGEST_ITEM = PIECE + (1 << 16)  # bytes; what says that it is larger is none of ours

Frame = bytes | bytearray | memoryview


class Link(Protocol):
    """What a stage reads from.

    ended: Nothing more can come, although the stream has not ended: it was garbled.
    note: The one of the frame that was received last.
    """

    ended: bool
    note: bytes

    def receive(self) -> Iterator[Frame | TooLarge]:
        """The frames that have come, without waiting. One who stops early gets the others later."""
        ...

    def wait(self, seconds: float) -> None:
        """Until something has come, or the time is up."""
        ...

    async def arrival(self, seconds: float) -> None:
        """The same in an event loop, in which calls go on meanwhile."""
        ...


class WayIn(Channel):
    """The link of the first stage, which its parent writes to."""

    def wait(self, seconds: float) -> None:
        wait_for([self.fileno()], seconds)

    async def arrival(self, seconds: float) -> None:
        await _until_readable(self.fileno(), seconds)


async def _until_readable(end: Any, seconds: float) -> None:
    """Until there is something to read at this end of a pipe or socket, or the time is up."""
    loop, home = asyncio.get_running_loop(), this_process()
    come = loop.create_future()
    try:
        loop.add_reader(end, come.cancel)
    except NotImplementedError:  # as of the loop that Windows has
        late = loop.time() + seconds
        while not wait_for([end], 0.0) and loop.time() < late:
            await asyncio.sleep(NAP)
        return
    try:
        await asyncio.wait([come], timeout=seconds)
    finally:
        if home is this_process():  # a copy has the selector in common with us
            loop.remove_reader(end)


class LinkQueue(Queue):  # type: ignore[type-arg]
    """A queue that never loses an item in silence, and believes no length beyond that of an item.

    when_lost: Called where the feeder thread could not write an item; to be set by the writer.
    """

    when_lost: Callable[[], None] | None = None

    def _reset(self, after_fork: bool = False) -> None:
        """What `__init__` and `__setstate__` of Queue end with; here its way of reading gets a bound."""
        super()._reset(after_fork)  # type: ignore[misc]
        self._recv_bytes = self._receive

    def _receive(self) -> bytes:
        data: bytes = self._reader.recv_bytes(LARGEST_ITEM)  # type: ignore[attr-defined]
        return data

    def _on_queue_feeder_error(self, error: Exception, item: object) -> None:
        """As CPython has it, the error is printed, and all goes on without the item."""
        if self.when_lost is not None:
            self.when_lost()
        os._exit(1)

    def release(self) -> None:
        """Close the files and let go of the semaphores now, whoever still knows this object."""
        self.close()
        locks = self._rlock, self._wlock, self._sem  # type: ignore[attr-defined]
        names = [lock._semlock.name for lock in locks]
        with servants_of("spawn" if any(names) else "fork"):
            track_semaphores(names)
            del locks, self._rlock, self._wlock, self._sem  # type: ignore[attr-defined]
        for end in (self._reader, self._writer):  # type: ignore[attr-defined]
            end.close()


def make_queue(before: BaseContext, after: BaseContext) -> LinkQueue:
    """The queue between two processes that are started like that.

    Raises what the system refuses, as an OSError; WorkerStartError where it knows no semaphores.
    """
    # A semaphore without a name is inherited by forked processes alone; pickling it for others raises.
    forked = {before.get_start_method(), after.get_start_method()} == {"fork"}
    method = "fork" if forked else "spawn"
    try:
        with standard_files_taken(), servants_of(method):
            return LinkQueue(ITEMS, ctx=multiprocessing.get_context(method))
    except ImportError as error:
        raise WorkerStartError(f"the stages of a chain need semaphores: {error}") from error


class Writer:
    """The writing end of a queue."""

    def __init__(self, queue: LinkQueue) -> None:
        self._queue = queue

    def begin(self) -> None:
        """Start the feeder thread, by an item of nothing. Raises RuntimeError where none can be had."""
        self._queue.put(b"")

    def send(self, frame: Frame, note: bytes = b"") -> None:
        """Put a frame in; waits as long as there is no room for it."""
        if len(frame) <= CHUNK and not note:
            self._queue.put(bytes(frame))
            return
        self._queue.put((len(frame), note))
        whole = memoryview(frame)
        for first in range(0, len(frame), PIECE):
            self._queue.put(bytes(whole[first : first + PIECE]))

    def end(self, frame: bytes) -> None:
        """Put in the last one, and wait until all is in the pipe: from then on this process may go."""
        self._queue.put(frame)
        self._queue.close()
        self._queue.join_thread()

    def abandon(self) -> None:
        """Nobody reads what has not been written: this process need not wait for that at its exit."""
        self._queue.cancel_join_thread()


class Reader:
    """The reading end of a queue: frames, put together from its items."""

    def __init__(self, queue: LinkQueue) -> None:
        self._queue = queue
        self._items: deque[Any] = deque()  # at most one, which `wait` has come upon
        self._large: bytearray | None = None  # where the pieces go; None where no memory holds them
        self._size = self._missing = 0  # bytes of the large frame that is coming
        self.ended = False
        self.note = b""

    def wait(self, seconds: float) -> None:
        if not self._items:
            self._get(seconds)

    async def arrival(self, seconds: float) -> None:
        if not self._items:
            await _until_readable(self._queue._reader, seconds)  # type: ignore[attr-defined]

    def receive(self) -> Iterator[Frame | TooLarge]:
        while not self.ended:
            if not self._items:
                self._get(0.0)
            if not self._items:
                return
            frame = self._open(self._items.popleft())
            if frame:
                yield frame

    def _get(self, seconds: float) -> None:
        """The next item, if it comes in time. Of what was not put there, anything may be raised."""
        try:
            self._items.append(self._queue.get(seconds > 0, seconds))
        except Empty:
            return
        except Exception:
            self.ended = True

    def _open(self, item: object) -> Frame | TooLarge | None:
        """Take an item in; the frame that it is, or of which it is the last piece."""
        match item:
            case bytes() if not self._missing:
                self.note = b""
                return item
            case bytes() if 0 < len(item) <= self._missing:
                return self._put_together(item)
            case (int(size), bytes(note)) if not self._missing and 0 < size <= LARGEST_FRAME:
                self.note = note
                self._size = self._missing = size
                with contextlib.suppress(MemoryError):
                    self._large = bytearray(size)
            case _:
                self.ended = True
        return None

    def _put_together(self, piece: bytes) -> Frame | TooLarge | None:
        begin = self._size - self._missing
        if self._large is not None:
            self._large[begin : begin + len(piece)] = piece
        self._missing -= len(piece)
        if self._missing:
            return None
        large, self._large = self._large, None
        return TooLarge(self.note, self._size) if large is None else large
