"""Which tasks of a run that is broken off had a call begun: never too few."""

from __future__ import annotations

import pytest

from stand import Stand
from task_manager._call import IDLE, NEVER
from task_manager._processes.report import reports_of
from task_manager._runners import Orders
from task_manager._runners.serial import SerialRunner
from task_manager._task import Batch, Outcomes, Unrun


def broken_off(stand: Stand, *not_begun: tuple[Batch, list[int]]) -> tuple[int, int]:
    stand.run.break_off(KeyboardInterrupt(), not_begun)
    summary = stand.run.summary
    return summary.interrupted, summary.not_started


def collect_for_ever(runner: SerialRunner) -> None:
    while True:
        runner.collect(0.0)


def test_what_a_runner_has_not_begun_is_safe() -> None:
    """And nothing else that is in flight."""
    stand = Stand(["a"], ["b", "c", "d"])
    stand.finish(stand.next(), 1)
    batch = stand.next()

    assert (1, 3) == broken_off(stand, (batch, [1, 2]))


def test_a_runner_that_does_not_know_has_begun_all() -> None:
    """Each attempt that is in flight counts."""
    stand = Stand(["a"], ["b", "c"])
    stand.finish(stand.next(), 1)
    stand.next()
    stand.run.break_off(KeyboardInterrupt(), None)

    assert 2 == stand.run.summary.interrupted


def test_a_retry_has_had_a_call() -> None:
    """While it waits, and while its next attempt is in flight and has not begun."""
    waits, flies = Stand(["a"]), Stand(["a"])
    waits.fail_first()
    flies.fail_first()
    flies.clock.now += 100
    again = flies.next()

    assert (1, 1) == broken_off(waits)
    assert (1, 1) == broken_off(flies, (again, [0]))


def test_what_came_back_without_an_outcome_may_have_begun() -> None:
    """As from a worker that has died; what came back untouched is safe."""
    stand = Stand(["a"], ["b", "c", "d"])
    stand.finish(stand.next(), 1)
    batch = stand.next()
    stand.run.finish(batch, Unrun(range(3), begun=[0, 1]))
    again = stand.next()
    stand.finish(again, 1, positions=[0])

    assert "b" == again.tasks[0]
    assert (1, 2) == broken_off(stand, (again, [1, 2]))


def test_a_serial_runner_names_what_is_behind_its_call() -> None:
    """What it was not at: nothing of a batch that it has not looked at, either."""

    def stops(x: int) -> int:
        if x == 2:
            raise KeyboardInterrupt
        return x

    runner = SerialRunner(stops, Orders(1))
    assert [] == list(runner.not_begun())
    batch = Batch([5, 6, 7, 8], [0, 1, 2, 3], [0, 1, 2, 3], False, [1] * 4)
    runner.submit(batch)
    assert [(batch, range(4))] == list(runner.not_begun())
    with pytest.raises(KeyboardInterrupt):
        collect_for_ever(runner)
    runner.close()

    assert [(batch, range(3, 4))] == list(runner.not_begun())


def test_a_worker_tells_how_far_its_calls_have_come_while_it_reports() -> None:
    """Its slot tells meanwhile of the result that is being pickled, which may be an earlier one."""
    slot = [IDLE, NEVER, IDLE]
    outcomes = Outcomes(range(3), [[1], [2], [3]], {}, [0.0] * 3, [0.0] * 3)
    next(reports_of(outcomes, slot, base=10))

    assert 12 == slot[2]
