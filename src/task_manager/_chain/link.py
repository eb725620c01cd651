"""The links of a chain in process mode: what a stage reads its tasks from.

    parent ──▶ WayIn ═════════ socket pair ═════════▶ stage 1
    stage 1 ─▶ Writer ─▶ feeder thread ═ pipe ═▶ Reader ─▶ stage 2        and so on: a LinkQueue each

A LinkQueue is a bounded multiprocessing.Queue with one writer and one reader.  An item of it is
- a tuple of small frames, gathered as long as the feeder thread has not taken it,
- or the size of a large frame and its note, followed by its pieces as bytes, so that no item is large: the bound
  on items is one on bytes, and a reader without the memory for a frame can throw its pieces away.

A process that is killed in the middle of a put or a get leaves half an item behind, or a lock that
nobody lets go of.  The parent holds both ends of the pipe open, so nobody takes that for an end; it
ends all stages, and makes new queues.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from multiprocessing.connection import wait as wait_for
from multiprocessing.context import BaseContext
from multiprocessing.queues import Queue
from queue import Empty
from typing import Any, Protocol

from .._processes.channel import CHUNK, LARGEST_FRAME, NAP, Channel, TooLarge
from .._processes.files import standard_files_taken
from .._processes.launch import servants_of
from ..errors import WorkerStartError

ITEMS = 8  # of a queue
GATHERED = 1 << 14  # bytes of small frames that travel as one item
PIECE = 1 << 20  # bytes of a large frame that travel as one item
LARGEST_ITEM = PIECE + (1 << 12)  # bytes; what says that it is larger is none of ours


class Link(Protocol):
    """What a stage reads from.

    ended: Nothing more can come, although the stream has not ended: it was garbled.
    note: The one of the frame that was received last.
    """

    ended: bool
    note: bytes

    def receive(self) -> Iterator[Any]:
        """The frames that have come, as bytes or TooLarge, without waiting for more."""
        ...

    def wait(self, seconds: float) -> None:
        """Until something has come, or the time is up."""
        ...


class WayIn(Channel):
    """The link of the first stage, which its parent writes to."""

    def wait(self, seconds: float) -> None:
        wait_for([self.fileno()], seconds)


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
        """CPython has this to be overridden; by itself it prints the error, and goes on without the item."""
        if self.when_lost is not None:
            self.when_lost()
        os._exit(1)

    def release(self) -> None:
        """Close the files and let go of the semaphores now, whoever still knows this object."""
        self.close()
        with servants_of("spawn" if self._sem._semlock.name else "fork"):  # type: ignore[attr-defined]
            del self._rlock, self._wlock, self._sem  # type: ignore[attr-defined]
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


class Gathered:
    """An item of small frames; closed by the feeder thread, as it pickles the item.

    pause: Called before that, in the feeder thread.
    """

    def __init__(self, pause: Callable[[], None]) -> None:
        self._pause = pause
        self._lock = threading.Lock()
        self._frames: list[bytes] = []
        self._room = GATHERED
        self._closed = False

    def add(self, frame: bytes) -> bool:
        """Whether it is in; where not, there is no room or the item is on its way."""
        with self._lock:
            if self._closed or (self._frames and len(frame) > self._room):
                return False
            self._frames.append(frame)
            self._room -= len(frame)
            return True

    def __reduce__(self) -> Any:
        self._pause()
        with self._lock:
            self._closed = True
        return tuple, (self._frames,)


class Writer:
    """The writing end of a queue.

    A feeder thread that wakes for each result takes the interpreter away from a short call each time.
    So it sends small frames NAP seconds after the last ones at the earliest, and what comes until then
    goes with them.
    """

    def __init__(self, queue: LinkQueue) -> None:
        self._queue = queue
        self._open: Gathered | None = None
        self._sent = 0.0  # when the last small frames left

    def begin(self) -> None:
        """Start the feeder thread. Raises RuntimeError where there is none to be had."""
        self._queue.put(())

    def send(self, frame: bytes | memoryview, note: bytes = b"") -> None:
        """Put a frame in; waits as long as there is no room for it."""
        if len(frame) > CHUNK:
            self._open = None
            self._queue.put((len(frame), note))
            whole = memoryview(frame)
            for first in range(0, len(frame), PIECE):
                self._queue.put(bytes(whole[first : first + PIECE]))
        elif self._open is None or not self._open.add(bytes(frame)):
            self._open = Gathered(self._pause)
            self._open.add(bytes(frame))
            self._queue.put(self._open)

    def end(self) -> None:
        """Wait until all is in the pipe: from then on this process may go."""
        self._queue.close()
        self._queue.join_thread()

    def abandon(self) -> None:
        """Nobody reads what has not been written: this process need not wait for that at its exit."""
        self._queue.cancel_join_thread()

    def _pause(self) -> None:
        now = time.monotonic()
        if 0 < now - self._sent < NAP:
            time.sleep(self._sent + NAP - now)
            now = self._sent + NAP
        self._sent = now


class Reader:
    """The reading end of a queue: frames, put together from its items."""

    def __init__(self, queue: LinkQueue) -> None:
        self._queue = queue
        self._items: deque[Any] = deque()  # at most one, which `wait` has come upon
        self._frames: Iterator[bytes] = iter(())
        self._large: bytearray | None = None  # where the pieces go; None where no memory holds them
        self._size = self._missing = 0  # bytes of the large frame that is coming
        self.ended = False
        self.note = b""

    def wait(self, seconds: float) -> None:
        if not self._items:
            self._get(seconds)

    def receive(self) -> Iterator[bytes | bytearray | TooLarge]:
        while not self.ended:
            yield from self._frames
            if not self._items:
                self._get(0.0)
            if not self._items:
                return
            large = self._open(self._items.popleft())
            if large is not None:
                yield large

    def _get(self, seconds: float) -> None:
        """The next item, if it comes in time. Whatever is in it that was not put there, it raises."""
        try:
            self._items.append(self._queue.get(seconds > 0, seconds))
        except Empty:
            return
        except Exception:
            self.ended = True

    def _open(self, item: object) -> bytearray | TooLarge | None:
        """Take an item in; a large frame, if it was the last piece of that."""
        match item:
            case bytes() if 0 < len(item) <= self._missing:
                begin = self._size - self._missing
                if self._large is not None:
                    self._large[begin : begin + len(item)] = item
                self._missing -= len(item)
                if not self._missing:
                    large, self._large = self._large, None
                    return TooLarge(self.note, self._size) if large is None else large
            case (int(size), bytes(note)) if not self._missing and 0 < size <= LARGEST_FRAME:
                self.note = note
                self._size = self._missing = size
                with contextlib.suppress(MemoryError):
                    self._large = bytearray(size)
            case tuple() if not self._missing and all(type(frame) is bytes for frame in item):
                self.note = b""
                self._frames = iter(item)
            case _:
                self.ended = True
        return None
