"""The queue between two stages: what goes in comes out, in bounded items, or is noticed."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from task_manager import WorkerStartError
from task_manager._chain import link
from task_manager._chain.link import LinkQueue, Reader, Writer, make_queue
from task_manager._processes.channel import TooLarge

FORK, SPAWN = multiprocessing.get_context("fork"), multiprocessing.get_context("spawn")
LARGE = bytes(range(256)) * 10_000


@pytest.fixture
def queue() -> Iterator[LinkQueue]:
    queue = make_queue(FORK, FORK)
    yield queue
    queue.close()
    queue.join_thread()
    queue.release()


@pytest.fixture
def writer(queue: LinkQueue) -> Writer:
    return Writer(queue)


@pytest.fixture
def reader(queue: LinkQueue) -> Reader:
    return Reader(queue)


def received(reader: Reader, count: int) -> list[tuple[Any, bytes]]:
    """So many frames, each with its note."""
    found: list[tuple[Any, bytes]] = []
    until = time.monotonic() + 10
    while len(found) < count and time.monotonic() < until and not reader.ended:
        reader.wait(0.1)
        found += [(frame, reader.note) for frame in reader.receive()]
    return found


def test_frames_come_in_order_whole_and_with_their_notes(writer: Writer, reader: Reader) -> None:
    """Small ones and large ones; one more than once is no matter."""
    frames = [(b"a", b""), (LARGE, b"note"), (b"b", b""), (b"c", b""), (LARGE, b"")]

    def write() -> None:
        writer.begin()
        for frame, note in frames:
            writer.send(frame, note)

    thread = threading.Thread(target=write)  # the queue has no room for all of it
    thread.start()
    arrived = received(reader, len(frames))
    thread.join()

    assert [(len(frame), note) for frame, note in frames] == [(len(fr), note) for fr, note in arrived]
    assert all(sent == came for (sent, _), (came, _) in zip(frames, arrived, strict=True))


def test_f30_a_frame_that_no_memory_holds_is_thrown_away(
    writer: Writer, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its note arrives, and so does what comes after it."""

    def refuse(size: int) -> bytearray:
        raise MemoryError

    monkeypatch.setattr(link, "bytearray", refuse, raising=False)
    writer.send(LARGE, b"note")
    writer.send(b"after")

    assert [(TooLarge(b"note", len(LARGE)), b"note"), (b"after", b"")] == received(reader, 2)


@pytest.mark.parametrize(
    "item",
    [
        (b"frames", 3),
        ("text", b""),
        (0, b""),
        (1 << 62, b"more than there is"),
        [b"a", b"list"],
        None,
    ],
    ids=repr,
)
def test_f30_an_item_that_no_stage_has_put_in(queue: LinkQueue, reader: Reader, item: object) -> None:
    """It ends the link; nothing is taken for a frame."""
    queue.put(item)

    assert [] == received(reader, 1)
    assert reader.ended


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00\x00\x00\x03abc",
        b"\x7f\xff\xff\xff",
        b"\xff\xff\xff\xff\x00\x00\x01\x00\x00\x00\x00\x00",
        b"\x00" * 9,
    ],
)
def test_f30_bytes_that_no_queue_has_written(queue: LinkQueue, reader: Reader, garbage: bytes) -> None:
    """No pickle, or a length of two gigabytes, which is not waited for."""

    os.write(queue._writer.fileno(), garbage)  # type: ignore[attr-defined]

    assert [] == received(reader, 1)
    assert reader.ended


def test_f30_an_item_that_cannot_be_written_ends_the_process(tmp_path: Path) -> None:
    """CPython prints the error and goes on, as if the item had never been."""
    queue = make_queue(FORK, FORK)
    told = tmp_path / "told"

    def put() -> None:
        queue.when_lost = told.touch
        queue.put(lambda: "cannot be pickled")
        time.sleep(10)

    process = FORK.Process(target=put)
    process.start()
    process.join(5)
    code = process.exitcode
    process.kill()
    process.join()
    process.close()
    queue.release()

    assert (1, True) == (code, told.exists())


def test_f12_nothing_is_left_of_a_queue() -> None:
    """No named semaphore either, which processes that are not forked need."""
    queue = make_queue(SPAWN, FORK)
    locks: list[Any] = [queue._rlock, queue._wlock, queue._sem]  # type: ignore[attr-defined]
    files = [Path("/dev/shm") / f"sem.{lock._semlock.name.lstrip('/')}" for lock in locks]
    assert all(file.exists() for file in files)
    del locks  # a semaphore goes with the last who knows it
    queue.release()

    assert not any(file.exists() for file in files)


def test_f32_a_system_without_semaphores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python cannot import them there."""

    def refuse(*_: Any, **__: Any) -> None:
        raise ImportError("lacks a functioning sem_open")

    monkeypatch.setattr(LinkQueue, "__init__", refuse)
    with pytest.raises(WorkerStartError, match=r"semaphores.*sem_open"):
        make_queue(FORK, FORK)
