"""How many attempts travel together."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from task_manager._rules.batch_size import GROWTH, HEAVIEST, MOST_ATTEMPTS, SLOW, TARGET, BatchSize


def settled(seconds: float, workers: int = 1, sharing: int = 1) -> BatchSize:
    """A size that has seen nothing but tasks of so many seconds."""
    size = BatchSize(workers, sharing)
    for _ in range(40):
        attempts = size.size(None)
        size.learn(attempts, attempts * seconds)
    return size


def test_the_first_batch_is_one_attempt() -> None:
    """While nothing is known of the tasks, they travel alone."""
    size = BatchSize(workers=4)

    assert (1, 1) == (size.size(None), size.size(1_000_000))


@pytest.mark.parametrize(
    ("seconds", "attempts"),
    [
        (1.0, 1),
        (0.02, 1),
        (0.008, 1),
        (0.004, 3),
        (0.002, 7),
        (0.0001, 150),
        (1e-6, MOST_ATTEMPTS),
        (0.0, MOST_ATTEMPTS),
    ],
)
def test_a_batch_is_worth_some_milliseconds_of_work(seconds: float, attempts: int) -> None:
    """As many attempts as fit into the target, one at least, and the largest batch at most."""
    assert attempts == settled(seconds).size(None)


def test_a_batch_that_workers_share_is_worth_their_time_together() -> None:
    """Where ten workers take from the same batch, it is ten times as large."""
    assert 10 * settled(0.004).size(None) <= settled(0.004, workers=10, sharing=10).size(None)


def test_a_batch_grows_step_by_step() -> None:
    """A guess may be wrong, so a batch is at most so many times as large as the last one."""
    size = BatchSize(workers=1)
    sizes = [size.size(None)]
    for _ in range(6):
        size.learn(sizes[-1], 0.0)
        sizes.append(size.size(None))

    assert [1, 4, 16, 64, 256, MOST_ATTEMPTS, MOST_ATTEMPTS] == sizes
    assert GROWTH == sizes[1] / sizes[0]


def test_one_slow_batch_makes_the_next_one_small() -> None:
    """When tasks turn out slow after all, the next batch is one attempt."""
    size = settled(1e-5)
    size.learn(1, 1.0)

    assert 1 == size.size(None)


def test_the_first_measurement_counts_as_it_is() -> None:
    """There is nothing before it to weigh it against."""
    size = BatchSize(workers=1)
    size.learn(1, 0.005)

    assert 3 == size.size(None)


@pytest.mark.parametrize(("attempts", "slower", "after"), [(150, 6, 42), (30, 5, 83), (1, 5, 107)])
def test_later_measurements_move_the_size_by_their_weight(
    attempts: int, slower: int, after: int
) -> None:
    """By half, if a whole batch of 150 was measured; by its part, if less; by a tenth at least."""
    size = settled(0.0001)
    size.learn(attempts, attempts * 0.0001 * slower)

    assert after == size.size(None)


def test_one_slow_task_among_many_is_forgotten() -> None:
    """A single slow task does not keep the batches of fast ones small."""
    size = settled(1e-4)
    before = size.size(None)
    size.learn(1, 0.01)
    for _ in range(60):
        size.learn(size.size(None), size.size(None) * 1e-4)

    assert before == pytest.approx(size.size(None), abs=2)


@pytest.mark.parametrize(
    ("remaining", "attempts"),
    [(10_000, 1000), (8000, 1000), (4000, 500), (800, 100), (16, 2), (15, 1), (3, 1), (0, 1)],
)
def test_batches_shrink_towards_the_end(remaining: int, attempts: int) -> None:
    """Of what remains, each of four workers gets half of its share at most, so no long tail is left."""
    assert attempts == settled(1e-6, workers=4).size(remaining)


def test_the_tail_is_short() -> None:
    """An input of known length ends with batches of one attempt, for every worker to take some."""
    size = settled(1e-6, workers=4)
    remaining, sizes = 10_000, []
    while remaining > 0:
        sizes.append(size.size(remaining))
        remaining -= sizes[-1]

    assert 10_000 == sum(sizes)
    assert sorted(sizes, reverse=True) == sizes
    assert [1] * 4 == sizes[-4:]


@pytest.mark.parametrize(
    ("seconds", "depth"), [(0.0, 2), (0.001, 2), (SLOW / 2, 2), (SLOW, 1), (60.0, 1)]
)
def test_a_slow_task_does_not_wait_behind_another(seconds: float, depth: int) -> None:
    """A worker has the next batch waiting, unless the tasks are slow: those wait for any worker."""
    assert depth == settled(seconds).depth


def test_no_batch_waits_before_anything_is_known() -> None:
    """The first tasks go to one worker each."""
    assert 1 == BatchSize(workers=4).depth


@settings(deadline=None)
@given(
    workers=st.integers(1, 200),
    shared=st.booleans(),
    learned=st.lists(st.tuples(st.integers(1, 1000), st.floats(0.0, 100.0)), max_size=20),
    remaining=st.none() | st.integers(0, 10**7),
)
def test_a_size_is_always_in_its_bounds(
    workers: int, shared: bool, learned: list[tuple[int, float]], remaining: int | None
) -> None:
    """Whatever is learned: from one to the largest, growing step by step, and never above the share."""
    size = BatchSize(workers, workers if shared else 1)
    for attempts, seconds in learned:
        before = size.size(None)
        size.learn(attempts, seconds)

        assert 1 <= size.size(None) <= min(MOST_ATTEMPTS, GROWTH * before)

    assert 1 <= size.size(remaining) <= size.size(None)
    if remaining is not None and not shared:
        assert size.size(remaining) <= max(1, remaining / (2 * workers))


def test_what_attempts_are_worth_is_known_from_those_before() -> None:
    """Nothing at first."""
    assert 0.0 == BatchSize(workers=1).worth(100)
    assert pytest.approx(0.2) == settled(0.002).worth(100)


@settings(deadline=None)
@given(st.floats(1e-7, 1.0))
def test_a_settled_size_fills_the_target(seconds: float) -> None:
    """Tasks of an even length: one attempt more would be above the target."""
    attempts = settled(seconds).size(None)

    assert attempts == 1 or attempts * seconds <= TARGET * 1.001
    assert attempts == MOST_ATTEMPTS or (attempts + 1) * seconds >= TARGET * 0.999


@pytest.mark.parametrize(
    ("bytes_each", "attempts"),
    [(0, MOST_ATTEMPTS), (10, MOST_ATTEMPTS), (HEAVIEST // 8, 8), (HEAVIEST, 1), (100 * HEAVIEST, 1)],
)
def test_a_batch_is_no_heavier_than_a_bound(bytes_each: int, attempts: int) -> None:
    """However short the calls are: no more of the input is read ahead than a megabyte a batch."""
    size = BatchSize(workers=1)
    for _ in range(10):
        size.learn(size.size(None), 0.0, bytes_each)

    assert attempts == size.size(None)


def test_batches_grow_again_where_arguments_are_light_again() -> None:
    """Heavy ones are believed at once, light ones by and by."""
    size = BatchSize(workers=1)
    sizes = []
    for bytes_each in (10, 10, 10, 10, 10, HEAVIEST, *[10] * 12):
        size.learn(size.size(None), 0.0, bytes_each)
        sizes.append(size.size(None))

    assert (MOST_ATTEMPTS, 1, 2, MOST_ATTEMPTS) == (sizes[4], sizes[5], sizes[6], sizes[-1])
