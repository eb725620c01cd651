"""What streams promise in every mode."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import Any

import pytest

import functions as f
from functions import WAYS, manager_of
from task_manager import Outcome, TaskManager

pytestmark = pytest.mark.parametrize("mode", WAYS)


def test_three_hundred_of_an_endless_input(mode: str) -> None:
    """A stream over an endless input yields as long as it is asked, and keeps nothing."""
    with manager_of(f.same, mode) as manager:
        stream = manager.stream(itertools.count())
        got = [outcome.result for outcome in itertools.islice(stream, 300)]
        stream.close()

        assert 300 == len(set(got))
        assert {} == manager.get_result_dict()
        assert "its reader left the stream" == manager.get_summary().ended_early


def test_each_task_has_its_outcome(mode: str) -> None:
    """Results and errors, with the task as given, as `start` would keep them."""
    with manager_of(f.fail_on_odd, mode) as manager:
        outcomes = list(manager.stream([*range(50), 4]))
        summary = manager.get_summary()

        assert all(type(outcome) is Outcome for outcome in outcomes)
        assert {n: n % 2 == 0 for n in range(50)} == {one.task: one.ok for one in outcomes}
        assert {type(one.error) for one in outcomes if not one.ok} == {ValueError}
        assert (25, 25, 1) == (summary.succeeded, summary.failed, summary.duplicates)


def test_leaving_early_fifty_times_leaves_nothing_behind(mode: str) -> None:
    """By break; the manager may start again at once."""
    times = 3 if mode in ("spawn", "forkserver") else 50
    with manager_of(f.same, mode) as manager:
        for first in range(times):
            for _ in manager.stream(range(first * 100, first * 100 + 100)):
                break
        manager.start([-1])

        assert {-1: -1} == manager.get_result_dict()


def test_what_nobody_was_told_runs_again(mode: str) -> None:
    """Of two streams over the same tasks, the second yields all that the first one has not."""
    with manager_of(f.same, mode) as manager:
        first = [outcome.task for outcome in itertools.islice(manager.stream(range(2000)), 700)]
        second = [outcome.task for outcome in manager.stream(range(2000))]

        assert list(range(2000)) == sorted(first + second)


def test_an_error_in_the_body_is_the_readers(mode: str) -> None:
    """It is raised as it was, and the run has stopped."""
    with manager_of(f.same, mode) as manager:
        stream = manager.stream(range(1000))
        next(stream)
        with pytest.raises(LookupError):
            stream.throw(LookupError())

        assert not manager.stop()
        assert 0 == manager.get_summary().failed


def test_a_second_start_while_a_stream_is_open_is_refused(mode: str) -> None:
    """One run at a time; the stream goes on."""
    with manager_of(f.same, mode) as manager:
        stream = manager.stream(range(10))
        first = next(stream)
        with pytest.raises(RuntimeError, match="one run at a time"):
            manager.start([1])

        assert list(range(10)) == sorted([first.task, *(one.task for one in stream)])


def test_two_streams_in_one_thread(mode: str) -> None:
    """Interleaved, each yields its own."""
    with manager_of(f.same, mode) as one, manager_of(f.same, mode) as other:
        pairs = list(zip(one.stream(range(100)), other.stream(range(100, 200)), strict=True))

        assert list(range(100)) == sorted(left.task for left, _ in pairs)
        assert list(range(100, 200)) == sorted(right.task for _, right in pairs)


def test_in_an_event_loop(mode: str) -> None:
    """stream_async yields the same, and may be left."""

    async def main(manager: TaskManager) -> tuple[list[Any], int]:
        every = [one.task async for one in manager.stream_async(range(50))]
        count = 0
        stream = manager.stream_async(itertools.count(1000))
        async for _ in stream:
            count += 1
            if count == 300:
                break
        await stream.aclose()
        return sorted(every), count

    with manager_of(f.same, mode) as manager:
        assert (list(range(50)), 300) == asyncio.run(main(manager))


def test_a_slow_reader_slows_the_run(mode: str) -> None:
    """Nothing is read while nobody asks."""
    read = []

    def tasks() -> Any:
        for n in itertools.count():
            read.append(n)
            yield n

    with manager_of(f.same, mode) as manager:
        stream = manager.stream(tasks())
        next(stream)
        before = len(read)
        time.sleep(0.1)

        assert before == len(read)
        stream.close()
