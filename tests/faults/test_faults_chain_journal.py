"""What breaks in a chain with a journal, and what the next start makes of it."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import functions as f
import steps
from functions import stage
from scripts import Script
from steps import calls, once
from task_manager import InDoubtError, Journal, JournalError, StageDiedError, TaskChain, WorkerDiedError
from task_manager.events import Event, Passed

both = pytest.mark.parametrize("chain_mode", ["serial", "thread", "process"])
STRICT: dict[str, Any] = {"started": True, "in_doubt": "error"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def kinds(chain: TaskChain) -> dict[int, type]:
    return {task: type(error) for task, error in chain.get_final_error_dict().items()}


def never_twice() -> bool:
    """No stage was called twice for a task."""
    return all(count == 1 for counts in calls().values() for count in counts.values())


# ------------------------------------------------------------------ F21: a stage dies


def test_f21_a_stage_that_dies_with_a_journal() -> None:
    """One task has that for its error, and goes on there in the next start; the others are done."""
    steps.end("second", 3)
    first = steps.chain("process")
    summary = first.start_chain(range(10))
    steps.allow("second", 3)
    chain = steps.chain("process")
    again = chain.start_chain(range(10))

    assert (9, 1) == (summary.succeeded, summary.failed)
    assert {3: StageDiedError} == kinds(first)
    assert (1, 9) == (again.succeeded, again.duplicates)
    assert {n: n * 10 for n in range(10)} == dict(sorted(chain.get_final_result_dict().items()))
    assert (1, 2, 1) == tuple(calls()[name][3] for name in ("first", "second", "third"))


def test_f21_a_stage_that_keeps_dying_with_a_journal() -> None:
    """It is given up, and what had got to it goes on from there in the next start."""
    for n in range(10, 40):
        steps.end("second", n)
    first = steps.chain("process")
    summary = first.start_chain(range(40))
    got_there = calls()["first"]
    for n in range(10, 40):
        steps.allow("second", n)
    chain = steps.chain("process")
    again = chain.start_chain(range(40))

    assert (40, 0) == (summary.succeeded + summary.failed, summary.not_started)
    assert {StageDiedError} == set(kinds(first).values())
    assert (summary.failed, summary.succeeded) == (again.succeeded, again.duplicates)
    assert {n: n * 10 for n in range(40)} == dict(sorted(chain.get_final_result_dict().items()))
    assert sum(calls()["first"].values()) <= 40 + 40 - len(got_there)


@pytest.mark.parametrize("way", ["serial", "thread", "fork"])
def test_f21_a_stage_dies_and_nothing_is_called_twice(way: str) -> None:
    """in_doubt="error": what the stages had taken, and what came of it nobody knows, is an error."""
    steps.end("second", 9)
    stages = [
        f.manager_of(func, way if func is steps.second else "serial", worker_limit=4)
        for func in (steps.first, steps.second, steps.third)
    ]
    chain = TaskChain(stages, "process", journal=Journal("etl.db", **STRICT))
    summary = chain.start_chain(range(40))
    steps.allow("second", 9)
    errors = kinds(chain)
    again = TaskChain(stages, "process", journal=Journal("etl.db", **STRICT))
    again.start_chain(range(40))
    after = kinds(again)

    assert (40, 0) == (summary.succeeded + summary.failed, summary.not_started)
    assert set(errors.values()) <= {StageDiedError, InDoubtError, WorkerDiedError}
    assert set(after) <= set(errors)
    assert set(after.values()) <= {InDoubtError}
    assert never_twice()


# ------------------------------------------------------------------ F9: a start that is broken off


class BreakOff:
    """An observer that breaks a start off as a Ctrl-C does, when a task has passed this stage."""

    def __init__(self, stage: int, task: int) -> None:
        self.stage = stage
        self.task = task

    def observe(self, event: Event) -> None:
        if isinstance(event, Passed) and event.stage == self.stage and self.task in event.tasks:
            raise KeyboardInterrupt


@both
@pytest.mark.parametrize("number", [1, 2])
def test_f09_a_start_that_is_broken_off_calls_nothing_twice(chain_mode: str, number: int) -> None:
    """What had not begun goes on, what may have is an error until it is given again on purpose."""
    funcs = (steps.first, steps.second, steps.third)
    journal = Journal("etl.db", **STRICT)
    observers = [BreakOff(number, 20)]
    first = TaskChain([stage(one) for one in funcs], chain_mode, observers=observers, journal=journal)
    with pytest.raises(KeyboardInterrupt):
        first.start_chain(range(60))
    chain = TaskChain([stage(one) for one in funcs], chain_mode, journal=journal)
    chain.start_chain(range(60))
    doubtful = kinds(chain)
    twice = not never_twice()
    chain.start_chain(chain.get_final_error_dict())

    assert set(doubtful.values()) <= {InDoubtError}
    assert not doubtful or chain_mode == "process"  # in serial mode no call was going on
    assert not twice
    assert {n: n * 10 for n in range(60)} == dict(sorted(chain.get_final_result_dict().items()))
    assert {} == chain.get_final_error_dict()


class StopAt:
    """An observer that stops its chain when a task has passed this stage."""

    chain: TaskChain

    def __init__(self, stage: int, task: int) -> None:
        self.stage = stage
        self.task = task

    def observe(self, event: Event) -> None:
        if isinstance(event, Passed) and event.stage == self.stage and self.task in event.tasks:
            self.chain.stop()


@both
@pytest.mark.parametrize("number", [1, 2])
def test_f09_a_chain_that_is_stopped_leaves_nothing_in_doubt(chain_mode: str, number: int) -> None:
    """What runs is finished: the rest goes on where it had got to, and nothing is called twice."""
    funcs = (steps.first, steps.second, steps.third)
    journal = Journal("etl.db", **STRICT)
    stop = StopAt(number, 20)
    stopped = TaskChain([stage(one) for one in funcs], chain_mode, observers=[stop], journal=journal)
    stop.chain = stopped
    summary = stopped.start_chain(range(200))
    chain = TaskChain([stage(one) for one in funcs], chain_mode, journal=journal)
    chain.start_chain(range(200))

    assert "stop()" == summary.ended_early
    assert {} == chain.get_final_error_dict()
    assert {n: n * 10 for n in range(200)} == dict(sorted(chain.get_final_result_dict().items()))
    assert never_twice()


def test_f09_what_had_not_begun_is_not_in_doubt() -> None:
    """In process mode all is noted as it enters: what no stage had taken goes on as if nothing was."""
    steps.wait("first", 0)
    one = script("process", **STRICT)
    until(lambda: calls()["first"][0] == 1)
    killed(one, signal.SIGINT)
    steps.allow("first", 0)
    chain = TaskChain(
        [stage(func) for func in (steps.first, steps.second, steps.third)],
        "process",
        journal=Journal("etl.db", **STRICT),
    )
    chain.start_chain(range(30))

    assert [0] == list(chain.get_final_error_dict())


# ------------------------------------------------------------------ F10: the process is killed

SCRIPT = """
import steps
from functions import stage
from task_manager import Journal, TaskChain

