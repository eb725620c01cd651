"""Frames over a socket, for the side that must never block."""

from __future__ import annotations

import socket
import struct

HEADER = struct.Struct("!Q")
CHUNK = 1 << 18


class Channel:
    """Owns one end of a socket pair.

    ended: The other side has closed it, or died.
    """

    def __init__(self, pipe: socket.socket) -> None:
        self._pipe = pipe
        pipe.setblocking(False)
        self._incoming = bytearray()
        self._outgoing = bytearray()
        self.ended = False

    def fileno(self) -> int:
        return self._pipe.fileno()

    @property
    def unsent(self) -> bool:
        """Whether something waits for room in the pipe."""
        return bool(self._outgoing)

    def send(self, frame: bytes) -> None:
        """Queue a frame (b"": none), and send as much as the pipe takes now."""
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

    def receive(self) -> list[bytes]:
        """The frames that have arrived whole."""
        try:
            while chunk := self._pipe.recv(CHUNK):
                self._incoming += chunk
                if len(chunk) < CHUNK:
                    break
            else:
                self.ended = True
        except BlockingIOError:
            pass
        except OSError:
            self.ended = True
        return self._cut()

    def _cut(self) -> list[bytes]:
        frames: list[bytes] = []
        begin = 0
        incoming = self._incoming
        while len(incoming) - begin >= HEADER.size:
            (length,) = HEADER.unpack_from(incoming, begin)
            end = begin + HEADER.size + length
            if len(incoming) < end:
                break
            frames.append(bytes(memoryview(incoming)[begin + HEADER.size : end]))
            begin = end
        del incoming[:begin]
        return frames

    def close(self) -> None:
        self._pipe.close()


def send_frame(pipe: socket.socket, frame: bytes) -> None:
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
