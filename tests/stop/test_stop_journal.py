"""A stop with a journal: another start goes on from there, and nothing is in doubt after a clean one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

import functions as f
from stopping import STARTS, accounts, beside, held_in, start
from task_manager import InDoubtError, Journal, TaskChain, TaskManager


def journal(strict: bool) -> Journal:
    return Journal("run.db", started=strict, in_doubt="error" if strict else "run")


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("how", STARTS)
@pytest.mark.parametrize("mode", f.MODES)
def test_f37_another_manager_runs_the_rest(mode: str, how: str, strict: bool, tmp_path: Path) -> None:
    """Of what had not begun none is in doubt, however strict the journal is."""
    held = held_in(mode, tmp_path, quick=20)

    def manager() -> TaskManager[Any, Any]:
        options: Any = {"logger": None, "worker_limit": 2, "journal": journal(strict)}
        return TaskManager(held, **f.options_of(mode), **options)

    with manager() as first:

        def stop() -> None:
            held.wait_for(1 if mode == "serial" else 2)
            time.sleep(0.1)
            first.stop()
            held.go()

        with beside(stop):
            summary = start(first, how, range(60))
    with manager() as second:
        again = start(second, how, range(60))

        assert "stop()" == summary.ended_early
        assert accounts(summary)
        assert (60, 60 - summary.succeeded, summary.succeeded) == (
            again.taken,
            again.succeeded,
            again.duplicates,
        )
        assert {n: n for n in range(60)} == second.get_result_dict()
        assert {} == second.get_error_dict()
        assert list(range(60)) == held.begun


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("how", STARTS)
@pytest.mark.parametrize("mode", ["serial", "thread", "process"])
@pytest.mark.parametrize("chain_mode", f.CHAIN_MODES)
def test_f37_a_chain_goes_on_where_it_was(
    chain_mode: str, mode: str, how: str, strict: bool, tmp_path: Path
) -> None:
    """What had passed a stage does not go through it again."""
    calls = tmp_path / "calls"
    calls.mkdir()
    held = held_in(mode, tmp_path, quick=10)

    def chain() -> TaskChain[Any, Any]:
        stages = [
            f.stage(Counts(calls, "first")),
            TaskManager(held, logger=None, worker_limit=2, **f.options_of(mode)),
            f.stage(Counts(calls, "last")),
        ]
        return TaskChain(stages, chain_mode, journal=journal(strict))  # type: ignore[arg-type]

    first = chain()

    def stop() -> None:
        held.wait_for(1 if mode == "serial" else 2)
        first.stop()
        time.sleep(0.3)
        held.go()

    with beside(stop):
        summary = start(first, how, range(40))
    second = chain()
    again = start(second, how, range(40))

    assert "stop()" == summary.ended_early
    assert accounts(summary)
    assert {} == second.get_final_error_dict()
    assert 40 == summary.succeeded + again.succeeded
    assert {n: n for n in range(40)} == second.get_final_result_dict()
    assert {} == second.get_final_error_dict()
    assert [1] * 80 == [path.stat().st_size for path in calls.iterdir()]


class Counts:
    """A function that leaves a byte for each call."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = self.__name__ = self.__qualname__ = name

    def __call__(self, task: int) -> int:
        f.count_calls(self.folder, f"{self.name} {task}")
        return task


@pytest.mark.parametrize("mode", ["thread", "process", "async"])
def test_what_a_second_call_ends_is_in_doubt(mode: str, tmp_path: Path) -> None:
    """As after a Ctrl-C: nobody knows what became of those calls, and of no others."""
    held = held_in(mode, tmp_path, quick=20)

    def manager() -> TaskManager[Any, Any]:
        options: Any = {"logger": None, "worker_limit": 2, "journal": journal(True)}
        return TaskManager(held, **f.options_of(mode), **options)

    with manager() as first:

        def stop() -> None:
            held.wait_for(2)
            time.sleep(0.1)
            first.stop()
            first.stop()

        with beside(stop):
            summary = first.start(range(60))
    begun = held.held
    held.go()
    with manager() as second:
        again = second.start(range(60))
        errors = second.get_error_dict()

        assert summary.interrupted == len(begun) == again.failed
        assert {InDoubtError} == {type(error) for error in errors.values()}
        assert set(begun) == set(errors)
        assert 60 == len(errors) + len(second.get_result_dict())
