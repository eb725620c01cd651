"""When the successor of a worker is started."""

from __future__ import annotations

import pytest

from task_manager._rules.batch_size import BatchSize
from task_manager._rules.renewal import MARGIN, SOON, Renewal


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


def test_no_batch_is_longer_than_a_worker_may_have() -> None:
    """However short the tasks are."""
    size = BatchSize(workers=2, longest=30)
    sizes = []
    for _ in range(6):
        size.learn(10, 1e-5)
        sizes.append(size.size(None))

    assert [4, 16, 30, 30, 30, 30] == sizes
