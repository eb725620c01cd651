"""What streams promise in every mode."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
import weakref
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import functions as f
from functions import WAYS, manager_of
from task_manager import Outcome, TaskLogger, TaskManager

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


def test_what_was_told_is_let_go(mode: str) -> None:
    """In the middle of a stream, of thousands of results that were dropped a batch is still there."""
    with manager_of(f.thing, mode) as manager:
        stream = manager.stream(itertools.count())
        results = [weakref.ref(next(stream).result) for _ in range(5000)]
        alive = sum(result() is not None for result in results)
        stream.close()

        assert alive <= 1000


def test_the_first_outcomes_of_input_that_raises(mode: str) -> None:
    """What was taken has its outcome; then the input's error is raised, after `handle_error`."""

    class Told(TaskManager):
        told = 0

        def handle_error(self) -> None:
            type(self).told += 1

    def tasks() -> Any:
        yield from range(5)
        raise LookupError("no more")

    with manager_of(f.same, mode, Told) as manager:
        got = []
        with pytest.raises(LookupError, match="no more"):
            got.extend(one.task for one in manager.stream(tasks()))

        assert (list(range(5)), 1) == (sorted(got), Told.told)
        assert "the input raised LookupError: no more" == manager.get_summary().ended_early
        for _ in manager.stream(range(10, 20)):
            break

        assert 2 == Told.told


def test_what_a_run_does_a_stream_does(mode: str, tmp_path: Path) -> None:
    """Hooks in the reader's thread, retries, repeats, log, bar, observers, journal; kept if wanted."""
    where = []
    events: list[Any] = []

    class Hooked(TaskManager):
        def get_args(self, task: int) -> Any:
            where.append(threading.current_thread())
            return str(tmp_path), task, task % 2

        def process_result(self, task: int, result: int) -> int:
            where.append(threading.current_thread())
            return -result

    class Seen:
        def observe(self, event: Any) -> None:
            events.append(event)

    options: dict[str, Any] = {
        "logger": TaskLogger(tmp_path / "logs"),
        "observers": [Seen()],
        "journal": tmp_path / "run.db",
        "show_progress": True,
    }
    with manager_of(f.flaky, mode, Hooked, **options) as manager:
        got = {one.task: one for one in manager.stream([*range(10), 3], keep_results=True)}
        kept = dict(manager.get_result_dict())
        summary = manager.get_summary()
    with manager_of(f.flaky, mode, Hooked, journal=tmp_path / "run.db") as again:
        rest = [one.task for one in again.stream(range(12))]

    assert {n: -1 - n % 2 for n in range(10)} == kept == {n: one.result for n, one in got.items()}
    assert {n: 1 + n % 2 for n in range(10)} == {n: one.attempts for n, one in got.items()}
    assert all(one.seconds is not None and one.seconds >= 0 for one in got.values())
    assert (10, 1, 5, None) == (
        summary.succeeded,
        summary.duplicates,
        summary.retries,
        summary.ended_early,
    )
    assert {threading.current_thread()} == set(where)
    assert {"RunBegan", "Attempted", "Succeeded", "RunEnded"} <= {type(one).__name__ for one in events}
    assert "10 succeeded" in next((tmp_path / "logs").glob("*.log")).read_text()
    assert [10, 11] == sorted(rest)


def test_in_the_order_of_the_input(mode: str) -> None:
    """`ordered=True`: whatever takes how long, fails, or is tried again."""

    async def main(manager: TaskManager) -> list[Any]:
        return [one.task async for one in manager.stream_async(tasks, ordered=True)]

    tasks = [*range(300), 5, *range(300, 400)]
    endless = partial(itertools.count, 500)
    with manager_of(f.uneven, mode, max_retries=1) as manager:
        outcomes = list(manager.stream(tasks, ordered=True))
        first, second = (
            [one.task for one in itertools.islice(manager.stream(endless(), ordered=True), count)]
            for count in (90, 9)
        )
        manager.reset()

        assert list(range(400)) == [one.task for one in outcomes]
        assert {2} == {one.attempts for one in outcomes if one.task % 40 == 7}
        assert [n for n in range(400) if n % 40 == 39] == [one.task for one in outcomes if not one.ok]
        assert list(range(500, 590)) == first
        assert [519, 559, *range(590, 597)] == second  # what has failed is run again
        assert list(range(400)) == asyncio.run(main(manager))


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


def test_a_state_lives_as_long_as_it_is_read(mode: str, tmp_path: Path) -> None:
    """`worker_state` is made before the first call, and cleaned up, in a loop of its own too."""
    state = partial(f.counted_state, tmp_path / "made")
    with manager_of(f.with_state, mode, worker_state=state) as manager:
        got = {one.task: one.result for one in manager.stream(range(20))}
        for _ in manager.stream(itertools.count(100)):
            break
    made = (tmp_path / "made").read_text().count("+")
    cleaned = (tmp_path / "made").read_text().count("-")

    assert {n: n + 1000 for n in range(20)} == got
    assert 1 <= made
    assert cleaned == (0 if mode in f.STAYING else made)
