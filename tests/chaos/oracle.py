"""What each task must come to, by plain iteration over the plan: no manager, no thread, no process.

A death that the driver has made may be charged to any task; that is for `books` to allow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from task_manager.errors import StageDiedError, TransportError, WorkerDiedError

from . import deeds
from .plan import Scenario, Stage
from .tasks import Odd, Tasks, Unloadable, Unpicklable, result_of


@dataclass(frozen=True, slots=True)
class Value:
    """A result."""

    value: Any

    def fits(self, outcome: Any) -> bool:
        return type(outcome) is type(self.value) and bool(outcome == self.value)


@dataclass(frozen=True, slots=True)
class Error:
    """An error.

    type_name: Its class. text: A part of its text. stage: From 1; None if it is no chain.
    exitcode: Of a death.
    """

    type_name: str
    text: str = ""
    stage: str | None = None
    exitcode: int | None = None

    def fits(self, outcome: Any) -> bool:
        if not isinstance(outcome, BaseException) or type(outcome).__name__ != self.type_name:
            return False
        if self.text not in str(outcome):
            return False
        if self.exitcode is not None and outcome.exitcode != self.exitcode:  # type: ignore[attr-defined]
            return False
        notes = getattr(outcome, "__notes__", ())
        return self.stage is None or any(f"in {self.stage} " in note for note in notes)


Outcome = Value | Error


@dataclass(frozen=True, slots=True)
class Fate:
    """What may become of one task; the first is what does if nothing comes from outside."""

    outcomes: tuple[Outcome, ...]

    @property
    def succeeds(self) -> bool | None:
        """None: it depends."""
        kinds = {isinstance(outcome, Value) for outcome in self.outcomes}
        return kinds.pop() if len(kinds) == 1 else None

    def fitting(self, outcome: Any) -> Outcome | None:
        """The one that this is, None if it is none of them."""
        return next((allowed for allowed in self.outcomes if allowed.fits(outcome)), None)


def fates(scenario: Scenario) -> dict[int, Fate]:
    """By number."""
    return {number: fate(scenario, number) for number in set(scenario.numbers)}


def fate(scenario: Scenario, number: int) -> Fate:
    """Follow one task through the stages, until it fails in one for good."""
    allowed: list[Outcome] = []
    value: Any = Tasks(scenario.kind).of([number])[0]
    for place in range(len(scenario.stages)):
        step = Step(scenario, place, number)
        outcomes = step.outcomes(value)
        allowed += [outcome for outcome in outcomes if isinstance(outcome, Error)]
        (value,) = [outcome.value for outcome in outcomes if isinstance(outcome, Value)] or (None,)
        if not any(isinstance(outcome, Value) for outcome in outcomes):
            return Fate(tuple(allowed))
    return Fate((*allowed, Value(value)))


@dataclass(frozen=True, slots=True)
class Step:
    """One task in one stage."""

    scenario: Scenario
    place: int
    number: int

    @property
    def stage(self) -> Stage:
        return self.scenario.stages[self.place]

    @property
    def crosses_after(self) -> bool:
        """The result leaves this process, or comes to it, before the next stage has it."""
        return self.stage.in_process or self.scenario.chain == "process"

    def error(self, type_name: str, text: str = "", exitcode: int | None = None) -> Error:
        stages = len(self.scenario.stages)
        place = None if self.scenario.chain is None else f"stage {self.place + 1} of {stages}"
        if type_name == "LookupError":  # one object for all, which is not filled with notes
            place = None
        return Error(type_name, text, place, exitcode)

    def outcomes(self, task: Any) -> list[Outcome]:
        """What may come of it; where it may go on, a Value is among them."""
        n = self.number
        if n in self.stage.bad_args:
            return [self.error("GetArgsError", "HookBroke: get_args")]
        if self.stage.in_process and isinstance(task, Unpicklable | Unloadable | Odd):
            return [self.error(TransportError.__name__, "argument")]
        outcomes = self._of_deed()
        (value,) = [one.value for one in outcomes if isinstance(one, Value)] or (None,)
        if self.crosses_after and isinstance(value, Unpicklable | Unloadable | Odd):
            if not self.stage.in_process and n in self.stage.bad_results:
                return [self.error("ProcessResultError", "HookBroke: process_result")]
            return [self.error(TransportError.__name__, "result")]
        if n in self.stage.bad_results:
            errors: list[Outcome] = [one for one in outcomes if isinstance(one, Error)]
            judged = self.error("ProcessResultError", "HookBroke: process_result")
            return errors if len(errors) == len(outcomes) else [*errors, judged]
        return outcomes

    def _of_deed(self) -> list[Outcome]:
        n = self.number
        good: Outcome = Value(result_of(self.stage.form, n))
        deed = self.stage.deed(n)
        match deed.what:
            case "unpicklable":
                return [Value(Unpicklable(n))]
            case "unloadable":
                return [Value(Unloadable(n))]
            case "odd result":
                return [Value(Odd(n))]
            case "bad":
                return [self.error("ValueError", f"bad {n}")]
            case "down":
                return [self.error("ConnectionError", f"down {n}")]
            case "remembered":
                return [self.error("LookupError", "remembered")]
            case "odd error":
                return [self.error("TwoArguments", f"odd {n}")]
            case "base" if deed.how == "StopIteration" and self.stage.way == "async":
                return [self.error("RuntimeError", "StopIteration")]
            case "base":
                return [self.error(str(deed.how), "out of the function")]
            case "hang" | "late":
                return [self.error("TaskTimeoutError", f"{self.stage.timeout:g}")]
            case "closes":
                return [self._death(None)]
            case "dies":
                return [self._death(str(deed.how))]
            case "changes" if self._may_be_called_twice:
                # A call that takes too long is made again, for a changed task; so are those before it in
                # its batch that are not told yet.
                return [
                    good,
                    *(self.error(kind) for kind in ("KeyError", "IndexError", "AttributeError")),
                ]
            case "dies once" if self._is_retried:
                return [good]
            case "dies once":
                return [self._death(str(deed.how)), good]
        return [good]

    @property
    def _may_be_called_twice(self) -> bool:
        """With the object itself, which no process has a copy of."""
        return not self.stage.in_process and self.stage.timeout is not None

    @property
    def _is_retried(self) -> bool:
        """A death in this stage."""
        return self.stage.in_process and self.stage.retries_deaths and self.stage.retries > 0

    def _death(self, how: str | None) -> Error:
        kind = WorkerDiedError if self.stage.in_process else StageDiedError
        return self.error(kind.__name__, exitcode=None if how is None else deeds.ENDS[how])
