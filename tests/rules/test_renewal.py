"""When the successor of a worker is started."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as some

from task_manager._rules.batch_size import BatchSize
from task_manager._rules.renewal import MARGIN, SOON, Renewal, Usage


@pytest.mark.parametrize(
    ("left", "pace", "due"),
    [
        *[(1, 60.0, True), (0, 60.0, True), (2, 60.0, False)],  # with the last call, however long
        *[(100, 0.0, False), (1, 0.0, True)],  # nothing is known of the pace
        *[(10, 0.2, True), (11, 0.2, False)],  # in time for one that needs a second to come up
    ],
)
def test_a_successor_is_due_in_time(left: int, pace: float, due: bool) -> None:
    """It has twice the time that others needed until the last call is over."""
    renewal = Renewal(1000)
    renewal.came_up((2.0 - SOON) / MARGIN + 0.001)

    assert due is renewal.due(left, pace)


def test_the_slowest_to_come_up_counts() -> None:
    """And is forgotten by and by."""
    renewal = Renewal(1000)
    renewal.came_up(1.0)
    renewal.came_up(0.1)
    then = renewal.due(100, 0.0095)
    renewal.came_up(0.1)

    assert (True, False) == (then, renewal.due(100, 0.0095))


@given(
    most=some.integers(2, 300),
    apart=some.floats(0.0005, 2.0),
    share=some.floats(0.0, 1.0),
    up=some.floats(0.0, 5.0),
    pauses=some.sets(some.integers(1, 300), max_size=2),
    seed=some.integers(0, 99),
)
def test_the_successor_is_up_for_the_call_after_the_last(
    most: int, apart: float, share: float, up: float, pauses: set[int], seed: int
) -> None:
    """However short the calls are that a limit keeps apart, and though the work rests for an hour.

    Where a worker's calls take that long, and it takes no longer than the ones before it; and it is not
    there much earlier.
    """
    chance = random.Random(seed)
    renewal, usage = Renewal(most), Usage()
    renewal.came_up(up)
    now, started, given_at = 1000.0, None, []
    for left in range(most, 0, -1):
        given_at.append(now)
        if started is None and renewal.due(left, usage.look(now, left)):
            started = now
        after = now + share * apart  # the call is over: what comes home is looked at as well
        if left > 1 and share == 1.0 and started is None and renewal.due(left, usage.look(after, left)):
            started = after
        now += apart * chance.uniform(0.9, 1.1) + 3600 * (most - left in pauses)
    assert started is not None
    wanted = given_at[-1] + apart
    in_time = wanted - given_at[0]

    if in_time >= (MARGIN * up + SOON) * 1.5 + 2 * apart:
        assert started + up <= wanted + apart * 0.2
    if not pauses:
        assert wanted - started <= (MARGIN * up + SOON) * 1.3 + 2 * apart


def test_a_worker_that_rests_uses_up_nothing() -> None:
    """A pause counts for little, and many calls at once are known at once."""
    usage = Usage()
    paces = [usage.look(*seen) for seen in [(0, 50), (1, 49), (2, 48), (3602, 47), (3602.1, 27)]]

    assert [0.0, 1.0, 1.0] == paces[:3]
    assert paces[3] < 1.5
    assert paces[4] < 0.5


def test_no_batch_is_longer_than_a_worker_may_have() -> None:
    """However short the tasks are."""
    size = BatchSize(workers=2, longest=30)
    sizes = []
    for _ in range(6):
        size.learn(10, 1e-5)
        sizes.append(size.size(None))

    assert [4, 16, 30, 30, 30, 30] == sizes
