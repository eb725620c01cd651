"""The rule of limits by key, the clock turned by hand."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.test_rate import quick, worst
from stand import Stand
from task_manager._rules.keyed import KeyedLimit
from task_manager._rules.rate import Rate
from task_manager._task import Batch

KEYS = "abc"


def ended(stand: Stand, rate: Rate, waits: list[tuple[int, float]]) -> dict[str, list[list[float]]]:
    """Let it run to its end, calls taking what `waits` says; when they left, and came home, by key."""
    left, home = defaultdict(list), defaultdict(list)
    flying: list[Batch] = []
    for turn in range(10_000):
        if stand.run.over:
            break
        while len(flying) < 5 and (batch := stand.run.next_batch()) is not None:
            flying.append(batch)
            for task in batch.tasks:
                left[task[0]].append(stand.clock.now)
        which, longer = waits[turn % len(waits)]
        stand.clock.now += max(0.0005, stand.run.patience(full=False) + longer * rate.seconds)
        if flying and longer < 0.5:
            batch = flying.pop(which % len(flying))
            stand.finish(batch, *[ConnectionError() if which % 7 == 3 else 1] * len(batch))
            for task in batch.tasks:
                home[task[0]].append(stand.clock.now)
    return {key: [left[key], home[key]] for key in KEYS}


@quick
@given(
    st.sampled_from([Rate(1, 1.0), Rate(5, 1.0), Rate(50, 10.0)]),
    st.lists(st.sampled_from(KEYS), max_size=40),
    st.lists(st.tuples(st.integers(0, 20), st.floats(0.0, 1.0)), min_size=3, max_size=20),
)
def test_no_window_of_a_key_has_more(rate: Rate, keys: str, waits: list[tuple[int, float]]) -> None:
    """Wherever between its leaving and its outcome a call begins; with retries; each task has an end."""
    tasks = [(key, number) for number, key in enumerate(keys)]
    waits = [*waits, (0, 0.0)]
    reads = [tasks[n : n + 4] for n in range(0, len(tasks), 4)]
    stand = Stand(*reads, limit=KeyedLimit(rate), rate_key=lambda task: task[0], max_retries=2)
    times = ended(stand, rate, waits)
    summary = stand.run.summary

    assert len(tasks) == summary.succeeded + summary.failed
    for left, home in times.values():
        assert worst(left, rate.seconds) <= rate.attempts
        assert worst(home, rate.seconds) <= rate.attempts


def go(limit: KeyedLimit, index: int, name: Any, now: float) -> None:
    """A task of this key begins, and has its outcome."""
    limit.enter(index, name, now)
    limit.start(now, [index])
    limit.began(index, now)
    limit.settle([index])


def test_f31_keys_that_do_not_matter_any_more_are_forgotten() -> None:
    """200,000 keys, a thousand in each window: a few thousand are known at a time."""
    limit = KeyedLimit(Rate(5, 1.0))
    most = 0
    for index in range(200_000):
        go(limit, index, f"host-{index}", 1000.0 + index / 1000)
        most = max(most, len(limit))

    assert most <= 5000


def test_a_key_that_matters_is_not_forgotten() -> None:
    """One that waits, one that is paused, one whose window is not empty; whatever else goes by."""
    limit = KeyedLimit(Rate(1, 100.0))
    limit.enter(0, "open", 1000.0)
    limit.pause(limit.named("paused", 1000.0), 1090.0)
    go(limit, 1, "begun", 1000.0)
    for index in range(2, 5000):
        go(limit, index, index, 1000.0)

    def rooms(now: float) -> list[int]:
        return [limit.named(name, now).room(now) for name in ("paused", "begun", "other")]

    assert [0, 0, 1] == rooms(1080.0)
    assert [1, 1, 1] == rooms(1200.0)


def test_without_a_rate_only_pauses_hold_back() -> None:
    """Of the key alone that is paused."""
    limit = KeyedLimit(None)
    for index, name in enumerate("aab"):
        limit.enter(index, name, 1000.0)
    limit.pause(limit.key_of(0), 1005.0)

    assert [0, 0] == [limit.key_of(index).room(1004.0) for index in (0, 1)]
    assert 0 < min(limit.key_of(2).room(1004.0), limit.key_of(1).room(1005.0))
    assert 1005.0 == pytest.approx(limit.key_of(1).due(1004.0))


def test_a_call_that_is_named_after_its_outcome_says_nothing() -> None:
    """As one that was left alone when its time was over, and still goes on."""
    limit = KeyedLimit(Rate(1, 1.0))
    go(limit, 0, "a", 1000.0)
    limit.began(0, 1000.5)
    limit.returned([0])

    assert 1 == limit.named("a", 1002.0).room(1002.0)


def test_what_a_run_has_left_begins_by_its_end() -> None:
    """Its keys are not kept for ever, and count a window longer."""
    limit = KeyedLimit(Rate(1, 1.0))
    limit.enter(0, "a", 1000.0)
    limit.start(1000.0, [0])
    limit.over(1003.0)

    assert [0, 1] == [limit.named("a", now).room(now) for now in (1003.9, 1004.1)]
