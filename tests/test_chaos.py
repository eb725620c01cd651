"""The chaos driver: it draws the same again, knows what must come of it, and sees what does not."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chaos.account import Account
from chaos.begins import faults_of_begins
from chaos.books import Books
from chaos.draw import AWAITED, FAMILIES, FEEDS, JOURNALS, KINDS, LEAVES, QUEUES, draw
from chaos.draw_stage import AWAITED_STATES
from chaos.oracle import Error, Value, fates
from chaos.plan import MODES, START_METHODS, WAYS, Deed, Reading, Scenario, Stage, Trouble
from chaos.states import faults_of_states
from task_manager import Summary, TransportError, WorkerDiedError

ROOT = Path(__file__).parents[1]

SABOTAGE = """
import task_manager

honest = task_manager.TaskManager.get_result_dict

def get_result_dict(self):
    return dict(list(honest(self).items())[1:])

task_manager.TaskManager.get_result_dict = get_result_dict
"""
"""Loses the first result of every manager."""


MORE_KINDS = {
    *(
        "stream ordered",
        "stream as it comes",
        "stream kept",
        "stream not kept",
        "stream read to the end",
    ),
    *("state that breaks", "limit most", "limit rate", "limit rate_key", "limit max_failures"),
    *("limit deadline", "RetryAfter", "journal of a script that ends"),
    *("stop() by a thread", "stop() by a handler", "stop() in a hook", "stop() in a function"),
    "stop() twice",
}


def run_driver(*arguments: str, ahead: str = "") -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([ahead, *filter(None, sys.path)])
    return subprocess.run(
        [sys.executable, "-m", "tests.chaos", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )


@pytest.mark.timeout(300)
def test_some_seconds_of_chaos_break_nothing() -> None:
    """Every scenario keeps every promise."""
    done = run_driver("--seconds", "3", "--seed", "7")

    assert (0, "") == (done.returncode, done.stderr), done.stdout
    assert " 0 failed" in done.stdout


@pytest.mark.timeout(300)
def test_a_library_that_loses_a_result_is_caught(tmp_path: Path) -> None:
    """What fails is told with the command that runs it again, and the driver ends with 1."""
    (tmp_path / "sitecustomize.py").write_text(SABOTAGE)
    scenarios = (draw(1, index, "thread") for index in itertools.count())
    simple = next(one.index for one in scenarios if is_simple(one))
    done = run_driver(*("--seed", "1", "--mode", "thread", "--only", str(simple)), ahead=str(tmp_path))

    assert (1, "") == (done.returncode, done.stderr)
    assert "have no outcome" in done.stdout
    assert f"again: python -m tests.chaos --seed 1 --mode thread --only {simple}\n" in done.stdout


def is_simple(scenario: Scenario) -> bool:
    """All starts go to their end, keep all, and have results."""
    stage = scenario.stages[0]
    ends = scenario.family != "calm" or scenario.streams or stage.limited or stage.state_breaks
    plain = scenario.kind == "int" and scenario.feed in ("list", "tuple", "generator")
    return plain and stage.keep_results and not ends and len(set(scenario.numbers)) > 20


def test_the_same_seed_and_index_give_the_same_scenario() -> None:
    """So what has failed can be run again; another index gives another one."""
    scenarios = [draw(7, index) for index in range(100)]

    assert scenarios == [draw(7, index) for index in range(100)]
    assert 100 == len(set(map(str, scenarios)))


def test_everything_is_drawn_at_some_time() -> None:
    """Every way to run, family of trouble, kind of task and of input; and chains in all modes."""
    scenarios = [draw(1, index) for index in range(700)]
    kinds = {kind for scenario in scenarios for kind in scenario.kinds}

    assert set(WAYS) == {stage.way for scenario in scenarios for stage in scenario.stages}
    assert set(FAMILIES) == {scenario.family for scenario in scenarios}
    assert set(KINDS) == {scenario.kind for scenario in scenarios}
    assert set(FEEDS + QUEUES + AWAITED) == {scenario.feed for scenario in scenarios}
    assert {None, "serial", "thread", "process"} == {scenario.chain for scenario in scenarios}
    assert {1, 2, 3, 4} == {len(scenario.stages) for scenario in scenarios}
    assert MORE_KINDS <= kinds, MORE_KINDS - kinds
    assert {f"stream left by {leave}" for leave in LEAVES if leave} <= kinds
    assert {f"state {state}" for state in AWAITED_STATES} <= kinds
    assert set(JOURNALS) | {""} == {scenario.journal for scenario in scenarios}


@pytest.mark.parametrize("mode", MODES)
def test_a_mode_that_is_asked_for_is_the_only_one(mode: str) -> None:
    """All managers are in it, or all are stages of chains."""
    scenarios = [draw(3, index, mode) for index in range(50)]
    ways = set(START_METHODS) if mode == "process" else {mode}

    if mode == "chain":
        assert all(scenario.chain for scenario in scenarios)
    else:
        assert all(scenario.chain is None and scenario.stages[0].way in ways for scenario in scenarios)


# ------------------------------------------------------------------ the oracle and the books


def scenario_of(
    *stages: Stage, chain: str | None = None, numbers: tuple[int, ...] = (1, 2, 3)
) -> Scenario:
    """A scenario in which nothing happens from outside."""
    calm = replace(draw(1, 0), family="calm", begin="start", kind="int", feed="list", broken_at=None)
    calm = replace(calm, starts=((),), readings=(None,), journal="", fatal=False, sigpipe=False)
    return replace(calm, chain=chain, stages=stages, numbers=tuple(numbers))


def stage_of(way: str, **options: Any) -> Stage:
    return Stage(**{"way": way, "workers": 2, "retries": 1, "timeout": None, "deeds": {}, **options})


DEEDS = {1: Deed("bad"), 2: Deed("flaky", 1), 3: Deed("unpicklable"), 4: Deed("dies", "exit")}


def test_the_oracle_knows_what_comes_of_a_task() -> None:
    """A result, or the error of the first stage where it fails, as the mode of that stage makes it."""
    thread = fates(scenario_of(stage_of("thread", deeds=DEEDS)))
    process = fates(scenario_of(stage_of("fork", deeds=DEEDS), numbers=(3, 4)))

    assert (Error("ValueError", "bad 1"),) == thread[1].outcomes
    assert (Value(2),) == thread[2].outcomes
    assert thread[3].succeeds
    assert (Error("TransportError", "result"),) == process[3].outcomes
    assert (Error("WorkerDiedError", exitcode=5),) == process[4].outcomes


def test_the_oracle_follows_a_task_through_a_chain() -> None:
    """What a thread has made may be too much for the process behind it; a death is that of a stage."""
    stages = stage_of("thread", deeds=DEEDS), stage_of("fork", form="list")
    serial = fates(scenario_of(*stages, chain="serial"))
    process = fates(scenario_of(*stages, chain="process", numbers=(3, 4)))

    assert (Error("ValueError", "bad 1", "stage 1 of 2"),) == serial[1].outcomes
    assert (Value([2, None]),) == serial[2].outcomes
    assert (Error("TransportError", "argument", "stage 2 of 2"),) == serial[3].outcomes
    assert (Error("TransportError", "result", "stage 1 of 2"),) == process[3].outcomes
    assert (Error("StageDiedError", "", "stage 1 of 2", 5),) == process[4].outcomes


def account_of(results: dict[int, Any], errors: dict[int, BaseException], **more: Any) -> Account:
    """What can be seen after a start of three tasks."""
    summary = Summary(succeeded=len(results), failed=len(errors))
    common = {"number": 0, "given": 3, "raised": [], "stopped": [], "kills": 0, "summary": summary}
    return Account(**{**common, "results": results, "errors": errors, **more})


BAD = {1: ValueError("bad 1")}
GOOD = {2: 2, 3: 3}

DIFFERENCES = {
    "a task without outcome": (account_of({2: 2}, BAD), "tasks [3] have no outcome"),
    "a task that is in no count": (
        account_of(GOOD, BAD, summary=Summary(succeeded=1, failed=1)),
        "3 tasks were given, and 2 are in a count",
    ),
    "two outcomes": (account_of({**GOOD, 1: 1}, BAD), "tasks [1] have a result and an error"),
    "the result of another": (account_of({2: 3, 3: 3}, BAD), "task 2 has 3"),
    "the error of another": (account_of({1: 1, 3: 3}, {2: BAD[1]}), "task 2 has ValueError('bad 1')"),
    "a death that nobody made": (
        account_of({2: 2}, {**BAD, 3: WorkerDiedError(1, -9)}),
        "tasks [3] are charged for 0 kills",
    ),
    "an error for a healthy task": (
        account_of({2: 2}, {**BAD, 3: TransportError("result", "int", "")}),
        "task 3 has TransportError",
    ),
    "a wrong order": (account_of({3: 3, 2: 2}, BAD), "results are not in the order"),
    "a wrong end": (account_of(GOOD, BAD, raised=["KeyboardInterrupt"]), "KeyboardInterrupt was raised"),
    "a start that would not stop": (
        account_of(GOOD, BAD, stopped=["term"]),
        "term came, and the start went on to its end",
    ),
    "a task not started": (
        account_of(GOOD, BAD, summary=Summary(succeeded=2, not_started=1)),
        "1 are not started in a start that was not stopped",
    ),
}


STREAM = {"reading": Reading(ordered=True, kept=False, pause=0.0), "told_errors": BAD}

STREAM_DIFFERENCES = {
    "an outcome that is not told": (
        account_of({}, {}, **STREAM, told=[1, 2], told_results={2: 2}),
        "tasks [3] have no outcome",
    ),
    "an outcome that is told twice": (
        account_of({}, {}, **STREAM, told=[1, 2, 2, 3], told_results=GOOD),
        "task 2 was told 2 times",
    ),
    "a wrong order": (
        account_of({}, {}, **STREAM, told=[2, 1, 3], told_results=GOOD),
        "told in another order",
    ),
    "something that is kept": (
        account_of(GOOD, {}, **STREAM, told=[1, 2, 3], told_results=GOOD),
        "nothing is to be kept",
    ),
    "more than is counted": (
        account_of({}, {}, **STREAM, told=[1, 2, 3], told_results=GOOD, summary=Summary(succeeded=1)),
        "3 outcomes were told, more than are counted",
    ),
}


@pytest.mark.parametrize("what", STREAM_DIFFERENCES)
def test_what_a_stream_tells_otherwise_is_told(what: str) -> None:
    """Each by its own sentence."""
    account, sentence = STREAM_DIFFERENCES[what]
    found = Books(scenario_of(stage_of("fork", deeds={1: Deed("bad")}))).check(account)

    assert any(sentence in fault for fault in found), found


def test_what_was_not_told_is_run_again() -> None:
    """After a stream that was left, the next start is to do the rest, and nothing else."""
    left = Summary(succeeded=2, not_started=1, ended_early="its reader left the stream")
    told = {"reading": Reading(False, False, 0.0, "break", 1), "left": True, "told": [2]}
    first = account_of({}, {}, summary=left, told_results={2: 2}, **told)
    right = account_of({3: 3}, BAD, number=1, summary=Summary(succeeded=1, failed=1, duplicates=1))
    again = account_of({2: 2, 3: 3}, BAD, number=1)
    fewer = account_of({}, BAD, number=1, summary=Summary(failed=1, duplicates=2))
    for account, faults in ((right, False), (again, True), (fewer, True)):
        books = Books(scenario_of(stage_of("fork", deeds={1: Deed("bad")})))

        assert [] == books.check(first)
        assert faults == bool(books.check(account)), account


def test_a_state_that_is_cleaned_up_twice_is_told(tmp_path: Path) -> None:
    """So is one that nobody has made, and one that nobody cleans up."""
    scenario = scenario_of(stage_of("thread", state="generator"))
    (tmp_path / "states1").write_text("made a\nmade b\ncleaned a\ncleaned a\ncleaned c\n")
    found = " ".join(faults_of_states(scenario, tmp_path))

    assert "more than once: ['cleaned a']" in found
    assert "['c'] are cleaned up, and were not made" in found
    assert "1 of 2 states are not cleaned up" in found


def test_a_window_that_is_too_full_is_told(tmp_path: Path) -> None:
    """The calls of another process do not count."""
    scenario = scenario_of(stage_of("thread", rate=(2, 1.0)))
    (tmp_path / "begins1-0").write_text("7 0.0 0.5\n7 1.1\n8 1.1 1.2\n")
    (tmp_path / "begins1-1").write_text("7 0.0 0.5\n7 0.9\n")

    assert ["stage 1: 3 attempts began in 0.9 s: (2, 1.0)"] == [*faults_of_begins(scenario, tmp_path)]


@pytest.mark.parametrize("what", DIFFERENCES)
def test_what_differs_from_the_oracle_is_told(what: str) -> None:
    """Each by its own sentence."""
    account, sentence = DIFFERENCES[what]
    found = Books(scenario_of(stage_of("fork", deeds={1: Deed("bad")}))).check(account)

    assert any(sentence in fault for fault in found), found


def test_what_agrees_with_the_oracle_is_not_told() -> None:
    """Nor is an error for as many tasks as workers were killed."""
    scenario = scenario_of(stage_of("fork", deeds={1: Deed("bad")}))
    killed = replace(scenario, family="kill", starts=((Trouble("kill", 0.1),),))
    charged = account_of({2: 2}, {**BAD, 3: WorkerDiedError(1, -9)}, kills=1)

    assert [] == Books(scenario).check(account_of(GOOD, BAD))
    assert [] == Books(killed).check(charged)
