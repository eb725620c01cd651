"""What a failure means: whether and when the task is tried again, and who is told that it has failed.

a failure ──▶ get_retry_delay ─▶ RetryAfter ─▶ the rule ──▶ seconds, or: this error stands
an error that stands ──▶ process_error
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from typing import Any

from .._call import IDLE, NEVER, Slot
from .._repr import text_of
from .._rules.retry import RetryPolicy
from .._signals import HeldSignals, let_through
from .._task import Attempt, Failure
from .._warning import warn
from ..errors import ConfigurationError, GetRetryDelayError, RetryAfter
from .notes import annotate, caused
from .plan import Plan


class Failing:
    """Asks the hooks and the rule.

    get_retry_delay, process_error: The hooks, or None where nobody overrode them.
    chance: As `random.random`. signals, slot: As of `Run`.
    """

    def __init__(
        self,
        retry: RetryPolicy,
        get_retry_delay: Callable[[Any, BaseException, int], Any] | None,
        process_error: Callable[[Any, BaseException], Any] | None,
        chance: Callable[[], float],
        signals: HeldSignals,
        slot: Slot | None = None,
    ) -> None:
        self._retry = retry
        self._get_retry_delay = get_retry_delay
        self._process_error = process_error
        self._chance = chance
        self._signals = signals
        self._slot: Slot = [IDLE, NEVER] if slot is None else slot
        self._warned = False

    def verdict(self, attempt: Attempt, failure: Failure) -> tuple[float | None, BaseException]:
        """Seconds until the next attempt, or None; and the error that stands then."""
        number = attempt.number
        if number > self._retry.max_retries or not issubclass(failure.kind, Exception):
            return None, failure.error
        said = _retry_after(failure)
        asked: float | bool | None = None if said is None else said.seconds
        if self._get_retry_delay is not None:
            try:
                answer = self._called(
                    self._get_retry_delay, attempt.index, attempt.task, failure.error, number
                )
                asked = _checked(answer, asked)
            except Exception as error:
                let_through(error)
                if error.__context__ is None:
                    error.__context__ = failure.error
                return None, caused(GetRetryDelayError(attempt.task, text_of(error)), error)
        if asked is False:
            return None, failure.error
        if asked is not None:
            return asked, failure.error
        return self._retry.delay(failure, number, self._chance), failure.error

    def pause(self, failure: Failure) -> RetryAfter | None:
        """What holds back others than its own task, too; None: it says nothing of them."""
        asked = _retry_after(failure)
        return asked if asked is not None and asked.holds_others else None

    def failed(self, index: int, task: Any, error: BaseException) -> None:
        """It has failed for good, and that is recorded. What the hook raises is a note on the error."""
        if self._process_error is None:
            return
        try:
            self._called(self._process_error, index, task, error)
        except Exception as raised:
            let_through(raised)
            annotate(error, f"task_manager: process_error raised {text_of(raised)}")
            if not self._warned:
                self._warned = True
                warn(
                    f"process_error raised {text_of(raised)}; the task keeps its error, and the run "
                    "goes on. There is one such warning in a run"
                )

    def _called(self, hook: Callable[..., Any], index: int, *args: Any) -> Any:
        """Call a hook, which may end this process: the slot tells for which task."""
        before = self._slot[0], self._slot[1]
        self._slot[0] = index
        self._slot[1] = 0.0
        try:
            return self._signals.through(hook, *args)
        finally:
            self._slot[1] = NEVER
            self._slot[0], self._slot[1] = before


def failing_of(plan: Plan, signals: HeldSignals) -> Failing:
    """As the plan has the hooks and the rule."""
    return Failing(
        plan.retry,
        plan.get_retry_delay,
        plan.process_error,
        random.random,
        signals,
        plan.orders.slot,
    )


def _retry_after(failure: Failure) -> RetryAfter | None:
    """The error, where it is one. By its type: an error may refuse to be asked for its class."""
    error = failure.error
    return error if issubclass(type(error), RetryAfter) else None  # type: ignore[return-value]


def _checked(answer: Any, usual: float | bool | None) -> float | bool | None:
    """What a get_retry_delay has answered. usual: Where it leaves that to us."""
    if answer is None:
        return usual
    if answer is False:
        return False
    number = isinstance(answer, int | float) and not isinstance(answer, bool)
    if not number or not 0 <= answer <= sys.float_info.max:
        raise ConfigurationError(
            "get_retry_delay must answer with None, False or a number of seconds from 0 up; "
            f"got {answer!r}"
        )
    return float(answer)
