"""`rate_key`: each key is limited by itself, and what a server says holds back its key alone."""

from __future__ import annotations

import pickle
import time
from collections import defaultdict
from typing import Any

import pytest

import functions as f
from functions import CHAIN_MODES, WAYS, manager_of, stage
from rules.test_rate import worst
from stand import Stand
from task_manager import ConfigurationError, RateKeyError, RetryAfter, TaskChain, TaskManager
from task_manager._rules.keyed import KeyedLimit
from task_manager._rules.rate import Rate
from task_manager._run import run as run_module
from task_manager.events import Attempted, Event


def first_letter(task: str) -> str:
    return task[0]


def third(task: int) -> int:
    return task % 3


def stand_of(*reads: Any, rate: Rate | None = Rate(1, 1.0), **more: Any) -> Stand:
    more.setdefault("rate_key", first_letter)
    return Stand(*reads, limit=KeyedLimit(rate), **more)


def going(stand: Stand) -> list[Any]:
    """The tasks that start now."""
    tasks = []
    for _ in range(100):
        batch = stand.run.next_batch()
        tasks += batch.tasks if batch is not None else []
        if batch is None and stand.run.patience(full=False) > 0:
            break
    return tasks


def test_tasks_of_other_keys_go_ahead() -> None:
    """In the order in which they came; and the run waits until the next one may start."""
    stand = stand_of(["a1", "a2"], ["a3", "b1"], ["c1"])

    assert ["a1", "b1", "c1"] == going(stand)
    stand.clock.now += 1.02
    stand.run.gate.begun([(index, 1000.0) for index in range(5)])
    assert (["a2"], False) == (going(stand), stand.run.over)


def test_a_retry_goes_before_new_tasks_of_its_key() -> None:
    """Once its delay is over; and it counts."""
    stand = stand_of(["a1"], ["a2", "a3"], chances=[0.0] * 9)
    stand.fail_first()
    going(stand)
    stand.clock.now += 1.02

    assert ["a1"] == going(stand)


def test_the_arguments_of_what_waits_are_not_made() -> None:
    """`get_args` is called when a task may start: what it makes may be large."""
    made: list[str] = []

    def get_args(task: str) -> Any:
        made.append(task)
        return (task,)

    stand = stand_of(["a1", "a2", "b1"], get_args=get_args)

    assert ["a1", "b1"] == going(stand) == made


def test_no_more_is_read_while_too_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """F14: an input of one key alone, without an end, is not taken into memory."""
    monkeypatch.setattr(run_module, "MOST_WAITING", 5)
    stand = stand_of(*[[f"a{number}"] for number in range(20)])
    going(stand)

    assert 6 == len(stand.source.asked)


def test_a_server_that_says_when_holds_back_its_key() -> None:
    """all=True is the key of the task, or else the one that is named; of others nothing waits."""
    for said, held, free in [(True, "a", "b"), ("b", "b", "c"), (False, "", "ab"), (None, "", "ab")]:
        stand = stand_of(["a1"], [], ["a2", "b2", "c2"], rate=None, max_retries=9)
        stand.fail_first(RetryAfter(5, all=said))
        ready = {task[0] for task in going(stand)}

        assert set(free) <= ready
        assert ready.isdisjoint(held)
        stand.clock.now += 5.01
        assert set(held) <= {task[0] for task in going(stand)}


def test_a_named_key_without_keys_is_all() -> None:
    """A server that says so means more than one task."""
    stand = Stand([1], [2])
    stand.fail_first(RetryAfter(5, all="a.org"))

    assert [] == going(stand)


class Breaks:
    """A key that nothing can be compared with."""

    def __hash__(self) -> int:
        return 7

    def __eq__(self, other: object) -> bool:
        raise LookupError("no")


def test_f16_a_rate_key_that_raises_is_the_error_of_its_task() -> None:
    """No call is made for it; the others go on, and nothing of it counts."""

    def rate_key(task: str) -> Any:
        return ({"a": 1}[task[0]], Breaks()) if task < "c" else "c"

    stand = stand_of(["a1"], ["b1", "c1"], ["a2"], rate_key=rate_key)

    assert ["a1", "c1"] == going(stand)
    assert [RateKeyError] * 2 == list(map(type, stand.diary.errors))
    assert ["rate_key raised KeyError: 'b'", "rate_key raised LookupError: no"] == list(
        map(str, stand.diary.errors)
    )
    assert isinstance(stand.diary.errors[0].__cause__, KeyError)
    assert 0 == stand.diary.events[0][4]


def test_a_key_that_cannot_be_hashed_is_known_by_its_content() -> None:
    """As tasks are."""
    stand = stand_of(["a1", "a2", "b1"], rate_key=lambda task: [task[0], {}])

    assert ["a1", "b1"] == going(stand)


