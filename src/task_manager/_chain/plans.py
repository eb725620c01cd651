"""The managers of a chain as its stages: what they want of their runs, and how they travel."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

from .._notice import Notice
from .._plan import plan_of
from .._run.runs import Plan
from ..manager import TaskManager


def plans_of(stages: Sequence[TaskManager]) -> list[Plan]:
    """A plan for each, in order."""
    return [plan_of_stage(stage, number) for number, stage in enumerate(stages, start=1)]


def plan_of_stage(stage: TaskManager, number: int) -> Plan:
    """It takes what comes: repeats are the chain's business, and so is the line on stderr at the end."""
    plan = plan_of(stage)
    told = tuple(other for other in plan.observers if not isinstance(other, Notice))
    return replace(plan, distinct=False, stage=number, observers=told)


def quiet_copy(manager: TaskManager) -> TaskManager:
    """One that writes no log, draws no bar and tells no observer: where the parent does that."""
    quiet = copy.copy(manager)
    vars(quiet).update(logger=None, show_progress=False, observers=())
    return quiet
