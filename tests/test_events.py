"""What an observer is told is enough to draw a run, in every mode and in a chain."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

import pytest

import functions as f
from functions import CHAIN_MODES, WAYS, manager_of
from task_manager import Summary, TaskChain, TaskManager, TaskTimeoutError
from task_manager.events import (
    Attempted,
    Event,
    Failed,
    Passed,
    Repeated,
    Retrying,
    RunBegan,
    RunEnded,
    Succeeded,
)

TASKS = 500
SLACK = 1e-6  # seconds: sums of floats


def some_fail(x: int) -> int:
    """One in fifty fails at each attempt, and takes a little longer."""
    if x % 50 == 3:
        time.sleep(0.001)
        raise ConnectionError(x)
    return x


def slow_on_seven(x: int) -> int:
    if x == 7:
        time.sleep(1.5)  # and no longer: a thread cannot be ended
    return x


async def slow_on_seven_async(x: int) -> int:
    if x == 7:
        await asyncio.sleep(1.5)
    return x


class Timeline:
    """Draws the calls of each worker, from events alone."""

    def __init__(self) -> None:
        self.calls: dict[tuple[int | None, int], list[tuple[float, float]]] = defaultdict(list)
        self.attempts: Counter[int | None] = Counter()
        self.failed_attempts: Counter[int | None] = Counter()
        self.kinds: list[type[Event]] = []
        self.events: list[Any] = []

    def observe(self, event: Event) -> None:
        self.kinds.append(type(event))
        self.events.append(event)
        if isinstance(event, Attempted):
            columns = (event.indices, event.numbers, event.workers, event.began, event.seconds)
            assert 1 == len(set(map(len, columns)))
            self.attempts[event.stage] += len(event.indices)
            self.failed_attempts[event.stage] += len(event.failed)
            for worker, began, seconds in zip(event.workers, event.began, event.seconds, strict=True):
                self.calls[event.stage, worker].append((began, began + seconds))

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if type(event) is kind]

    def count(self, kind: type[Any]) -> int:
        return sum(len(event.indices) for event in self.of(kind))

    def overlaps(self) -> list[Any]:
        """Calls of one worker that run at the same time."""
        found = []
        for worker, calls in self.calls.items():
            calls.sort()
            found += [
                (worker, one, other)
                for one, other in itertools.pairwise(calls)
                if other[0] < one[1] - SLACK
            ]
        return found

    def drawn(self, width: int = 60) -> str:
        """A line for each worker, busy where there is a mark."""
        ends = [end for calls in self.calls.values() for call in calls for end in call]
        first, last = min(ends), max(ends)
        lines = []
        for (stage, worker), calls in sorted(self.calls.items(), key=str):
            line = [" "] * (width + 1)
            for began, ended in calls:
                begin = int((began - first) / (last - first) * width)
                for place in range(begin, int((ended - first) / (last - first) * width) + 1):
                    line[place] = "#"
            lines.append(f"{stage or ''} {worker:3} |{''.join(line)}|")
        return "\n".join(lines)


def check_against(timeline: Timeline, summary: Summary) -> None:
    """The sums agree, and the run has a beginning and an end."""
    assert summary.succeeded == timeline.count(Succeeded)
    assert summary.failed == len(timeline.of(Failed))
    assert summary.retries == len(timeline.of(Retrying))
    assert summary.duplicates == sum(len(event.tasks) for event in timeline.of(Repeated))
    assert RunBegan is timeline.kinds[0]
    assert RunEnded is timeline.kinds[-1]
    assert summary is timeline.events[-1].summary
    assert [] == timeline.overlaps()


@pytest.mark.parametrize("way", WAYS)
def test_a_timeline_of_a_run(way: str) -> None:
    """Each attempt is in it, with its worker and its time; no two calls of one worker overlap."""
    timeline = Timeline()
    began = time.perf_counter()
    options = {"max_retries": 2, "worker_limit": 3, "observers": [timeline]}
    with manager_of(some_fail, way, **options) as manager:
        summary = manager.start([*range(TASKS), 5, 5])
    ended = time.perf_counter()

    check_against(timeline, summary)
    assert (TASKS - 10, 10, 20, 2) == (
        summary.succeeded,
        summary.failed,
        summary.retries,
        summary.duplicates,
    )
    assert TASKS + 20 == timeline.attempts[None]
    assert 30 == timeline.failed_attempts[None]
    assert {worker for _, worker in timeline.calls} <= {0, 1, 2}
    assert all(
        began <= one <= other <= ended for calls in timeline.calls.values() for one, other in calls
    )
    assert {1} == {number for event in timeline.of(Succeeded) for number in event.attempts}
    assert all(failed.attempts == 3 and failed.seconds >= 0.001 for failed in timeline.of(Failed))
    assert len(timeline.calls) == len(timeline.drawn().splitlines())


@pytest.mark.parametrize("way", [way for way in WAYS if way != "serial"])
def test_a_call_that_was_ended_is_in_it(way: str) -> None:
    """With its true seconds, in each mode; and its worker's place goes to the next one."""
    timeline = Timeline()
    options = {"max_retries": 0, "task_timeout": 0.5, "observers": [timeline]}
    func = slow_on_seven_async if way == "async" else slow_on_seven
    with TaskManager(func, **f.options_of(way), worker_limit=2, logger=None, **options) as manager:
        summary = manager.start(range(20))

    check_against(timeline, summary)
    (failed,) = timeline.of(Failed)
    assert TaskTimeoutError is type(failed.error)
    assert 0.5 <= failed.seconds < 1.5
    (attempt,) = [event for event in timeline.of(Attempted) if 7 in event.failed]
    assert (failed.seconds,) == tuple(
        seconds for index, seconds in zip(attempt.indices, attempt.seconds, strict=True) if index == 7
    )
    assert {worker for _, worker in timeline.calls} <= {0, 1}


