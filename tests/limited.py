"""A plugin of pytest, `-p limited`: each manager has limits, none of which is ever reached.

So the conformance suite and the tests of faults say what holds with limits as well. Attempts are given
out one at a time then, and each begin is counted.
"""

from __future__ import annotations

from typing import Any

from task_manager._rules.ends import Ends
from task_manager._rules.rate import Rate
from task_manager._run.plan import Plan

RATE = Rate(100_000, 1.0)
MOST_FAILURES = 10**9
DEADLINE = 3600.0

DOES_NOT_APPLY = {
    "test_f06_a_call_that_ends_too_late_costs_the_next_one_nothing[fork]": "a worker has one attempt at "
    "a time, so that there is no next one",
    "test_f14_a_chain_that_keeps_nothing_does_not_grow": "a limit keeps the begins of a window, up to "
    "100,000 of them with this one",
}


def pytest_collection_modifyitems(items: list[Any]) -> None:
    from besides import apply

    apply("limited", items, DOES_NOT_APPLY)


make = Plan.__init__


def make_with_limits(plan: Plan, *args: Any, **options: Any) -> None:
    make(plan, *args, **options)
    ends = plan.ends
    most = MOST_FAILURES if ends.max_failures is None else ends.max_failures
    object.__setattr__(plan, "ends", Ends(most, ends.deadline or DEADLINE))
    if plan.limit is None:
        object.__setattr__(plan, "rate", plan.rate or RATE)


Plan.__init__ = make_with_limits  # type: ignore[method-assign]
