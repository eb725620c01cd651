"""What the managers of a chain want of their runs as its stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .._run.runs import Plan
from ..manager import TaskManager, plan_of


def plans_of(stages: Sequence[TaskManager]) -> list[Plan]:
    """A plan for each, in order. They take what comes: repeats are the chain's business."""
    return [
        replace(plan_of(stage), distinct=False, stage=number)
        for number, stage in enumerate(stages, start=1)
    ]
