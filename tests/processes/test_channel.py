"""Frames over a socket, for the side that must never block, and for the side that may."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from task_manager._processes.channel import (
    CHUNK,
    HEADER,
    LARGEST_FRAME,
    LITTLE,
    MARK,
    Channel,
    GarbageError,
    TooLarge,
    receive_frame,
    send_frame,
)

LARGE = b"large " * CHUNK  # more than any pipe holds


@pytest.fixture
def ends() -> Iterator[tuple[Channel, socket.socket]]:
    """A channel, and the socket at its other end."""
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    yield channel, theirs
    channel.close()
    theirs.close()


@pytest.fixture
def channel(ends: tuple[Channel, socket.socket]) -> Channel:
    return ends[0]


@pytest.fixture
def other(ends: tuple[Channel, socket.socket]) -> socket.socket:
    return ends[1]


class Drip:
    """A pipe that gives and takes a few bytes at a time."""

    def __init__(self, content: bytes = b"") -> None:
        self.content = bytearray(content)

    def sendall(self, part: bytes, flags: int) -> None:
        self.content += part

    def recv_into(self, view: memoryview) -> int:
        part = self.content[: min(3, len(view))]
        view[: len(part)] = part
        del self.content[: len(part)]
        return len(part)


class Feed:
    """A pipe with something to read, one part a read."""

    def __init__(self, *parts: bytes | OSError) -> None:
        self.parts = list(parts)

    def setblocking(self, flag: bool) -> None:
        assert not flag

    def recv_into(self, view: memoryview) -> int:
        part = self.parts.pop(0)
        if isinstance(part, OSError):
            raise part
        view[: len(part)] = part
        return len(part)


def received(channel: Channel) -> list[bytes]:
    return list(map(bytes, channel.receive()))


def framed(frame: bytes) -> bytes:
    return HEADER.pack(MARK, 0, len(frame)) + frame


@settings(deadline=None, max_examples=50)
@given(st.lists(st.binary(min_size=1, max_size=200), max_size=20), st.booleans())
def test_frames_arrive_whole_and_in_order(frames: list[bytes], at_once: bool) -> None:
    """However they were sent, and however many arrive with one look."""
    ours, theirs = socket.socketpair()
    sender, receiver = Channel(ours), Channel(theirs)
    arrived: list[bytes] = []
    for frame in frames:
        sender.send(frame)
        if not at_once:
            arrived += received(receiver)
    arrived += received(receiver)
    sender.close()
    receiver.close()

    assert frames == arrived


def test_a_frame_arrives_when_its_last_byte_does(channel: Channel, other: socket.socket) -> None:
    """Parts of a frame are kept until it is whole."""
    arrived = []
    for byte in framed(b"abc") + framed(b"d"):
        other.sendall(bytes([byte]))
        arrived.append(received(channel))

    whole = [(n, frames) for n, frames in enumerate(arrived, 1) if frames]
    assert [(HEADER.size + 3, [b"abc"]), (2 * HEADER.size + 4, [b"d"])] == whole


def test_a_whole_frame_does_not_wait_for_the_next_one(channel: Channel, other: socket.socket) -> None:
    """What follows it may still be on its way."""
    other.sendall(framed(b"abc") + framed(b"defg")[:-1])
    first = received(channel)
    other.sendall(b"g")

    assert ([b"abc"], [b"defg"]) == (first, received(channel))


def test_one_who_stops_early_gets_the_other_frames_the_next_time(
    channel: Channel, other: socket.socket
) -> None:
    """Before those that have come since."""
    other.sendall(framed(b"a") + framed(b"b") + framed(b"c"))
    first = bytes(next(channel.receive()))
    other.sendall(framed(b"d"))

    assert (b"a", [b"b", b"c", b"d"]) == (first, received(channel))


def test_a_full_buffer_that_is_not_used_up_is_no_end(channel: Channel, other: socket.socket) -> None:
    """There is room again before more is read."""
    whole = framed(b"x" * (CHUNK // 8 - HEADER.size))
    sender = threading.Thread(target=other.sendall, args=(whole * 20,))
    sender.start()
    arrived = 0
    while arrived < 20:
        for _ in channel.receive():
            arrived += 1
            break
    sender.join()

    assert not channel.ended


def test_little_news_is_told_from_much(channel: Channel, other: socket.socket) -> None:
    """By what came the last time that anything did."""
    seen = [channel.little]
    for size in (10, 2 * LITTLE, 10):
        other.sendall(framed(b"x" * size))
        received(channel)
        seen.append(channel.little)

    assert [False, True, False, True] == seen


def test_an_empty_frame_is_a_frame(channel: Channel, other: socket.socket) -> None:
    """The side that may block can send one, and it arrives."""
    for frame in (b"", b"a", b""):
        send_frame(other, frame)

    assert [b"", b"a", b""] == received(channel)


def test_without_news_nothing_is_received(channel: Channel) -> None:
    """A look at a quiet pipe neither blocks nor ends it."""
    assert [] == received(channel)
    assert not channel.ended


def test_sending_never_blocks() -> None:
    """What the pipe does not take waits here; the other side reads it piece by piece."""
    ours, theirs = socket.socketpair()
    sender, receiver = Channel(ours), Channel(theirs)
    sender.send(LARGE)
    sender.send(b"after it")
    waited = sender.unsent
    arrived: list[bytes] = []
    while sender.unsent:
        arrived += received(receiver)
        sender.send(b"")
    arrived += received(receiver)
    sender.close()
    receiver.close()

    assert waited
    assert [LARGE, b"after it"] == arrived


def test_a_frame_that_the_pipe_takes_leaves_nothing_unsent(channel: Channel) -> None:
    """Before a send, and after."""
    before = channel.unsent
    channel.send(b"small")
    channel.send(b"")

    assert (False, False) == (before, channel.unsent)


def test_frames_sent_before_the_end_are_received(channel: Channel, other: socket.socket) -> None:
    """What a worker sent before it died is not lost."""
    other.sendall(framed(b"last") + framed(b"cut off")[:-3])
    other.close()
    frames = [*received(channel), *received(channel)]

    assert [b"last"] == frames
    assert channel.ended
    assert [] == received(channel)


def test_a_look_takes_all_that_has_arrived() -> None:
    """Also where what arrives is just as long as one read."""
    content = framed(b"x" * (CHUNK - HEADER.size)) + framed(b"after it")
    pipe: Any = Feed(content[:CHUNK], content[CHUNK:], BlockingIOError())
    channel = Channel(pipe)

    assert [b"x" * (CHUNK - HEADER.size), b"after it"] == received(channel)
    assert ([], False) == (received(channel), channel.ended)


def test_an_end_after_a_full_read_is_the_end() -> None:
    """What came before it is not lost."""
    content = framed(b"x" * (CHUNK - HEADER.size))
    pipe: Any = Feed(content, b"")
    channel = Channel(pipe)

    assert ([content[HEADER.size :]], True) == (received(channel), channel.ended)


def test_sending_to_one_who_is_gone_is_no_error(channel: Channel, other: socket.socket) -> None:
    """Reading tells of the end; nothing is kept for a reader who is gone."""
    other.close()
    channel.send(b"a")
    channel.send(LARGE)
    received(channel)

    assert (False, True) == (channel.unsent, channel.ended)


def test_one_who_goes_without_reading_is_gone(channel: Channel, other: socket.socket) -> None:
    """A connection that is reset has ended like any other."""
    channel.send(b"never read")
    other.close()
    frames = received(channel)

    assert ([], True) == (frames, channel.ended)


def test_what_waits_for_one_who_goes_is_dropped(channel: Channel, other: socket.socket) -> None:
    """A frame that was sent in part is not kept."""
    channel.send(LARGE)
    waited = channel.unsent
    other.close()
    channel.send(b"")

    assert (True, False) == (waited, channel.unsent)


def test_a_channel_can_be_selected_on(channel: Channel, other: socket.socket) -> None:
    """It has the number of its socket, until it is closed."""
    fileno = channel.fileno()
    channel.close()

    assert (True, -1) == (fileno >= 0, channel.fileno())


@pytest.mark.parametrize("size", [0, 1, 1000, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_a_frame_of_any_size_crosses_between_those_that_may_block(size: int) -> None:
    """However small the pieces in which it arrives."""
    pipe: Any = Drip()
    send_frame(pipe, b"a" * size)
    send_frame(pipe, b"next")
    content = bytes(pipe.content)

    assert framed(b"a" * size) + framed(b"next") == content
    if size <= 1000:
        assert [b"a" * size, b"next", None] == [receive_frame(pipe) for _ in range(3)]


@pytest.mark.parametrize("cut", [0, 1, HEADER.size - 1, HEADER.size, HEADER.size + 2])
def test_the_end_of_the_other_side_is_no_frame(cut: int) -> None:
    """None, whether it comes between two frames or in the middle of one."""
    pipe: Any = Drip(framed(b"abc")[:cut])

    assert receive_frame(pipe) is None


def test_the_blocking_side_reads_what_the_other_one_sends(
    channel: Channel, other: socket.socket
) -> None:
    """Both speak of the same frames."""
    for frame in (b"one", b"two"):
        channel.send(frame)
    channel.close()

    assert [b"one", b"two", None] == [receive_frame(other) for _ in range(3)]


# ------------------------------------------------------------------ what is no frame


GARBAGE = {
    "a message": b"warning: what some library has to say\n",
    "one byte": b"x",
    "half a mark": MARK[:2] + b"--",
    "a length beyond all bounds": HEADER.pack(MARK, 0, LARGEST_FRAME + 1),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_ends_a_channel(garbage: bytes, channel: Channel, other: socket.socket) -> None:
    """What came before it is received; what comes after it is not believed any more."""
    other.sendall(framed(b"before") + garbage)
    first = received(channel)
    other.sendall(framed(b"after"))

    assert ([b"before"], []) == (first, received(channel))
    assert (True, True) == (channel.garbled, channel.ended)


@pytest.mark.parametrize("garbage", ["a message", "a length beyond all bounds"])
def test_garbage_is_an_error_where_one_may_block(garbage: str) -> None:
    """A worker does not take it for the length of a frame either."""
    pipe: Any = Drip(GARBAGE[garbage])

    with pytest.raises(GarbageError):
        receive_frame(pipe)


def test_a_note_arrives_with_its_frame(channel: Channel, other: socket.socket) -> None:
    """Also where it comes byte by byte; a frame without one has none."""
    pipe: Any = Drip()
    send_frame(pipe, b"frame", b"note")
    send_frame(pipe, b"next")
    arrived = []
    for byte in bytes(pipe.content):
        other.sendall(bytes([byte]))
        arrived += [(bytes(frame), channel.note) for frame in channel.receive()]

    assert [(b"frame", b"note"), (b"next", b"")] == arrived
    assert [b"frame", b"next", None] == [receive_frame(pipe) for _ in range(3)]


def test_a_frame_that_there_is_no_memory_for(
    channel: Channel, other: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read and thrown away; its note, and what comes before and after it, arrive."""

    def little_memory(size: Any) -> bytearray:
        if size > 2 * CHUNK:
            raise MemoryError
        return bytearray(size)

    monkeypatch.setattr("task_manager._processes.channel.bytearray", little_memory, raising=False)
    frames = [(b"before", b""), (b"x" * 10 * CHUNK, b"note"), (b"after", b"")]
    sender = threading.Thread(target=lambda: [send_frame(other, *frame) for frame in frames])
    sender.start()
    arrived: list[Any] = []
    while len(arrived) < 3:
        arrived += [
            frame if isinstance(frame, TooLarge) else bytes(frame) for frame in channel.receive()
        ]
    sender.join()

    assert [b"before", TooLarge(b"note", HEADER.size + 4 + 10 * CHUNK), b"after"] == arrived
    assert not channel.ended


def test_a_large_frame_is_not_copied_to_be_sent(channel: Channel) -> None:
    """Where it waits for room, what waits is a view of the very bytes."""
    frame = b"x" * 10 * CHUNK
    channel.send(frame)

    assert channel._outgoing[-1].obj is frame