if __name__ == "__main__":
    chain = TaskChain(
        [stage(one) for one in (steps.first, steps.second, steps.third)],
        {chain_mode!r},
        journal=Journal("etl.db", **{options!r}),
    )
    chain.start_chain(range({count}))
"""


def script(chain_mode: str, count: int = 30, **options: Any) -> Script:
    text = SCRIPT.format(chain_mode=chain_mode, options=options, count=count)
    return Script(Path.cwd(), text)


def until(done: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not done():
        assert time.monotonic() < limit
        time.sleep(0.02)


def killed(one: Script, how: int = signal.SIGKILL) -> None:
    os.kill(one.process.pid, how)
    one.process.communicate(timeout=60)

    assert [] == one.left_after(10)


@both
@pytest.mark.parametrize("name", ["first", "second", "third"])
def test_f10_a_chain_that_is_killed_goes_on(chain_mode: str, name: str) -> None:
    """At each stage: what is done is done, and what has passed a stage is not called there again."""
    steps.wait(name, 20)
    one = script(chain_mode)
    until(lambda: calls()[name][20] == 1)
    time.sleep(0.5)
    killed(one)
    steps.allow(name, 20)
    chain = steps.chain(chain_mode)
    summary = chain.start_chain(range(30))
    excess = {one: sorted(counts - once(*range(30))) for one, counts in calls().items()}
    batch = excess.pop(name)  # that was in flight

    assert 30 == summary.succeeded + summary.duplicates
    assert {n: n * 10 for n in range(30)} == chain.get_final_result_dict()
    assert [[], []] == list(excess.values())
    assert list(range(batch[0], 21)) == batch


@both
@pytest.mark.parametrize("name", ["first", "second", "third"])
def test_f10_a_chain_that_is_killed_calls_nothing_twice(chain_mode: str, name: str) -> None:
    """in_doubt="error": what was called is an error, and run only when it is given again."""
    steps.wait(name, 20)
    one = script(chain_mode, **STRICT)
    until(lambda: calls()[name][20] == 1)
    killed(one)
    steps.allow(name, 20)
    chain = TaskChain(
        [stage(func) for func in (steps.first, steps.second, steps.third)],
        chain_mode,
        journal=Journal("etl.db", **STRICT),
    )
    summary = chain.start_chain(range(30))
    doubtful = kinds(chain)
    once_only = never_twice()
    again = chain.retry_failed()

    assert InDoubtError is doubtful[20]
    assert {InDoubtError} == set(doubtful.values())
    assert (30, len(doubtful)) == (
        summary.succeeded + summary.failed + summary.duplicates,
        summary.failed,
    )
    assert once_only
    assert len(doubtful) == again.succeeded
    assert {n: n * 10 for n in range(30)} == dict(sorted(chain.get_final_result_dict().items()))


@both
def test_f10_what_merely_waits_between_stages_is_not_in_doubt(chain_mode: str) -> None:
    """A stage that hangs: in serial mode what is behind it waits for the next one, and is sure."""
    steps.wait("first", 29)
    one = script(chain_mode, **STRICT)
    until(lambda: calls()["first"][29] == 1)
    arrived = set(calls()["third"])  # not in serial mode; a batch that hangs keeps back all of it
    time.sleep(0.5)
    killed(one)
    steps.allow("first", 29)
    chain = TaskChain(
        [stage(func) for func in (steps.first, steps.second, steps.third)],
        chain_mode,
        journal=Journal("etl.db", **STRICT),
    )
    chain.start_chain(range(30))

    assert 29 in kinds(chain)
    assert arrived.isdisjoint(kinds(chain))
    assert chain_mode != "serial" or len(kinds(chain)) <= 3
    assert never_twice()


@both
def test_f09_ctrl_c_in_a_chain_with_a_journal(chain_mode: str) -> None:
    """It ends at once, the file is whole, and the next start goes on."""
    steps.wait("second", 20)
    one = script(chain_mode)
    until(lambda: calls()["second"][20] == 1)
    time.sleep(1.0)  # the script has read what the first stage has told
    killed(one, signal.SIGINT)
    steps.allow("second", 20)
    chain = steps.chain(chain_mode)
    chain.start_chain(range(30))

    assert {n: n * 10 for n in range(30)} == chain.get_final_result_dict()
    assert once(*range(30)) == calls()["first"]


def flaky(n: int) -> int:
    steps.call("second", n)
    if calls()["second"][n] == 1:
        raise ConnectionError
    time.sleep(60)
    return n


RETRYING = """
import sys
sys.path.append({faults!r})
import steps
from functions import stage
from task_manager import Journal, TaskChain
from test_faults_chain_journal import flaky

