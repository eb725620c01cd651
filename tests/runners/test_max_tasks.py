"""max_tasks_per_worker: a worker makes so many calls, and its successor is ready before it goes."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from functions import CHAIN_MODES, START_METHODS, manager_of, same
from states import FORK, Noted, note, noted
from task_manager import TaskChain, TaskManager
from task_manager._rules import renewal
from task_manager._runners import Orders
from task_manager._runners.process import ProcessRunner
from task_manager._runners.thread import ThreadRunner
from task_manager._stop import Stop
from task_manager._task import Batch

WAYS = ["thread", *START_METHODS]
BOTH = ["thread", FORK]


class Counting:
    """A state that counts the calls made with it."""

    def __init__(self) -> None:
        self.name = f"{os.getpid()}:{threading.get_ident()}:{time.perf_counter()}"
        self.calls = 0


def count(state: Counting, task: Any) -> tuple[str, int]:
    state.calls += 1
    return state.name, state.calls


def count_slowly(state: Counting, task: Any) -> tuple[str, int]:
    time.sleep(0.002)
    return count(state, task)


def most_calls(manager: TaskManager) -> list[int]:
    """Of each worker, how many calls it has made."""
    made: Counter[str] = Counter()
    for name, calls in manager.get_result_dict().values():
        made[name] = max(made[name], calls)
    return sorted(made.values())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("call", "tasks", "most"), [(count, 5_000, 700), (count_slowly, 60, 7)])
def test_no_worker_makes_more(way: str, call: Any, tasks: int, most: int) -> None:
    """Whether calls come one by one or by the hundreds; each task has its result."""
    with manager_of(call, way, worker_state=Counting, max_tasks_per_worker=most) as manager:
        summary = manager.start(range(tasks))
        made = most_calls(manager)

        assert summary.succeeded == sum(made) == tasks
        assert max(made) <= most
        assert len(made) <= tasks // most + 2  # and none goes before its time


def step(state: str, task: Any) -> Any:
    with open(state, "a") as file:
        file.write("begin 0\n")
        file.flush()
        time.sleep(0.005)
        file.write("end 0\n")
    return task


class SlowNoted(Noted):
    """Needs longer than a worker's calls take."""

    def __call__(self) -> Iterator[str]:
        time.sleep(0.05)
        yield from super().__call__()


@pytest.mark.parametrize("way", BOTH)
@pytest.mark.parametrize("kind", [Noted, SlowNoted])
def test_the_successor_is_ready_first(way: str, kind: Any, tmp_path: Path) -> None:
    """It has its state before the other one cleans up, and begins when that one has made its calls."""
    path = tmp_path / "notes"
    with manager_of(
        step, way, worker_limit=1, worker_state=kind(path), max_tasks_per_worker=5
    ) as manager:
        manager.start(range(20))
        manager.start(range(20, 40))
        said = [line.split()[0] for line in path.read_text().splitlines()]

    ups = downs = 0
    for one in said:
        ups += one == "up"
        downs += one == "down"
        assert ups > downs
    calls = [one for one in said if one in ("begin", "end")]
    assert calls == ["begin", "end"] * 40  # never two at the same time
    assert len(noted(path, "up")) == len(noted(path, "down")) in (8, 9)


@pytest.mark.parametrize("way", BOTH)
def test_without_a_state(way: str) -> None:
    """Workers are replaced as well."""
    with manager_of(whoami, way, max_tasks_per_worker=3) as manager:
        manager.start(range(30))
        workers = Counter(manager.get_result_dict().values())

        assert sum(workers.values()) == 30
        if way != "thread":  # a thread may have the name of one that has ended
            assert max(workers.values()) <= 3


def whoami(task: Any) -> str:
    return f"{os.getpid()}:{threading.get_ident()}"


@pytest.mark.parametrize("way", BOTH)
def test_workers_are_kept_from_run_to_run(way: str) -> None:
    """What one has made in a run counts in the next one."""
    with manager_of(
        count, way, worker_limit=1, worker_state=Counting, max_tasks_per_worker=10
    ) as manager:
        for first in range(0, 25, 5):
            manager.start(range(first, first + 5))

        assert most_calls(manager) == [5, 10, 10]


def fail_first(state: Counting, task: Any) -> tuple[str, int]:
    made = count(state, task)
    if task % 2 and made[1] % 2:
        raise ConnectionError("again")
    return made


@pytest.mark.parametrize("way", BOTH)
def test_retries_are_calls(way: str) -> None:
    """A worker makes so many attempts, whatever comes of them."""
    with manager_of(
        fail_first, way, worker_state=Counting, max_tasks_per_worker=4, max_retries=50
    ) as manager:
        summary = manager.start(range(40))

        assert summary.succeeded == 40
        assert summary.retries
        assert max(most_calls(manager)) <= 4


@pytest.mark.parametrize("way", BOTH)
def test_a_stop_in_between(way: str, tmp_path: Path) -> None:
    """A run that is stopped, and the next one, which goes on from its journal, leave nothing out."""

    class Stopping(TaskManager):
        def process_result(self, task: Any, result: Any) -> Any:
            if task == 25:
                self.stop()
            return result

    options = {"worker_state": Counting, "max_tasks_per_worker": 4, "journal": tmp_path / "run.db"}
    with manager_of(count_slowly, way, cls=Stopping, **options) as manager:
        first = manager.start(range(60))
        second = manager.start(range(60))

        assert first.ended_early == "stop()"
        assert first.succeeded + second.succeeded == 60
        assert max(most_calls(manager)) <= 4


