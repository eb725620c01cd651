"""What can be seen after a start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from task_manager import Summary

from .plan import Reading
from .tasks import Tasks

RAISED = {"int": "KeyboardInterrupt", "alarm": "TimeLimit", "term": "SystemExit"}
LEFT = "its reader left the stream"
LIMITS = {"TooManyFailures": "max_failures", "DeadlineExceeded": "deadline"}
TWICE = "stop(), called twice"


@dataclass(frozen=True)
class Account:
    """What can be seen after a start.

    called: The numbers of the tasks for which a stage was called, where that is noted.
    number: Of the start, from 0.
    given: How many tasks the input gave; None where nobody knows.
    raised: The names of the types of what was raised out of the start, in order.
    stopped: The signals that came in time to end the start.
    kills: Of workers and stages, in all starts until now.
    summary: None if the start had not begun its run when it was stopped.
    reading: How it was read, where it was a stream; told: The numbers of the tasks whose outcomes its
        reader has, in order. told_results, told_errors: These outcomes. left: The reader has left it.
    """

    number: int
    given: int | None
    raised: list[str]
    stopped: list[str]
    kills: int
    summary: Summary | None
    results: dict[int, Any] = field(default_factory=dict)
    errors: dict[int, BaseException] = field(default_factory=dict)
    twice: list[str] = field(default_factory=list)
    reading: Reading | None = None
    told: Sequence[int] = ()
    told_results: dict[int, Any] = field(default_factory=dict)
    told_errors: dict[int, BaseException] = field(default_factory=dict)
    left: bool = False
    called: frozenset[int] = frozenset()

    @property
    def undisturbed(self) -> bool:
        """No signal has stopped it, or too late."""
        return not self.stopped or not set(self.raised) & set(RAISED.values())

    @property
    def ended_early(self) -> bool:
        """Ended on purpose: what ran was finished, and the rest was not begun."""
        broken = "WorkerStartError" in self.raised or self.hook_hides_reason
        return self.left or broken or self.reason in (LEFT, "stop()", TWICE, *LIMITS)

    @property
    def hook_hides_reason(self) -> bool:
        """A chain that ended early says what handle_error has raised, and not why it did."""
        if self.summary is None or not self.summary.not_started:
            return False
        return "HookBroke: handle_error" in (self.reason or "")

    @property
    def reason(self) -> str | None:
        """Why it ended early, as it says."""
        said = None if self.summary is None else self.summary.ended_early
        name = (said or "").partition(":")[0]
        return name if name in LIMITS else said

    @property
    def through(self) -> bool:
        """It went to its end, and who reads it was told all."""
        return self.undisturbed and not self.ended_early


NOTHING = Account(-1, 0, [], [], 0, None)


def by_number(tasks: Tasks, outcomes: Mapping[Any, Any], what: str, twice: list[str]) -> dict[int, Any]:
    """Outcomes by the number of their task; one that comes twice is noted."""
    numbers: dict[int, Any] = {}
    for task, outcome in outcomes.items():
        number = tasks.number_of(task)
        if number in numbers:
            twice.append(f"task {number} is twice among the {what}")
        numbers[number] = outcome
    return numbers


def told_by_number(tasks: Tasks, told: Iterable[Any]) -> dict[str, Any]:
    """What a reader was told, as fields of an Account."""
    order, results, errors = [], {}, {}
    for outcome in told:
        number = tasks.number_of(outcome.task)
        order.append(number)
        if outcome.ok:
            results[number] = outcome.result
        else:
            errors[number] = outcome.error
    return {"told": order, "told_results": results, "told_errors": errors}