if __name__ == "__main__":
    journal = Journal("etl.db", started=True, in_doubt="error")
    TaskChain([stage(steps.first), stage(flaky)], "process", journal=journal).start_chain(range(3))
"""


def test_f10_a_retry_in_a_stage_process_stays_noted_as_begun() -> None:
    """Its call begins there before anybody here could note it: killed in it, the task is in doubt."""
    one = Script(Path.cwd(), RETRYING.format(faults=str(Path(__file__).parent)))
    until(lambda: calls()["second"][0] == 2)
    time.sleep(0.3)
    killed(one)
    journal = Journal("etl.db", **STRICT)
    chain = TaskChain([stage(steps.first), stage(flaky)], "process", journal=journal)
    chain.start_chain([0])

    assert InDoubtError is kinds(chain)[0]
    assert (1, 2) == (calls()["first"][0], calls()["second"][0])


@both
def test_f17_a_task_that_cannot_be_noted_is_not_called(chain_mode: str) -> None:
    """in_doubt="error": its mark would be no mark. The start ends, and says why."""
    chain = TaskChain([stage(f.same), stage(f.same)], chain_mode, journal=Journal("etl.db", **STRICT))
    with pytest.raises(JournalError, match="cannot note what is about to be called"):
        chain.start_chain([1, Unwritten(), 3])
    summary = chain.get_summary()

    assert (0, 0) == (summary.failed, summary.duplicates)
    assert 1 <= summary.not_started


class Unwritten:
    def __deepcopy__(self, memo: Any) -> Any:
        return self

    def __reduce__(self) -> Any:
        if "task_manager._journal.codec" in {frame.f_globals["__name__"] for frame in _stack()}:
            raise TypeError("no journal holds it")
        return Unwritten, ()


def _stack() -> Any:
    frame: Any = sys._getframe()
    while frame is not None:
        yield frame
        frame = frame.f_back
