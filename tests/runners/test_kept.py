"""The runner that a manager keeps."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from task_manager._runners.kept import KeptRunner


class Runner:
    closed = 0

    def close(self) -> None:
        self.closed += 1


def pool_of(runner: Any) -> KeptRunner:
    pool = KeptRunner()
    pool.runner(lambda: runner)
    return pool


def test_a_pool_that_is_dropped_closes_its_runner() -> None:
    """Once, also if it was closed before."""
    runner = Runner()
    pool = pool_of(runner)
    del pool

    assert 1 == runner.closed


def test_a_pool_that_is_closed_closes_its_runner_once() -> None:
    """What comes later finds nothing to close."""
    runner = Runner()
    pool = pool_of(runner)
    with pool.one_run("this"):
        pool.close()
    pool.shutdown()
    del pool

    assert 1 == runner.closed


def test_a_shutdown_at_the_very_end_of_a_run_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    """By another thread, after the run's own look whether it is due: not only at the end of the next."""
    runner = Runner()
    pool = pool_of(runner)
    look = pool._close_if_due

    def look_too_early() -> None:
        look()
        monkeypatch.undo()
        thread = threading.Thread(target=pool.shutdown)
        thread.start()
        thread.join()

    monkeypatch.setattr(pool, "_close_if_due", look_too_early)
    with pool.one_run("this"):
        pass

    assert 1 == runner.closed


def test_f11_a_runner_in_mid_run_is_left_alone_at_exit() -> None:
    """The thread that runs it works on the same processes; closing them from another one may hang."""
    runner = Runner()
    pool = pool_of(runner)
    with pool.one_run("this"):
        assert pool._closer is not None
        pool._closer()

        assert 0 == runner.closed
