"""What waits to be told to the reader of a stream, in turn, and how much of it may."""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from task_manager import ConfigurationError, TaskManager
from task_manager._run.ledger import Ledger
from task_manager._run.source import IterableSource
from task_manager._run.untold import InTurn, Untold
from task_manager._signals import HeldSignals
from task_manager.events import Failed, Succeeded


def succeeded(*indices: int) -> Succeeded:
    count = len(indices)
    return Succeeded(list(indices), list(indices), list(indices), [0.0] * count, [1] * count)


def entered(told: Untold, count: int) -> list[int]:
    return told.enter(Ledger().enter_new)(list(range(count))).indices


def test_those_whom_the_reader_leaves_are_known() -> None:
    """Of an event whose outcomes are being told, the rest; of the others, all."""
    told = Untold()
    told.observe(succeeded(0, 1, 2))
    told.observe(Failed(3, 3, ValueError(), 1))
    outcomes = told.tell()

    assert [0, 1] == [next(outcomes).task, next(outcomes).task]
    assert [2, 3] == told.take_back()
    assert not told


@pytest.mark.parametrize("kind", [Untold, InTurn])
def test_no_handler_can_be_run_between_taking_out_and_telling(kind: type[Untold]) -> None:
    """It would be run where a function in Python begins, and what it raises would lose an outcome."""
    told = kind()
    entered(told, 3)
    told.observe(succeeded(0, 1, 2))
    outcomes = told.tell()
    functions: list[str] = []
    before = sys.getprofile()
    sys.setprofile(lambda frame, event, _: event == "call" and functions.append(frame.f_code.co_name))
    try:
        first = next(outcomes)
    finally:
        sys.setprofile(before)

    assert ([], 0, [1, 2]) == (functions, first.task, told.take_back())


def test_in_turn() -> None:
    """Nothing is told before the first has its outcome; at the end, all that there is."""
    told = InTurn()
    entered(told, 6)
    told.observe(succeeded(2, 1))
    assert not told
    told.observe(Failed(0, 0, ValueError(), 1))

    assert [0, 1, 2] == [one.task for one in told.tell()]
    told.observe(succeeded(5))
    assert [] == list(told.tell())
    told.over()
    assert [5] == [one.task for one in told.tell()]


def test_so_many_wait_and_no_more() -> None:
    """100 for each worker; more where the run takes many at a time, as tiny tasks; then none is read."""
    told = InTurn()
    source = told.source(IterableSource(itertools.count()), 2)
    enter = told.enter(Ledger().enter_new)
    signals = HeldSignals()

    def taken(limit: int) -> int:
        while read := source.read(limit, 0.0, signals):
            enter(read)
        return told.waiting

    assert 200 == taken(1)
    assert 200 == taken(25)
    assert 4 * 2 * 50 == taken(50)
    assert not source.ended


def test_a_slow_task_holds_back_a_bounded_number() -> None:
    """Of an endless input no more are begun, while one is waited for; then all come in order."""
    go_on = threading.Event()
    taken: list[int] = []

    def tasks() -> Iterator[int]:
        for n in itertools.count():
            taken.append(n)
            yield n

    def work(n: int) -> int:
        if not n:
            go_on.wait(20)
        return n

    def release() -> None:
        while len(taken) < 200 or still() != len(taken):
            pass
        seen.append(len(taken))
        go_on.set()

    def still() -> int:
        before = len(taken)
        threading.Event().wait(0.1)
        return before

    seen: list[int] = []
    releasing = threading.Thread(target=release)
    with TaskManager(work, "thread", worker_limit=2, logger=None) as manager:
        stream = manager.stream(tasks(), ordered=True)
        releasing.start()
        got = [one.task for one in itertools.islice(stream, 3000)]
        stream.close()
        releasing.join()

    assert list(range(3000)) == got
    assert 200 <= seen[0] <= 4 * 2 * 1000


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ordered": 1}, "ordered must be True or False; got 1"),
        ({"keep_results": "all"}, "keep_results must be True, False or 'errors'"),
    ],
)
def test_what_is_wrong_is_said_at_the_call(options: dict[str, Any], said: str) -> None:
    """And not at the first outcome."""
    manager = TaskManager(abs, logger=None)
    with pytest.raises(ConfigurationError, match=said):
        manager.stream([1], **options)
    with pytest.raises(ConfigurationError, match="got the string 'abc'"):
        manager.stream("abc")
    with pytest.raises(ConfigurationError, match=r"use `async for outcome in manager.stream_async"):
        manager.stream(aiter(_nothing()))


async def _nothing() -> Any:
    yield 1
