"""The way into a stage: a link of either kind, read as far as tasks are needed."""

from __future__ import annotations

import asyncio
import multiprocessing
import pickle
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from task_manager._call import IDLE, NEVER
from task_manager._chain.book import Tickets
from task_manager._chain.link import Link, Reader, WayIn, Writer, make_queue
from task_manager._chain.reports import END, StageBatch, StageReport, TookReport
from task_manager._chain.stage import LinkSource
from task_manager._processes import wire
from task_manager._processes.channel import send_frame
from task_manager._processes.wire import Lost
from task_manager._signals import HeldSignals


class Told:
    """Takes what a stage has to tell, in place of a Reporter."""

    def __init__(self) -> None:
        self.reports: list[StageReport] = []
        self.failed: list[int] = []
        self.sent_on: list[StageBatch] = []

    def report(self, report: StageReport) -> None:
        self.reports.append(report)

    def fail(self, ticket: int, error: BaseException, attempts: int) -> None:
        self.failed.append(ticket)

    def send_on(self, frame: memoryview, note: bytes = b"") -> None:
        self.sent_on.append(pickle.loads(frame))


@pytest.fixture
def told() -> Told:
    return Told()


Send = Callable[[bytes], None]
FORK = multiprocessing.get_context("fork")


@pytest.fixture(params=["socket", "queue"])
def link(request: pytest.FixtureRequest) -> Iterator[tuple[Send, Link]]:
    """What writes a frame into a link, and the end that a stage reads from."""
    if request.param == "queue":
        queue = make_queue(FORK, FORK)

        def put(frame: bytes) -> None:
            """The feeder thread needs its time."""
            Writer(queue).send(frame)
            time.sleep(0.05)

        yield put, Reader(queue)
        queue.close()
        queue.join_thread()
        queue.release()
    else:
        ours, theirs = socket.socketpair()
        yield lambda frame: send_frame(ours, frame), WayIn(theirs)
        ours.close()
        theirs.close()


@pytest.fixture
def slot() -> list[float]:
    return [IDLE, NEVER]


class Silent:
    """A parent that says nothing."""

    def look(self) -> None: ...


@pytest.fixture
def source(link: tuple[Send, Link], told: Told, slot: list[float]) -> LinkSource:
    """Of stage 1, the second."""
    return LinkSource(1, link[1], told, Tickets(first=0), slot, Silent())  # type: ignore[arg-type]


def send(link: tuple[Send, Link], *batches: StageBatch) -> None:
    for batch in batches:
        link[0](wire.dumps(batch))


def read(source: LinkSource, limit: int, wait: float = 0.0) -> list[Any]:
    return source.read(limit, wait, HeldSignals())


def test_tasks_come_in_order_and_up_to_the_limit(source: LinkSource, told: Told, link: Any) -> None:
    """Also across batches; the parent is told each time what was taken."""
    send(link, StageBatch(1, [10, 11], True, ["a", "b"], []), StageBatch(1, [12], True, ["c"], []))

    assert [["a"], ["b", "c"], []] == [read(source, 1), read(source, 5), read(source, 5)]
    assert [TookReport([10]), TookReport([11, 12])] == told.reports


@pytest.mark.parametrize("loop_without_readers", [False, True])
def test_the_calls_of_a_loop_go_on_while_its_input_waits(
    source: LinkSource, link: Any, loop_without_readers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what comes meanwhile ends the waiting."""

    async def calls() -> list[str]:
        order: list[str] = []

        async def call() -> None:
            await asyncio.sleep(0.01)
            order.append("call")
            send(link, StageBatch(1, [10], True, ["a"], []))

        async def waiting() -> None:
            await source.wait(60.0)
            order.append("input")

        await asyncio.gather(waiting(), call())
        await source.wait(0.001)
        return order

    if loop_without_readers:  # as that of Windows
        monkeypatch.setattr(asyncio.SelectorEventLoop, "add_reader", refuse)

    assert ["call", "input"] == asyncio.run(calls())
    assert ["a"] == read(source, 1)


def refuse(*_: object) -> None:
    raise NotImplementedError


def test_f23_a_stage_opens_what_it_needs_and_leaves_the_rest_in_the_link(
    source: LinkSource, told: Told, link: Any
) -> None:
    """Where it fills up, so that the stage before has to wait."""
    send(link, StageBatch(1, [1], True, ["a"], []), StageBatch(1, [2], False, [b"no pickle"], []))
    taken = read(source, 1)
    failed = list(told.failed)

    assert (["a"], []) == (taken, failed)
    assert [] == read(source, 1)
    assert [2] == told.failed


def test_a_batch_for_a_later_stage_goes_on_as_it_is(source: LinkSource, told: Told, link: Any) -> None:
    """And the tasks behind it are taken."""
    later = StageBatch(2, [5], True, ["later"], [])
    send(link, later, StageBatch(1, [6], True, ["mine"], []))

    assert ["mine"] == read(source, 5)
    assert [later] == told.sent_on


def test_what_could_not_be_packed_goes_no_further(source: LinkSource, link: Any) -> None:
    """Its error is told where it was made."""
    send(link, StageBatch(1, [1, 2], False, [Lost("Broken", "no"), pickle.dumps("b")], []))

    assert ["b"] == read(source, 5)


def test_the_source_ends_when_the_last_task_is_taken(source: LinkSource, link: Any) -> None:
    """Not when the end of the stream has come."""
    send(link, StageBatch(1, [1, 2], True, ["a", "b"], []))
    link[0](END)
    steps = [(read(source, 1), source.ended) for _ in range(3)]

    assert [(["a"], False), (["b"], False), ([], True)] == steps


def test_an_empty_link_is_waited_for(source: LinkSource) -> None:
    """As long as was asked for, and there is nothing then."""
    assert [] == read(source, 5, wait=0.01)
    assert not source.ended
