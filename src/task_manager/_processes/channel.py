"""Frames over a socket, for the side that must never block, and for the side that may.

     header: MARK, length of the note, length of the frame │ note │ frame

A function may write into a socket of ours, and a header be no header then.  It is believed only with
its mark and within its bounds; what is no frame ends the channel, as the death of the other side does.
"""

from __future__ import annotations

import socket
import struct
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from .._platform import NO_SIGNAL, end_a_copy, memory_of_machine, this_process, without_signal

MARK = b"\x89TM\n"  # no text in any encoding begins like that
HEADER = struct.Struct(f"!{len(MARK)}sHQ")
CHUNK = 1 << 18  # bytes that are sent or received at once
KEPT = 1 << 24  # bytes of a buffer that is kept for the next large frame: fresh memory is slow
LITTLE = 1 << 12  # bytes
NAP = 0.005  # seconds in which news may gather, where nobody waits for an answer to it

LARGEST_FRAME = 4 * memory_of_machine()  # bytes; no process of ours can have made a larger one


class GarbageError(Exception):
    """What came through a pipe is no frame."""


@dataclass(frozen=True, slots=True)
class TooLarge:
    """Stands for a frame that there was no memory for. It has been read, and thrown away."""

    note: bytes
    size: int

    def __len__(self) -> int:
        return self.size


class Channel:
    """Owns one end of a socket pair. In a copy of this process it is not to be used, and ends that.

    ended: The other side has closed it, or died, or has sent what is no frame.
    garbled: It is the last of these; the other side may be alive.
    note: The one of the frame that was received last.
    little: So little came the last time that one who reads it at once does so for each single frame.
        That costs more than a frame is worth: each time, one process gives way to the other.
    """

    def __init__(self, pipe: socket.socket) -> None:
        self._pipe = pipe
        self._home = this_process()
        pipe.setblocking(False)
        without_signal(pipe)
        self._buffer = bytearray(CHUNK)  # what has arrived and is not used up: from _begin to _end
        self._begin = self._end = 0
        self._outgoing: deque[memoryview] = deque()
        self._lost: TooLarge | None = None  # the frame that is being thrown away
        self._still_lost = 0  # bytes of it that are yet to come
        self.ended = False
        self.garbled = False
        self.note = b""
        self.little = False

    def fileno(self) -> int:
        return self._pipe.fileno()

    @property
    def unsent(self) -> bool:
        """Whether something waits for room in the pipe."""
        return bool(self._outgoing)

    def send(self, frame: bytes, note: bytes = b"") -> None:
        """Queue a frame (b"": none); send as much as the pipe takes now. Large ones are not copied."""
        end_a_copy(self._home)
        if frame:
            self._outgoing.extend(map(memoryview, _parts(frame, note)))
        try:
            while self._outgoing:
                part = self._outgoing[0]
                sent = self._pipe.send(part[:CHUNK], NO_SIGNAL)
                if sent == len(part):
                    self._outgoing.popleft()
                else:
                    self._outgoing[0] = part[sent:]
        except BlockingIOError:
            return
        except OSError:  # the other side is gone; reading says so too
            self._outgoing.clear()

    def nudge(self) -> None:
        """Send a byte that is no frame, where the other side takes none. Any thread may, at any time."""
        with suppress(OSError):
            self._pipe.send(b"!", NO_SIGNAL)

    def receive(self) -> Iterator[memoryview | TooLarge]:
        """The frames that have arrived whole, each to be used up before the next one is asked for.

        One who stops early gets the others the next time.
        """
        yield from self._cut()
        more = True
        while more and not self.garbled:
            more = self._read()
            yield from self._cut()

    def _read(self) -> bool:
        """Take what has arrived, as far as there is room; whether there may be more."""
        end_a_copy(self._home)
        room = memoryview(self._buffer)[self._end :]
        if self._lost is not None:
            room = room[: self._still_lost]
        try:
            count = self._pipe.recv_into(room)
        except BlockingIOError:
            return False
        except OSError:
            count = 0
        if self._lost is None:
            self._end += count
        else:
            self._still_lost -= count
        self.ended = not count
        self.little = count < LITTLE
        return count == len(room)

    def _cut(self) -> Iterator[memoryview | TooLarge]:
        if self._lost is not None:
            if self._still_lost:
                return
            lost, self._lost = self._lost, None
            yield lost
        try:
            while (size := self._size_of_next()) <= self._end - self._begin:
                begin = self._begin
                self._begin += size
                yield memoryview(self._buffer)[begin + HEADER.size + len(self.note) : self._begin]
        except GarbageError:
            self.garbled = self.ended = True
            self._begin = self._end = 0
        else:
            self._make_room(size)

    def _size_of_next(self) -> int:
        """Of the next frame with all that is before it, or of as much of it as one can tell."""
        arrived = self._end - self._begin
        mark = self._buffer[self._begin : self._begin + min(arrived, len(MARK))]
        if not MARK.startswith(mark):
            raise GarbageError
        if arrived < HEADER.size:
            return HEADER.size
        note, size = _lengths(self._buffer, self._begin)
        if arrived < HEADER.size + note:
            return HEADER.size + note
        first = self._begin + HEADER.size
        self.note = bytes(self._buffer[first : first + note])
        return HEADER.size + note + size

    def _make_room(self, size: int) -> None:
        """For the rest of the next frame, whose beginning moves to the front."""
        rest = self._buffer[self._begin : self._end] if self._begin else b""
        if size > len(self._buffer) or size <= CHUNK < KEPT < len(self._buffer):
            rest = rest or self._buffer[: self._end]
            try:
                self._buffer = bytearray(max(size, CHUNK))
            except MemoryError:
                self._lost = TooLarge(self.note, size)
                self._still_lost = size - len(rest)
                self._begin = self._end = 0
                return
        self._buffer[: len(rest)] = rest
        self._end -= self._begin
        self._begin = 0

    def close(self) -> None:
        self._pipe.close()


