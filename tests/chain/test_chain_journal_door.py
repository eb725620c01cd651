"""What a chain with a journal refuses, and when: before anything is run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import functions as f
import steps
from functions import stage
from steps import calls, once
from task_manager import ConfigurationError, JournalError, TaskChain, TaskManager

both = pytest.mark.parametrize("chain_mode", ["serial", "thread", "process"])


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Other:
    def __call__(self, task: Any) -> Any:
        return task


@pytest.mark.parametrize(
    "funcs",
    [
        (steps.first, steps.third, steps.second),
        (steps.first, steps.second),
        (steps.first, steps.second, steps.third, f.same),
        (steps.first, steps.second, Other()),
    ],
    ids=["order", "fewer", "more", "other"],
)
def test_a_journal_of_other_stages_is_refused(funcs: Any) -> None:
    """With both, before anything is run; the file stays as it was."""
    steps.chain("serial").start_chain([1])
    before = Path("etl.db").read_bytes()
    chain = TaskChain([stage(func) for func in funcs], journal="etl.db")
    with pytest.raises(JournalError) as caught:
        chain.start_chain([2])

    assert "a chain of steps:first, steps:second, steps:third" in str(caught.value)
    assert ("steps:third" if len(funcs) < 4 else "functions:same") in str(caught.value)
    assert before == Path("etl.db").read_bytes()
    assert once(1) == calls()["first"]


def test_a_journal_of_a_manager_is_refused() -> None:
    """Even of the same function."""
    TaskManager(steps.first, logger=None, journal="etl.db").start([1])

    with pytest.raises(JournalError, match=r"is of the function steps:first, and this .* a chain of"):
        TaskChain([stage(steps.first)], journal="etl.db").start_chain([1])


def test_stages_that_are_changed_between_two_starts() -> None:
    """The journal is bound to the stages of its first start; as before, the chain works again."""
    chain = steps.chain("serial")
    chain.start_chain([1])
    chain.add_stage(stage(f.same))
    with pytest.raises(JournalError):
        chain.start_chain([2])
    chain.remove_stage(-1)
    summary = chain.start_chain([1, 2])

    assert (1, 1) == (summary.succeeded, summary.duplicates)
    assert {1: 10, 2: 20} == chain.get_final_result_dict()


REFUSED: list[Callable[[], Any]] = [
    lambda: TaskChain([stage(f.same, deduplicate=False)], journal="etl.db"),
    lambda: TaskChain(journal="etl.db").add_stage(stage(f.same, deduplicate=False)),
    lambda: TaskChain(
        [stage(f.same), stage(f.double, deduplicate=False)], journal="etl.db"
    ).remove_stage(0),
]


@pytest.mark.parametrize("make", REFUSED, ids=["made", "added", "removed"])
def test_a_first_stage_that_runs_repeats_is_refused(make: Callable[[], Any]) -> None:
    """Where what is done is known by the initial task, equal ones are one."""
    with pytest.raises(ConfigurationError, match="journal needs deduplicate=True of the first stage"):
        make()


def test_other_stages_may_run_repeats() -> None:
    """They take what comes anyway."""
    chain = TaskChain([stage(f.same), stage(f.double, deduplicate=False)], journal="etl.db")
    chain.start_chain([1, 1])

    assert {1: 2} == chain.get_final_result_dict()


@pytest.mark.parametrize("of_chain", [None, "etl.db"])
def test_a_stage_with_a_journal_of_its_own_is_refused(of_chain: str | None) -> None:
    """It is the chain's, also where the chain has none."""
    with pytest.raises(ConfigurationError, match=r"chain: TaskChain\(\.\.\., journal='a.db"):
        TaskChain([stage(f.same, journal="a.db")], journal=of_chain)
    with pytest.raises(ConfigurationError, match="give it to the chain"):
        TaskChain(journal=of_chain).add_stage(stage(f.same, journal="a.db"))


@both
def test_two_chains_with_one_journal(chain_mode: str) -> None:
    """The second one is refused while the first one runs, and nothing of it is run."""
    refused = []

    def tasks() -> Any:
        yield 1
        with pytest.raises(JournalError, match="is in use by another run of this process"):
            steps.chain(chain_mode).start_chain([5])
        refused.append(True)
        yield 2

    chain = steps.chain(chain_mode)
    chain.start_chain(tasks())

    assert [True] == refused
    assert {1: 10, 2: 20} == chain.get_final_result_dict()


def test_a_chain_without_stages_opens_nothing() -> None:
    """It is refused before there is a file."""
    with pytest.raises(ConfigurationError, match="at least one stage"):
        TaskChain(journal="etl.db").start_chain([1])

    assert not Path("etl.db").exists()
