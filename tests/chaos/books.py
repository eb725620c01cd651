"""Compares what came of a start with the oracle: every difference is a fault, told in a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from task_manager import Summary

from .oracle import Value, fates
from .plan import Scenario
from .tasks import Tasks

DEATHS = ("WorkerDiedError", "StageDiedError")
RESTARTS = 3  # of the stages of a chain, in one start
TRIES = 3  # deaths that one task of a stage may cause until it is charged
RAISED = {"int": "KeyboardInterrupt", "alarm": "TimeLimit", "term": "SystemExit"}


@dataclass(frozen=True)
class Account:
    """What can be seen after a start.

    number: Of the start, from 0.
    given: How many tasks the input gave; None where nobody knows.
    raised: The names of the types of what was raised out of the start, in order.
    stopped: The signals that came in time to end the start.
    kills: Of workers and stages, in all starts until now.
    summary: None if the start had not begun its run when it was stopped.
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

    @property
    def through(self) -> bool:
        """It was not stopped, or too late."""
        return not self.stopped or not set(self.raised) & set(RAISED.values())


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


class Books:
    """All starts of one scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._fates = fates(scenario)
        self._last = NOTHING
        self._smooth = True  # no start so far was stopped
        self._kept = scenario.stages[-1].keep_results

    def check(self, now: Account) -> list[str]:
        """The faults of this start, which comes after those that were checked before."""
        found = [*now.twice, *self._raises(now), *self._outcomes(now), *self._counts(now)]
        self._smooth = self._smooth and now.through
        self._last = now
        return [f"start {now.number}: {fault}" for fault in found]

    # ------------------------------------------------------------------ what was raised

    def _raises(self, now: Account) -> Iterator[str]:
        scenario = self._scenario
        usual = None
        if any(stage.complains for stage in scenario.stages):
            usual = "HookBroke"
        elif scenario.feed == "broken":
            usual = "InputBroke"
        first = now.raised[0] if now.raised else None
        if now.stopped:
            if first is None and not ("alarm" in now.stopped and scenario.may_lose_an_alarm):
                yield f"{', '.join(now.stopped)} came, and the start went on to its end"
            elif first not in (None, usual, *(RAISED[name] for name in now.stopped)):
                yield f"{first} was raised, and not what the handler of {now.stopped} raises"
        elif first in (None, usual) and self._may_be_given_up(now):
            return
        elif first != usual and not (scenario.feed == "frontier" and first and "mutated" in first):
            yield f"{first} was raised instead of {usual}"

    # ------------------------------------------------------------------ results and errors

    def _outcomes(self, now: Account) -> Iterator[str]:
        if both := sorted(set(now.results) & set(now.errors)):
            yield f"tasks {both} have a result and an error"
        if not self._kept:
            if now.results or now.errors:
                yield "outcomes are kept although keep_results is False"
            return
        charged = []
        for number, outcome in [*now.results.items(), *now.errors.items()]:
            fate = self._fates[number]
            fitting = fate.fitting(outcome)
            if fitting is not None and isinstance(fitting, Value) == (number in now.results):
                continue
            if number in now.errors and self._may_be_charged(outcome):
                charged.append(number)
            else:
                yield f"task {number} has {_short(outcome)}, which is none of {_short(fate.outcomes)}"
        charged = [number for number in charged if not isinstance(now.errors[number], TimeoutError)]
        if len(charged) > now.kills and not self._others_may_pay(now):
            yield f"tasks {charged} are charged for {now.kills} kills"
        done = set(now.results) | set(now.errors)
        if now.through and now.given is not None:
            if missing := sorted(set(self._fed(now)) - done):
                yield f"tasks {missing} have no outcome"
        if lost := sorted((set(self._last.results) | set(self._last.errors)) - done):
            yield f"tasks {lost} had an outcome before, and have none now"
        if now.number == 0 and self._scenario.distinct:
            order = [number for number in dict.fromkeys(self._scenario.numbers) if number in now.results]
            if order != list(now.results):
                yield f"results are not in the order in which the tasks were taken: {list(now.results)}"

    def _may_be_charged(self, outcome: Any) -> bool:
        kind = type(outcome).__name__
        return kind in DEATHS or (kind == "TaskTimeoutError" and self._may_be_late)

    @property
    def _may_be_late(self) -> bool:
        """Time goes on for who is stopped."""
        limited = any(stage.timeout for stage in self._scenario.stages)
        return limited and self._scenario.family == "stop"

    def _others_may_pay(self, now: Account) -> bool:
        """A fork server takes its workers with it, and a stage that is given up all before it."""
        return self._scenario.server_killed or self._may_be_given_up(now)

    def _may_be_given_up(self, now: Account) -> bool:
        """A stage may die so often that it is the end for all that have not passed it.

        Where it is not serial, it may not be known at once who has killed it: then suspects run alone.
        """
        if self._scenario.chain != "process":
            return False
        deaths = now.kills
        for stage in self._scenario.stages:
            dying = sum(deed.what in ("dies", "dies once") for deed in stage.deeds.values())
            deaths += 0 if stage.in_process else dying if stage.way == "serial" else TRIES * dying
        return deaths > RESTARTS

    # ------------------------------------------------------------------ counts

    def _fed(self, now: Account) -> tuple[int, ...]:
        return self._scenario.numbers[: now.given]

    def _counts(self, now: Account) -> Iterator[str]:
        summary = now.summary
        if summary is None:
            if now.through:
                yield "there is no summary"
            return
        yield from self._taken(now, summary)
        if now.through and summary.not_started:
            yield f"{summary.not_started} are not started in a start that was not stopped"
        if not self._scenario.distinct and summary.duplicates:
            yield f"{summary.duplicates} duplicates although deduplicate is False"
        if now.given is None:
            return
        if now.through:
            yield from self._of_a_whole_start(now, summary)
        if self._scenario.distinct and self._kept:
            yield from self._beside_the_outcomes(now, summary)

    def _taken(self, now: Account, summary: Summary) -> Iterator[str]:
        if now.given is None:
            if summary.taken > len(self._scenario.numbers):
                yield f"{summary.taken} tasks are counted, and there were {len(self._scenario.numbers)}"
        # Between the answer of the input and its taking, a signal may end both.
        elif summary.taken not in ((now.given,) if now.through else (now.given - 1, now.given)):
            yield f"{now.given} tasks were given, and {summary.taken} are in a count: {summary}"

    def _of_a_whole_start(self, now: Account, summary: Summary) -> Iterator[str]:
        """Every task is a repeat or has its outcome, and where the oracle is sure it knows which."""
        fed: list[int] = list(self._fed(now))
        again = self._scenario.chain is not None
        if self._scenario.distinct:
            fed = list(dict.fromkeys(fed))
            if not again:
                fed = [number for number in fed if number not in self._last.results]
            if summary.succeeded + summary.failed != len(fed) and (self._kept or now.number == 0):
                yield f"{len(fed)} tasks were to be run: {summary}"
        kinds = [self._fates[number].succeeds for number in fed]
        sure = None not in kinds and not now.kills and not self._others_may_pay(now)
        sure = sure and not self._may_be_late
        if not sure or not (self._kept or now.number == 0):
            return
        if summary.succeeded != kinds.count(True) or summary.failed != kinds.count(False):
            yield f"{kinds.count(True)} were to succeed and {kinds.count(False)} to fail: {summary}"

    def _beside_the_outcomes(self, now: Account, summary: Summary) -> Iterator[str]:
        last = self._last if self._scenario.chain is None else NOTHING
        if self._scenario.chain is not None and not (now.through or now.number == 0):
            return
        results, errors = set(now.results) - set(last.results), set(now.errors)
        if summary.succeeded != len(results):
            yield f"{len(results)} results were added: {summary}"
        if (now.through or not last.errors) and summary.failed != len(errors & set(self._fed(now))):
            yield f"{len(errors)} errors are there: {summary}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 300 else f"{text[:300]}..."
