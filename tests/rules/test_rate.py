"""The rule of a rate limit, its clock turned by hand."""

from __future__ import annotations

import heapq

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from task_manager._rules.rate import Rate, RateLimit

quick = settings(max_examples=150, deadline=None)


def worst(times: list[float], length: float) -> int:
    """The most in any window that is open at one end."""
    times = sorted(times)
    first = most = 0
    for place, when in enumerate(times):
        while times[first] <= when - length:
            first += 1
        most = max(most, place + 1 - first)
    return most


class Workers:
    """Attempts leave when the limit lets them, and begin after delays, in turns of the clock."""

    def __init__(self, rate: Rate) -> None:
        self.limit = RateLimit(rate)
        self.now = 1000.0
        self.begins: list[float] = []
        self._coming: list[tuple[float, float, int]] = []  # known at, began at, index
        self._index = 0

    def leave(self, most: int, begins_in: float, known_in: float) -> None:
        count = min(most, self.limit.room(self.now, 0))
        if count == 0:
            return
        indices = range(self._index, self._index + count)
        self._index += count
        self.limit.start(self.now, indices)
        for index in indices:
            began = self.now + begins_in
            self.begins.append(began)
            heapq.heappush(self._coming, (began + known_in, began, index))

    def hear(self) -> None:
        while self._coming and self._coming[0][0] <= self.now:
            _, began, index = heapq.heappop(self._coming)
            self.limit.began(index, began)
            self.limit.began(index, self.now)  # told again, by its outcome

    def until_due(self) -> float:
        return max(0.0, self.limit.due(self.now) - self.now)


rates = st.sampled_from([Rate(1, 1.0), Rate(5, 1.0), Rate(500, 60.0), Rate(200, 1.0), Rate(7, 0.01)])
parts = st.floats(0.0, 2.0)  # of a window


@quick
@given(rates, st.lists(st.tuples(st.integers(1, 300), parts, parts, parts), max_size=60))
def test_no_window_has_more_whenever_they_begin(
    rate: Rate, steps: list[tuple[int, float, float, float]]
) -> None:
    """However late they begin after they have left, however late that is known, whatever pauses."""
    workers = Workers(rate)
    for most, pause, begins_in, known_in in steps:
        workers.leave(most, begins_in * rate.seconds, known_in * rate.seconds)
        workers.now += pause * rate.seconds
        workers.hear()

    assert worst(workers.begins, rate.seconds) <= rate.attempts


@quick
@given(
    st.sampled_from([Rate(5, 1.0), Rate(60, 60.0), Rate(200, 1.0)]),
    st.lists(st.floats(0.0, 0.01), min_size=5, max_size=5),
)
def test_while_there_is_work_the_rate_is_reached(rate: Rate, late: list[float]) -> None:
    """Above 97 %, where calls begin within a hundredth of the length, and that is known soon."""
    workers = Workers(rate)
    turn = 0
    while workers.now < 1000.0 + 10 * rate.seconds:
        workers.hear()
        workers.leave(1000, late[turn % 5] * rate.seconds, 0.0)
        workers.now += max(0.0005, workers.until_due())
        turn += 1
    times = sorted(workers.begins)
    share = (len(times) - 1) / (times[-1] - times[0]) / (rate.attempts / rate.seconds)

    assert share >= 0.97
    assert worst(times, rate.seconds) <= rate.attempts


def test_they_are_spread() -> None:
    """One at a time: the whole of a window does not go at once, and not after a pause either."""
    limit = RateLimit(Rate(100, 10.0))
    left = [limit.room(1000.0)]
    limit.start(1000.0, range(left[0]))
    left.append(limit.room(2000.0))

    assert all(1 <= count <= 2 for count in left)


def test_what_came_home_unbegun_is_of_no_account() -> None:
    """As where a worker died before it began: another may begin in its place, after the usual pause."""
    limit = RateLimit(Rate(1, 1.0))
    limit.start(1000.0, [7])

    assert 0 == limit.room(5000.0)

    limit.returned([7])

    assert 1 == limit.room(5000.0)


def test_what_is_not_known_to_have_begun_may_begin_at_any_time() -> None:
    """It counts against every window; one is asked for news of it soon."""
    limit = RateLimit(Rate(1, 1.0))
    limit.start(1000.0, [7])

    assert 5000.0 < limit.due(5000.0) < 5000.1

    limit.began(7, 4999.5)

    assert 0 == limit.room(5000.0)
    assert pytest.approx(5000.51) == limit.due(5000.0)
    assert 1 == limit.room(5000.52)


def test_at_the_end_of_a_run_all_has_begun_by_then() -> None:
    """What a run that was broken off has left behind does not count for ever."""
    limit = RateLimit(Rate(1, 1.0))
    limit.start(1000.0, [7])
    limit.over(1003.0)

    assert 0 == limit.room(1003.9)
    assert 1 == limit.room(1004.1)


def test_what_another_process_has_begun_counts() -> None:
    """As long as it is in the window; and what has left that is forgotten."""
    limit = RateLimit(Rate(3, 10.0))
    limit.begun_elsewhere(100.0, [89.0, 95.0, 99.0])
    rooms = [limit.room(100.0)]
    limit.begun_elsewhere(101.0, [101.0])
    rooms += [limit.room(101.0), limit.room(105.2)]

    assert [1, 0, 1] == rooms
    assert [99.0, 101.0] == sorted(limit.in_window(105.2))
