"""`rate_limit` in every mode: what the calls say of when they began."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest

import functions as f
from functions import CHAIN_MODES, WAYS, manager_of, stage
from rules.test_rate import worst
from stand import Stand
from task_manager import TaskChain
from task_manager._rules.rate import Rate, RateLimit
from task_manager.events import Attempted, Event


class Began:
    """Notes when calls began."""

    def __init__(self) -> None:
        self.began: list[float] = []

    def observe(self, event: Event) -> None:
        if isinstance(event, Attempted):
            self.began += event.began


@pytest.mark.parametrize("way", WAYS)
def test_no_window_has_more_attempts(way: str) -> None:
    """In each mode, retries included, over two starts of one manager, the second one awaited."""
    watching = Began()
    options = {"observers": [watching], "max_retries": 1, "retry_exceptions": ValueError}
    with manager_of(f.fail_on_odd, way, rate_limit=(20, 0.2), **options) as manager:
        if way == "async":
            asyncio.run(manager.start_async(range(30)))
        else:
            manager.start(range(30))
        asyncio.run(manager.start_async(range(30, 50)))

    assert 75 == len(watching.began)
    assert worst(watching.began, 0.2) <= 20


@pytest.mark.parametrize("way", ["thread", "async"])
def test_calls_that_go_on_do_not_hold_back_others(way: str) -> None:
    """Once a call has begun, only its begin counts: more run at a time than may begin in a window."""
    watching = Began()
    func = time.sleep if way == "thread" else asyncio.sleep
    options = {"observers": [watching], "worker_limit": 20, "deduplicate": False, "logger": None}
    with f.TaskManager(func, way, rate_limit=(2, 0.05), **options) as manager:  # type: ignore[call-overload]
        manager.start([1.0] * 12)
    times = sorted(watching.began)

    assert worst(times, 0.05) <= 2
    assert worst(times, 1.0) > 2


@pytest.mark.parametrize("way", ["thread", "fork", "async"])
def test_waiting_for_the_limit_is_no_time_of_a_call(way: str) -> None:
    """Tasks wait longer than `task_timeout`, and none is timed out."""
    with manager_of(f.double, way, rate_limit=(1, 0.25), task_timeout=1.0) as manager:
        summary = manager.start(range(7))

    assert 7 == summary.succeeded


@pytest.mark.parametrize("chain_mode", CHAIN_MODES)
def test_each_stage_of_a_chain_has_its_own(chain_mode: str) -> None:
    """In both chain modes."""
    fast, slow = Began(), Began()
    stages = [
        stage(f.double, observers=[fast]),
        stage(f.double, "thread", observers=[slow], rate_limit=(10, 0.1)),
    ]
    summary = TaskChain(stages, chain_mode).start_chain(range(40))  # type: ignore[arg-type]

    assert (40, 40, 40) == (summary.succeeded, len(fast.began), len(slow.began))
    assert worst(slow.began, 0.1) <= 10


def test_stop_does_not_wait_for_the_limit() -> None:
    """What waits for it is not started."""
    with manager_of(f.double, "thread", rate_limit="1/h") as manager:
        timer = threading.Timer(0.3, manager.stop)
        timer.start()
        summary = manager.start(range(1000))
        timer.join()

    assert "stop()" == summary.ended_early
    assert summary.succeeded <= 2


def test_a_run_that_was_broken_off_leaves_nothing_that_counts_for_ever() -> None:
    """What it had given to workers has begun by then, and the next start goes on a window later."""
    limit = RateLimit(Rate(1, 0.2))
    stand = Stand([1], [2], limit=limit)
    stand.next()
    stand.run.break_off("KeyboardInterrupt")
    stand.run.gate.close()
    stand.clock.now += 1.0

    assert 1 == limit.room(stand.clock.now)


@pytest.mark.parametrize("chain_mode", CHAIN_MODES)
def test_behind_what_was_done_before_no_more_begin(
    chain_mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Repeats are read many at a time; what comes with the last of them is not let through together."""
    monkeypatch.chdir(tmp_path)
    watching = Began()
    for last in (8, 24):
        first = stage(f.same, rate_limit=(3, 0.1), observers=[watching] if last == 24 else [])
        chain = TaskChain([first, stage(f.same)], chain_mode, journal="chain.db")
        chain.start_chain(range(last))
        assert list(range(last)) == list(chain.get_final_result_dict().values())

    assert 16 == len(watching.began)
    assert worst(watching.began, 0.1) <= 3
