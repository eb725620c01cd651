"""A rule that holds attempts back is given to a run, and nothing else changes."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest

import functions as f
from functions import WAYS, manager_of
from stand import Stand
from task_manager._plan import plan_of
from task_manager._run.source import IterableSource
from task_manager._signals import HeldSignals
from task_manager.events import Attempted, Event
from task_manager.manager import runs_of


class Opening:
    """Nothing starts before its time; from then on, so many may be in flight."""

    def __init__(self, opens: float, most: int) -> None:
        self.opens = opens
        self.most = most
        self.started: list[tuple[float, int]] = []

    def room(self, now: float, in_flight: int) -> int:
        return 0 if now < self.opens else self.most - in_flight

    def due(self, now: float) -> float:
        return self.opens if now < self.opens else math.inf

    def start(self, now: float, indices: Sequence[int]) -> None:
        self.started.append((now, len(indices)))

    def began(self, index: int, when: float) -> None: ...

    def returned(self, indices: Iterable[int]) -> None: ...

    def over(self, now: float) -> None: ...


class Began:
    """Notes when calls began."""

    def __init__(self) -> None:
        self.began: list[float] = []

    def observe(self, event: Event) -> None:
        if isinstance(event, Attempted):
            self.began += event.began


def test_nothing_is_read_before_its_time() -> None:
    """The pump is told when to ask again, at most TICK away; a task that waits is not even taken."""
    stand = Stand([1, 2, 3], limit=Opening(1000.1, 5))

    assert stand.run.next_batch() is None
    assert pytest.approx(0.1) == stand.run.patience(full=False)
    assert [] == stand.source.asked
    assert not stand.run.over


def test_from_its_time_on_it_starts() -> None:
    """The rule is told of what was started."""
    limit = Opening(1000.1, 5)
    stand = Stand([1, 2, 3], limit=limit)
    stand.run.next_batch()
    stand.clock.now = 1000.2
    batch = stand.next()

    assert [1, 2, 3] == batch.tasks
    assert [(1000.2, 3)] == limit.started


def test_no_more_than_so_many_are_in_flight() -> None:
    """Where only an outcome can change that, the run waits for one, and goes on then."""
    stand = Stand([1], [2], [3], limit=Opening(0.0, 2))
    first, second = stand.next(), stand.next()

    assert ([1], [2]) == (first.tasks, second.tasks)
    assert stand.run.next_batch() is None

    stand.finish(first, "a")

    assert [3] == stand.next().tasks


def test_a_retry_waits_for_its_time_as_well() -> None:
    """It is an attempt like any other."""
    limit = Opening(0.0, 5)
    stand = Stand([1], limit=limit)
    stand.fail_first()
    limit.opens = 1010.0
    stand.clock.now = 1005.0  # its delay is over

    assert stand.run.next_batch() is None

    stand.clock.now = 1010.0

    assert [2] == stand.next().numbers


@pytest.mark.parametrize("way", WAYS)
def test_no_attempt_begins_before_its_time(way: str) -> None:
    """In each mode, retries included: the calls themselves say when they began."""
    watching = Began()
    with manager_of(f.fail_on_odd, way, observers=[watching], max_retries=0) as manager:
        manager.start([0])  # the workers are there
        watching.began.clear()
        opens = time.perf_counter() + 0.2
        opens_by_other_clock = opens
        limit: Any = Opening(opens, 3)
        plan = replace(plan_of(manager), limit=limit)
        with HeldSignals().held() as signals:
            summary = runs_of(manager).start(plan, IterableSource(range(1, 41)), signals)

    assert (20, 20) == (summary.succeeded, summary.failed)
    assert 40 == len(watching.began)
    assert opens_by_other_clock - 0.001 <= min(watching.began)
    assert all(count <= 3 for _, count in limit.started)
