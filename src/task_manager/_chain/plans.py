"""What the managers of a chain want of their runs as its stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .._notice import Notice
from .._run.runs import Plan
from ..manager import TaskManager, plan_of


def plans_of(stages: Sequence[TaskManager]) -> list[Plan]:
    """A plan for each, in order. They take what comes: repeats are the chain's business.

    So is what is said on stderr at the end.
    """
    return [
        replace(
            plan,
            distinct=False,
            stage=number,
            observers=tuple(other for other in plan.observers if not isinstance(other, Notice)),
        )
        for number, plan in enumerate(map(plan_of, stages), start=1)
    ]
