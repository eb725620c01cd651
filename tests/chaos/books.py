"""Compares what came of a start with the oracle: every difference is a fault, told in a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from task_manager import Summary, TransportError

from .account import LIMITS, NOTHING, RAISED, TWICE, Account
from .oracle import Error, Fate, Value, fates
from .plan import Scenario
from .told import faults_of_stream

DEATHS = ("WorkerDiedError", "StageDiedError")
RESTARTS = 3  # of the stages of a chain, in one start
SET_UPS = 3  # in a row whose process dies, until that is the end
TRIES = 3  # deaths that one task of a stage may cause until it is charged


class Books:
    """All starts of one scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._fates = fates(scenario)
        self._last = NOTHING
        self._done: set[int] = set()  # have succeeded, and are not run again
        self._unknown: set[int] = set()  # may be done: nobody was told
        self._lost = 0  # may be done beside these: a signal came between two steps of a reader

    def check(self, now: Account) -> list[str]:
        """The faults of this start, which comes after those that were checked before."""
        found = [
            *now.twice,
            *self._raises(now),
            *self._reasons(now),
            *self._outcomes(now),
            *self._counts(now),
        ]
        if again := sorted(now.called & self._done):
            found.append(f"tasks {again} are done, and were called once more")
        if now.reading is not None:
            found += faults_of_stream(self._scenario, self._last, now, self._done)
        self._note(now)
        return [f"start {now.number}: {fault}" for fault in found]

    def go_on(self, done: set[int]) -> None:
        """What an earlier script has left in the journal."""
        self._done |= done

    def _kept(self, now: Account) -> bool:
        """What came of this start is in the dicts after it."""
        return self._scenario.stages[-1].keep_results if now.reading is None else now.reading.kept

    def _note(self, now: Account) -> None:
        """What the next start is to do with it."""
        self._last = now
        if not self._scenario.remembers:
            return
        self._done |= set(now.results) | set(now.told_results)
        if self._kept(now):
            return
        if now.reading is None or (self._scenario.journal and not now.through):
            self._unknown |= set(self._scenario.numbers)
        elif not now.undisturbed:
            self._lost += len(now.stopped)

    # ------------------------------------------------------------------ what was raised

    def _raises(self, now: Account) -> Iterator[str]:
        scenario = self._scenario
        usual = self._usual(now)
        first = now.raised[0] if now.raised else None
        if now.stopped:
            if first is None and not ("alarm" in now.stopped and scenario.may_lose_an_alarm):
                yield f"{', '.join(now.stopped)} came, and the start went on to its end"
            elif first not in (None, *usual, *(RAISED[name] for name in now.stopped)):
                yield f"{first} was raised, and not what the handler of {now.stopped} raises"
        elif first in (None, *usual) and self._may_be_given_up(now):
            return
        elif first not in usual and not (scenario.feed == "frontier" and first and "mutated" in first):
            yield f"{first} was raised instead of {usual[0]}"

    def _usual(self, now: Account) -> list[str | None]:
        """What may be raised out of it, if no signal comes."""
        scenario = self._scenario
        broken: list[str | None] = ["InputBroke"] if scenario.feed == "broken" else [None]
        usual = ["HookBroke"] if any(stage.complains for stage in scenario.stages) else broken
        if now.left and now.reading is not None and now.reading.leave in ("raise", "throw"):
            return usual if usual == ["HookBroke"] else ["BodyBroke"]
        if now.ended_early:
            usual = [*usual, *broken, None]
        killed_there = now.kills >= SET_UPS and any(stage.state for stage in scenario.stages)
        if killed_there or any(stage.state_breaks for stage in scenario.stages):
            usual = [*usual, "WorkerStartError"]
        return usual

    def _reasons(self, now: Account) -> Iterator[str]:
        """Whether it may have ended early for what it says."""
        stages = self._scenario.stages
        match now.reason:
            case "stop()" | "stop(), called twice":
                possible = self._scenario.may_stop
            case "its reader left the stream":
                possible = now.left or (now.reading is not None and bool(now.stopped))
            case "TooManyFailures" | "DeadlineExceeded" as name:
                possible = any(getattr(stage, LIMITS[name]) is not None for stage in stages)
            case _ if now.hook_hides_reason:
                ended = now.left or now.stopped or self._scenario.may_stop
                possible = bool(ended) or any(stage.limited for stage in stages)
            case _:
                return
        is_last = now.number >= len(self._scenario.starts) - 1
        if now.reason in LIMITS and self._scenario.journal and is_last:
            possible = False  # the last managers have no limits
        if not possible:
            yield f"it says that it ended early for {now.reason}"

    # ------------------------------------------------------------------ results and errors

    def _outcomes(self, now: Account) -> Iterator[str]:
        if both := sorted(set(now.results) & set(now.errors)):
            yield f"tasks {both} have a result and an error"
        if not (self._kept(now) or self._last.results or self._last.errors) and (
            now.results or now.errors
        ):
            yield "outcomes are kept although keep_results is False"
        charged = []
        for number, outcome, well in self._all_outcomes(now):
            fate = self._fates[number]
            fitting = fate.fitting(outcome)
            if fitting is not None and isinstance(fitting, Value) == well:
                continue
            if not well and self._is_out_of_a_file(outcome, fate):
                continue
            if not well and self._may_be_charged(outcome):
                charged.append((number, outcome))
            else:
                yield f"task {number} has {_short(outcome)}, which is none of {_short(fate.outcomes)}"
        died = {number for number, outcome in charged if not isinstance(outcome, TimeoutError)}
        if len(died) > now.kills and not self._others_may_pay(now):
            yield f"tasks {sorted(died)} are charged for {now.kills} kills"
        yield from self._missing(now)
        first = now.number == 0 and self._scenario.distinct and self._kept(now)
        order = [number for number in dict.fromkeys(self._scenario.numbers) if number in now.results]
        if first and order != list(now.results):
            yield f"results are not in the order in which the tasks were taken: {list(now.results)}"

    @staticmethod
    def _all_outcomes(now: Account) -> Iterator[tuple[int, Any, bool]]:
        """Number, outcome, and whether it is there as a result."""
        for outcomes, well in (
            (now.results, True),
            (now.told_results, True),
            (now.errors, False),
            (now.told_errors, False),
        ):
            yield from ((number, outcome, well) for number, outcome in outcomes.items())

    def _missing(self, now: Account) -> Iterator[str]:
        done = set(now.results) | set(now.errors)
        if self._kept(now):
            if lost := sorted((set(self._last.results) | set(self._last.errors)) - done):
                yield f"tasks {lost} had an outcome before, and have none now"
        if not now.through or now.given is None:
            return
        missing: set[int] = set()
        if now.reading is not None:
            done = self._done | set(now.told)
            missing = set(self._fed(now)) - done - self._unknown
        elif self._scenario.journal:
            missing = set(self._fed(now)) - done
        elif self._kept(now):
            missing = set(self._fed(now)) - done - self._done - self._unknown
        if len(missing) > self._lost:
            yield f"tasks {sorted(missing)} have no outcome"

    def _is_out_of_a_file(self, outcome: Any, fate: Fate) -> bool:
        """An error that cannot be made again of what the journal has."""
        if not self._scenario.journal or type(outcome) is not TransportError:
            return False
        return any(isinstance(one, Error) and one.type_name in str(outcome) for one in fate.outcomes)

    def _may_be_charged(self, outcome: Any) -> bool:
        kind = type(outcome).__name__
        return kind in DEATHS or (kind == "TaskTimeoutError" and self._may_be_late)

    @property
    def _may_be_late(self) -> bool:
        """Time goes on for who is stopped."""
        limited = any(stage.timeout for stage in self._scenario.stages)
        return limited and self._scenario.family == "freeze"

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
        if self._scenario.distinct and self._kept(now):
            yield from self._beside_the_outcomes(now, summary)

    def _taken(self, now: Account, summary: Summary) -> Iterator[str]:
        if now.given is None:
            if summary.taken > len(self._scenario.numbers):
                yield f"{summary.taken} tasks are counted, and there were {len(self._scenario.numbers)}"
        # Between the answer of the input and its taking, a signal may end both.
        elif not now.given - (now.reason == TWICE or not now.undisturbed) <= summary.taken <= now.given:
            yield f"{now.given} tasks were given, and {summary.taken} are in a count: {summary}"

    def _of_a_whole_start(self, now: Account, summary: Summary) -> Iterator[str]:
        """Every task is a repeat or has its outcome, and where the oracle is sure it knows which."""
        fed: list[int] = list(self._fed(now))
        if self._scenario.distinct:
            fed = [number for number in dict.fromkeys(fed) if number not in self._done]
            least = len(set(fed) - self._unknown) - self._lost
            if not least <= summary.succeeded + summary.failed <= len(fed):
                yield f"{len(fed)} tasks were to be run: {summary}"
        kinds = [self._fates[number].succeeds for number in fed]
        sure = None not in kinds and not now.kills and not self._others_may_pay(now)
        if not sure or self._may_be_late or self._unknown or self._lost:
            return
        if summary.succeeded != kinds.count(True) or summary.failed != kinds.count(False):
            yield f"{kinds.count(True)} were to succeed and {kinds.count(False)} to fail: {summary}"

    def _beside_the_outcomes(self, now: Account, summary: Summary) -> Iterator[str]:
        last = self._last if self._scenario.remembers else NOTHING
        if not self._scenario.remembers and not (now.through or now.number == 0):
            return
        # An error stays as it was kept where a later stream, which kept nothing, has brought a result.
        before, errors = set(last.results), set(now.errors) - self._done
        if self._scenario.journal:
            if self._unknown or not (now.through or now.number == 0):
                return
            before = self._done
        results = set(now.results) - before
        if summary.succeeded != len(results):
            yield f"{len(results)} results were added: {summary}"
        if (now.through or not last.errors) and summary.failed != len(errors & set(self._fed(now))):
            yield f"{len(errors)} errors are there: {summary}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 300 else f"{text[:300]}..."