def send_frame(
    pipe: socket.socket, frame: bytes | memoryview, note: bytes = b"", before: bytes = b""
) -> None:
    """For the side that may block: send a frame whole.

    before: Another one, which goes ahead of it in the same write; b"": none.

    note: A few bytes, at most 65,535, that arrive even where there is no memory for the frame.
    """
    parts = _parts(frame, note)
    if before:
        parts[:1] = [b"".join([*_parts(before, b""), parts[0]])]
    for part in parts:
        pipe.sendall(part, NO_SIGNAL)


def _parts(frame: bytes | memoryview, note: bytes) -> list[bytes | memoryview]:
    """What is to be sent for a frame: one piece of bytes if it is small, no copy of it otherwise."""
    header = HEADER.pack(MARK, len(note), len(frame)) + note
    return [header + frame] if len(frame) < CHUNK else [header, frame]


def _lengths(buffer: bytearray, begin: int) -> tuple[int, int]:
    """Of the note and of the frame whose header begins there. Raises GarbageError if it is none."""
    mark, note, size = HEADER.unpack_from(buffer, begin)
    if mark != MARK or size > LARGEST_FRAME:
        raise GarbageError
    return note, size


def receive_frame(pipe: socket.socket) -> bytes | bytearray | None:
    """For the side that may block: the next frame, None when the other side is gone.

    Raises GarbageError where something else has come.
    """
    header = _receive(pipe, HEADER.size)
    if header is None:
        return None
    note, size = _lengths(header, 0)
    frame = _receive(pipe, note)
    return frame if frame is None else _receive(pipe, size)


def _receive(pipe: socket.socket, length: int) -> bytearray | None:
    buffer = bytearray(length)
    view = memoryview(buffer)
    got = 0
    while got < length:
        count = pipe.recv_into(view[got:])
        if not count:
            return None
        got += count
    return buffer