def test_what_waits_for_its_key_when_a_run_ends_is_not_started() -> None:
    """And the next run does it."""
    stand = stand_of(["a1", "a2", "b1"], ["a3"])
    going(stand)
    stand.run.break_off("KeyboardInterrupt")
    stand.run.gate.close()
    summary = stand.run.summary
    again = stand_of(["a1", "a2", "b1", "a3"], ledger=stand.ledger, rate_key=lambda task: task)

    assert (4, 2) == (summary.not_started, summary.interrupted)
    assert {"a1", "a2", "b1", "a3"} == set(going(again))


def test_f09_a_signal_while_arguments_are_made_loses_no_task() -> None:
    """What has just left the queue of its key has no outcome: the next run does it."""

    def get_args(task: str) -> Any:
        raise KeyboardInterrupt

    stand = stand_of(["a1", "b1"], get_args=get_args)
    with pytest.raises(KeyboardInterrupt):
        stand.run.next_batch()
    stand.run.break_off("KeyboardInterrupt")
    stand.run.gate.close()

    assert {"a1", "b1"} == set(going(stand_of(["a1", "b1"], ledger=stand.ledger)))


class Begins:
    """Notes when calls began, by index."""

    def __init__(self) -> None:
        self.times: dict[int, list[float]] = defaultdict(list)

    def observe(self, event: Event) -> None:
        if isinstance(event, Attempted):
            for index, when in zip(event.indices, event.began, strict=True):
                self.times[index % 3].append(when)


@pytest.mark.parametrize("way", WAYS)
def test_in_every_mode_each_key_has_its_own_rate(way: str) -> None:
    """Retries included; together they begin more than one of them may."""
    begins = Begins()
    options: dict[str, Any] = {"observers": [begins], "max_retries": 1, "retry_exceptions": ValueError}
    with manager_of(f.fail_on_odd, way, rate_limit=(10, 0.3), rate_key=third, **options) as manager:
        summary = manager.start(range(48))

    assert (24, 24, 24) == (summary.succeeded, summary.failed, summary.retries)
    assert [24] * 3 == [len(times) for times in begins.times.values()]
    assert all(worst(times, 0.3) <= 10 for times in begins.times.values())
    assert worst([when for times in begins.times.values() for when in times], 0.3) > 10


@pytest.mark.parametrize("chain_mode", CHAIN_MODES)
def test_a_stage_has_its_own_keys(chain_mode: str) -> None:
    """In both chain modes; of the tasks that come to it."""
    begins = Begins()
    keyed = stage(f.double, "thread", observers=[begins], rate_limit=(10, 0.3), rate_key=third)
    summary = TaskChain([stage(f.double), keyed], chain_mode).start_chain(range(60))  # type: ignore[arg-type]

    assert (60, 60) == (summary.succeeded, sum(map(len, begins.times.values())))
    assert all(worst(times, 0.3) <= 10 for times in begins.times.values())


def busy(task: str) -> float:
    """The server a is busy at its first answer."""
    if task == "a0" and not answered:
        answered.append(task)
        raise RetryAfter(0.5, all=True)
    return time.perf_counter()


answered: list[str] = []


def test_a_busy_server_does_not_hold_up_the_others() -> None:
    """A run of two servers, one of which says 429 with 0.5 s: the other one is served meanwhile."""
    answered.clear()
    manager = TaskManager(busy, "thread", 2, rate_key=first_letter, logger=None)
    tasks = ["a0", *(f"{key}{number}" for number in range(1, 50) for key in "ab")]
    with manager:
        summary = manager.start(tasks)
    when = manager.get_result_dict()

    assert (99, 1) == (summary.succeeded, summary.retries)
    assert max(when[task] for task in tasks if task[0] == "b") < when["a49"]
    assert when["a0"] < when["a49"]


class Hosts(TaskManager[str, str]):
    def rate_key(self, task: str) -> str:  # type: ignore[override]
        return task[:1]


def test_it_may_be_a_method() -> None:
    """As options may be class attributes; a manager travels with it."""
    manager = Hosts(str.upper, rate_limit=(2, 0.1), logger=None)
    copied = pickle.loads(pickle.dumps(manager))

    assert [4, 4] == [each.start(["a1", "a2", "a3", "b1"]).succeeded for each in (manager, copied)]


async def key_later(task: str) -> str:
    return task


def test_it_is_a_plain_function() -> None:
    """In async mode too: nobody could await it."""
    with pytest.raises(ConfigurationError, match="rate_key must be a plain function, in async mode too"):
        TaskManager(f.fit(f.double, "async"), "async", rate_key=key_later)  # type: ignore[call-overload]