def test_a_stop_when_all_have_made_their_calls() -> None:
    """What lies before threads that take nothing any more comes home: the run does not wait for them."""
    called: list[int] = []
    runner, stop = ThreadRunner(called.append, Orders(workers=1, most_calls=3)), Stop()
    runner.follow(stop)
    for first in (0, 3):
        tasks = [first, first + 1, first + 2]
        runner.submit(Batch(tasks, tasks, tasks, False, [1, 1, 1]))
    deadline = time.monotonic() + 5
    while len(called) < 3:
        time.sleep(0.01)
    stop.ask("stop()")
    home = 0
    while home < 6 and time.monotonic() < deadline:
        home += sum(len(outcomes.positions) for _, outcomes in runner.collect(0.05))
    runner.close()

    assert (6, [0, 1, 2]) == (home, called)


def test_a_successor_that_is_wanted_is_started_at_once() -> None:
    """A task for which all have made their calls does not wait until something else comes."""
    runner = ProcessRunner(abs, Orders(workers=1, most_calls=1, start_method=FORK))
    started = []
    for task in (1, 2):
        assert runner.room(1)
        runner.submit(Batch([task], [task], [task], False, [1]))
        started.append({child.pid for child in multiprocessing.active_children()})
        while task == 1 and not runner.collect(0.05):
            pass
    runner.close()

    assert started[1] - started[0]


@pytest.mark.parametrize("way", BOTH)
def test_a_successor_is_looked_for_with_each_call(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a call is given out: a short one is over when outcomes are looked for."""
    monkeypatch.setattr(renewal, "SOON", 3600.0)
    make = ThreadRunner if way == "thread" else ProcessRunner
    runner: Any = make(
        abs, Orders(workers=1, most_calls=6, start_method=None if way == "thread" else way)
    )
    workers = []
    before = set(threading.enumerate()), set(multiprocessing.active_children())
    for task in (1, 2, 3, 4):
        runner.submit(Batch([task], [task], [task], False, [1]))
        time.sleep(0.05 if task > 1 else 0.0)  # it is over
        while not runner.collect(0.05):
            pass
        workers.append(
            len(set(threading.enumerate()) - before[0])
            if way == "thread"
            else len(set(multiprocessing.active_children()) - before[1])
        )
    runner.close()

    # The first calls say nothing yet of the time to the next one; the last one has not come.
    assert (1, 2) == (workers[0], workers[-1])


class SlowToCome(Noted):
    def __call__(self) -> Iterator[str]:
        time.sleep(0.1)
        yield from super().__call__()


def call_at_once(state: str, task: Any) -> Any:
    note(state, "call")
    return task


@pytest.mark.parametrize("way", BOTH)
def test_no_gap_beside_a_rate_limit(way: str, tmp_path: Path) -> None:
    """The successor has its state before the other one's last call, though calls take no time."""
    path = tmp_path / "notes"
    options = {"worker_limit": 1, "worker_state": SlowToCome(path), "max_tasks_per_worker": 16}
    with manager_of(call_at_once, way, rate_limit="20/s", **options) as manager:
        manager.start(range(52))
    said = [line.split() for line in path.read_text().splitlines()]
    ups = [(place, who) for place, (what, who) in enumerate(said) if what == "up"]
    last = {who: place for place, (what, who) in enumerate(said) if what == "call"}
    in_time = [place < last[who] for (_, who), (place, _) in itertools.pairwise(ups)]

    assert len(in_time) >= 3
    assert any(in_time)  # all of them, but where the machine is busy


def wait_for_the_last(state: Counting, path: str, number: int) -> bool:
    """The first waits for the last one, ten seconds at most."""
    if number == 19:
        Path(path).touch()
    deadline = time.monotonic() + 10
    while number == 0 and not Path(path).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return Path(path).exists()


@pytest.mark.parametrize("way", BOTH)
def test_others_go_on_beside_a_long_call(way: str, tmp_path: Path) -> None:
    """With a limit, none is given to the worker that is busy while the other one is replaced."""
    path = str(tmp_path / "last")
    with manager_of(
        wait_for_the_last,
        way,
        worker_limit=2,
        worker_state=Counting,
        max_tasks_per_worker=3,
        rate_limit="200/s",
    ) as manager:
        manager.start([(path, number) for number in range(20)])

        assert manager.get_result_dict()[path, 0]


@pytest.mark.parametrize("chain_mode", CHAIN_MODES)
@pytest.mark.parametrize("way", BOTH)
def test_in_a_stage(chain_mode: str, way: str) -> None:
    """Workers of a stage are replaced in its process."""
    second = manager_of(count, way, worker_state=Counting, max_tasks_per_worker=6)
    chain = TaskChain([manager_of(same, "serial"), second], chain_mode)
    with second:
        chain.start_chain(range(50))
    made: Counter[str] = Counter(name for name, _ in chain.get_final_result_dict().values())

    assert sum(made.values()) == 50
    assert max(made.values()) <= 6
