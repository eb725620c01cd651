"""The managers of a chain as its stages: what they want of their runs, and how they travel."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace

from .._journal.no_record import Fail, NoRecord
from .._plan import plan_of
from .._run.plan import Plan
from .._run.results import Keeps
from .._task import Batch, Unrun
from ..errors import ConfigurationError, InDoubtError
from ..manager import TaskManager
from ..progress import ProgressObserver


def plans_of(stages: Sequence[TaskManager], keeps: Keeps | None = None) -> list[Plan]:
    """A plan for each, in order. keeps: In the place of the option of each."""
    plans = [plan_of_stage(stage, number) for number, stage in enumerate(stages, start=1)]
    return plans if keeps is None else [replace(plan, keeps=keeps) for plan in plans]


def plan_of_stage(stage: TaskManager, number: int) -> Plan:
    """It takes what comes: repeats are the chain's business. Its bar bears the name of its function."""
    plan = plan_of(stage)
    told = tuple(
        other.named(plan.name) if isinstance(other, ProgressObserver) else other
        for other in plan.observers
    )
    return replace(plan, distinct=False, stage=number, observers=told)


def refuse_executors(stages: Sequence[TaskManager]) -> None:
    """An executor works in the process that made it: a stage in a process of its own makes its own."""
    for stage in stages:
        if isinstance(stage.execution_mode, Executor):
            raise ConfigurationError(
                f"a stage in a process of its own cannot use the {type(stage.execution_mode).__name__} "
                "that was passed in, as it works in this process: pass a function that makes one, or "
                f"use chain_mode='thread'; got {stage!r}"
            )


class AtMostOnce(NoRecord):
    """In the process of a stage: what a dead worker of the stage may have called is not called again."""

    def returned(self, batch: Batch, unrun: Unrun, fail: Fail) -> Sequence[int]:
        begun = frozenset(unrun.begun)
        for place in sorted(begun):
            task = batch.tasks[place]
            fail(batch.indices[place], task, InDoubtError(task), batch.numbers[place])
        return [place for place in unrun.positions if place not in begun]


def quiet_copy(manager: TaskManager, keeps: Keeps | None) -> TaskManager:
    """One that writes no log, draws no bar and tells no observer: where the parent does that.

    keeps: In the place of its option.
    """
    quiet = copy.copy(manager)
    kept = manager.keep_results if keeps is None else keeps
    vars(quiet).update(logger=None, show_progress=False, observers=(), keep_results=kept)
    return quiet
