"""A chain in process mode: rounds, until one ends with all its stages alive."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any

from .._processes.child import FailedStarts, failed_starts_error
from .._run.source import Source
from .._signals import HeldSignals
from ..manager import TaskManager, runs_of
from .book import Book
from .deaths import Deaths
from .plans import plans_of
from .round import Round


class InOrder(AbstractContextManager[None, bool | None]):
    """Enters contexts in order, and leaves them in the same order: the bar that was first ends first."""

    def __init__(self, contexts: Sequence[AbstractContextManager[None, bool | None]]) -> None:
        self._contexts = contexts
        self._entered: list[AbstractContextManager[None, bool | None]] = []

    def __enter__(self) -> None:
        try:
            for context in self._contexts:
                context.__enter__()
                self._entered.append(context)
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise

    def __exit__(self, *error: Any) -> bool | None:
        last_to_first = ExitStack()
        for context in reversed(self._entered):
            last_to_first.push(context)
        return last_to_first.__exit__(*error)


def run_in_processes(stages: Sequence[TaskManager], initial: Source, book: Book) -> BaseException | None:
    """Let the initial tasks through all stages; the first error that a stage's handle_error raised."""
    plans = plans_of(stages)
    recorders = [runs_of(stage).recorder(plan) for stage, plan in zip(stages, plans, strict=True)]
    first_error: BaseException | None = None
    signals = HeldSignals()
    with ExitStack() as stack:
        stack.enter_context(signals.held())
        runs = [
            runs_of(stage).made_elsewhere(plan, recorder, initial.remaining)
            for stage, plan, recorder in zip(stages, plans, recorders, strict=True)
        ]
        stack.enter_context(InOrder(runs))
        deaths = Deaths()
        indices: list[dict[int, int]] = [{} for _ in stages]
        failed_starts = FailedStarts()
        first = 0
        while first < len(stages):
            round_ = Round(stages, recorders, book, initial, first, deaths, indices, signals)
            died = round_.run()
            if died is not None:
                if failed_starts.too_many(died):
                    raise failed_starts_error(f"processes of stage {died.number + 1}", died.exitcode)
                round_.charge(died)
            first_error = first_error or round_.error
            if died is None:
                break
            if deaths.too_many:
                round_.give_up(died)
                first = died.number + 1
                if not initial.ended:  # its length is unknown, and nobody is left to take the rest
                    first_error = first_error or died.error
    return first_error
