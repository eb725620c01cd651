"""Frames over a socket, for the side that must never block."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

from ._fork import end_a_copy, this_process

HEADER = struct.Struct("!Q")
CHUNK = 1 << 18  # bytes that are sent or received at once
KEPT = 1 << 24  # bytes of a buffer that is kept for the next large frame: fresh memory is slow
LITTLE = 1 << 12  # bytes
NAP = 0.005  # seconds in which news may gather, where nobody waits for an answer to it


class Channel:
    """Owns one end of a socket pair. In a copy of this process it is not to be used, and ends that.

    ended: The other side has closed it, or died.
    little: So little came the last time that one who reads it at once does so for each single frame.
        That costs more than a frame is worth: each time, one process gives way to the other.
    """

    def __init__(self, pipe: socket.socket) -> None:
        self._pipe = pipe
        self._home = this_process()
        pipe.setblocking(False)
        self._buffer = bytearray(CHUNK)  # what has arrived and is not used up: from _begin to _end
        self._begin = self._end = 0
        self._outgoing = bytearray()
        self.ended = False
        self.little = False

    def fileno(self) -> int:
        return self._pipe.fileno()

    @property
    def unsent(self) -> bool:
        """Whether something waits for room in the pipe."""
        return bool(self._outgoing)

    def send(self, frame: bytes) -> None:
        """Queue a frame (b"": none), and send as much as the pipe takes now."""
        end_a_copy(self._home)
        if frame:
            self._outgoing += HEADER.pack(len(frame))
            self._outgoing += frame
        try:
            while self._outgoing:
                sent = self._pipe.send(memoryview(self._outgoing)[:CHUNK])
                del self._outgoing[:sent]
        except BlockingIOError:
            return
        except OSError:  # the other side is gone; reading says so too
            self._outgoing.clear()

    def receive(self) -> Iterator[memoryview]:
        """The frames that have arrived whole, each to be used up before the next one is asked for.

        One who stops early gets the others the next time.
        """
        yield from self._cut()
        more = True
        while more:
            more = self._read()
            yield from self._cut()

    def _read(self) -> bool:
        """Take what has arrived, as far as there is room; whether there may be more."""
        end_a_copy(self._home)
        room = memoryview(self._buffer)[self._end :]
        try:
            count = self._pipe.recv_into(room)
        except BlockingIOError:
            return False
        except OSError:
            count = 0
        self._end += count
        self.ended = not count
        self.little = count < LITTLE
        return count == len(room)

    def _cut(self) -> Iterator[memoryview]:
        while (size := self._size_of_next()) <= self._end - self._begin:
            begin = self._begin
            self._begin += size
            yield memoryview(self._buffer)[begin + HEADER.size : self._begin]
        self._make_room(size)

    def _size_of_next(self) -> int:
        """Of the next frame with its header, or of a header as long as that is all one can tell."""
        if self._end - self._begin < HEADER.size:
            return HEADER.size
        return int(HEADER.unpack_from(self._buffer, self._begin)[0]) + HEADER.size

    def _make_room(self, size: int) -> None:
        """For the rest of the next frame, whose beginning moves to the front."""
        rest = self._buffer[self._begin : self._end] if self._begin else b""
        if size > len(self._buffer) or size <= CHUNK < KEPT < len(self._buffer):
            rest = rest or self._buffer[: self._end]
            self._buffer = bytearray(max(size, CHUNK))
        self._buffer[: len(rest)] = rest
        self._end -= self._begin
        self._begin = 0

    def close(self) -> None:
        self._pipe.close()


def send_frame(pipe: socket.socket, frame: bytes | memoryview) -> None:
    """For the side that may block: send a frame whole."""
    if len(frame) < CHUNK:
        pipe.sendall(HEADER.pack(len(frame)) + frame)
    else:
        pipe.sendall(HEADER.pack(len(frame)))
        pipe.sendall(frame)


def receive_frame(pipe: socket.socket) -> bytes | None:
    """For the side that may block: the next frame, None when the other side is gone."""
    header = _receive(pipe, HEADER.size)
    return None if header is None else _receive(pipe, HEADER.unpack(header)[0])


def _receive(pipe: socket.socket, length: int) -> bytes | None:
    buffer = bytearray(length)
    view = memoryview(buffer)
    got = 0
    while got < length:
        count = pipe.recv_into(view[got:])
        if not count:
            return None
        got += count
    return bytes(buffer)