@pytest.mark.parametrize("way", f.START_METHODS)
def test_a_call_that_ended_its_worker_is_in_it(way: str) -> None:
    """It has its seconds, and counts as failed."""
    timeline = Timeline()
    with manager_of(f.kill_self_on_seven, way, max_retries=0, observers=[timeline]) as manager:
        summary = manager.start(range(20))

    check_against(timeline, summary)
    assert (19, 1) == (summary.succeeded, summary.failed)
    assert 1 == timeline.failed_attempts[None]
    assert timeline.of(Failed)[0].seconds >= 0


@pytest.mark.parametrize("chain_mode", CHAIN_MODES)
@pytest.mark.parametrize("modes", [("serial", "thread", "serial"), ("thread", "fork", "async")], ids=str)
def test_a_timeline_of_a_chain(chain_mode: str, modes: Iterable[str]) -> None:
    """Each event has its stage, and passing one is an event; a stage's own hear of its tasks."""
    whole, own = Timeline(), Timeline()
    funcs = (f.same, some_fail, f.same)
    stages = [
        manager_of(func, mode, max_retries=2, observers=[own] if func is some_fail else [])
        for func, mode in zip(funcs, modes, strict=True)
    ]
    chain = TaskChain(stages, chain_mode, observers=[whole])
    summary = chain.start_chain([*range(TASKS), 5, 5])

    check_against(whole, summary)
    assert (TASKS - 10, 10, 20, 2) == (
        summary.succeeded,
        summary.failed,
        summary.retries,
        summary.duplicates,
    )
    assert Counter({1: TASKS, 2: TASKS + 20, 3: TASKS - 10}) == whole.attempts
    assert Counter({1: 0, 2: 30, 3: 0}) == whole.failed_attempts
    passed = Counter(dict.fromkeys((1, 2), 0))
    for event in whole.of(Passed):
        passed[event.stage] += len(event.indices)
        assert {1} == set(event.attempts)
    assert Counter({1: TASKS, 2: TASKS - 10}) == passed
    assert {3} == {event.stage for event in whole.of(Succeeded)}
    assert {2} == {event.stage for event in whole.of(Failed) + whole.of(Retrying)}
    assert all(event.attempts == 3 and event.seconds >= 0.001 for event in whole.of(Failed))
    assert {index for event in whole.of(Attempted) for index in event.indices} == set(range(TASKS))

    check_against(own, stages[1].get_summary())
    assert {2} == {event.stage for event in own.events}
    assert TASKS + 20 == own.attempts[2]


def test_an_observer_that_raises_is_named_and_left_out() -> None:
    """One warning, and the run goes on to its end."""

    class Broken:
        def observe(self, event: Event) -> None:
            raise ZeroDivisionError("no such thing")

    with (
        manager_of(f.same, "serial", observers=[Broken()]) as manager,
        pytest.warns(RuntimeWarning, match="the observer .*Broken failed .*: no such thing") as warned,
    ):
        summary = manager.start(range(10))

    assert (10, 1) == (summary.succeeded, len(warned))


def test_events_cannot_be_changed() -> None:
    """They are frozen: no observer changes what the next one is told."""
    for event in (RunBegan(1), Repeated([1]), RunEnded(Summary())):
        with pytest.raises(AttributeError):
            event.stage = 5  # type: ignore[misc]


@pytest.mark.parametrize("chain_mode", CHAIN_MODES)
def test_repeats_of_a_chain_have_the_first_stage(chain_mode: str) -> None:
    """Told to the observers of the chain and to those of its first stage."""
    whole, own = Timeline(), Timeline()
    stages = [f.stage(f.same, observers=[own]), f.stage(f.same)]
    TaskChain(stages, chain_mode, observers=[whole]).start_chain([1, 2, 2])

    assert [([2], 1)] == [(event.tasks, event.stage) for event in whole.of(Repeated)]
    assert [([2], 1)] == [(event.tasks, event.stage) for event in own.of(Repeated)]
