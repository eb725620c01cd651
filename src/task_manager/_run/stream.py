"""A run that yields its outcomes: it goes on while its reader asks for the next one.

     reader asks ─▶ turns of the pump, signals held ─▶ outcomes of a turn ─▶ reader, one by one

Between two steps nothing is held back: what a signal's handler raises in the reader's code is the
reader's.  Who leaves has the run stopped as by `stop()`: what runs is finished, nothing more begins.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from dataclasses import replace
from itertools import repeat
from operator import length_hint
from typing import Any

from .._outcome import Outcome
from .._platform import end_a_copy, this_process
from .._signals import HeldSignals
from ..events import Event, Failed, Succeeded
from .plan import Plan
from .pump import turn, turn_awaiting
from .results import Keeps
from .runs import Flow, Runs
from .source import Source

LEFT = "its reader left the stream"


class Untold:
    """The outcomes that are recorded, and that the reader does not have yet. An observer of the run."""

    def __init__(self) -> None:
        self._events: deque[Succeeded | Failed] = deque()
        self._indices: list[int] = []  # of the event whose outcomes are being told
        self._rest: Iterator[Any] = iter(())

    def observe(self, event: Event) -> None:
        match event:
            case Succeeded() | Failed():
                self._events.append(event)

    def __bool__(self) -> bool:
        return bool(self._events)

    def tell(self) -> Generator[Outcome[Any, Any], None, None]:
        """One by one."""
        while self._events:
            match self._events.popleft():
                case Succeeded(indices, tasks, results, seconds, attempts):
                    self._indices, self._rest = indices, iter(tasks)
                    yield from map(Outcome, self._rest, results, repeat(None), attempts, seconds)
                    self._indices = []
                case Failed(_, task, error, attempts_made, took):
                    yield Outcome(task, None, error, attempts_made, took)

    def take_back(self) -> list[int]:
        """The indices of those that nobody was told."""
        left = list(self._indices[len(self._indices) - length_hint(self._rest) :])
        for event in self._events:
            match event:
                case Succeeded(indices):
                    left += indices
                case Failed(index):
                    left.append(index)
        self._events.clear()
        self._indices = []
        return left


def stream(
    runs: Runs, plan: Plan, given: Callable[[], Source], keeps: Keeps
) -> Generator[Outcome[Any, Any], None, None]:
    """The outcomes of a run that begins with the first question, in the thread of the reader."""
    home = this_process()
    plan = replace(plan, keeps=keeps)
    signals, untold = HeldSignals(), Untold()
    with signals.held():
        opened = runs.flowing(plan, signals.through(given), signals, told=(untold,), apart=True)
        flow = opened.__enter__()
    try:
        try:
            while not flow.run.over:
                with signals.held():
                    end_a_copy(home)
                    while not (untold or flow.run.over):
                        turn(flow.run, flow.runner, signals, flow.stop, home)
                yield from untold.tell()
        except GeneratorExit:
            if home is not this_process() or sys.is_finalizing():
                raise  # the workers are not ours, or are gone
            flow.stop.ask(LEFT)
            with signals.held():
                while not flow.run.over:
                    turn(flow.run, flow.runner, signals, flow.stop, home)
        flow.run.end()
    except BaseException:
        with signals.held():
            if not opened.__exit__(*sys.exc_info()):
                raise
    else:
        with signals.held():
            opened.__exit__(None, None, None)
            left = flow.stop.reason == LEFT
            if left and not keeps and plan.journal is None:
                runs.give_back(untold.take_back())
            signals.through(runs.conclude, flow.run, plan)
    yield from untold.tell()


async def stream_async(
    runs: Runs, plan: Plan, given: Callable[[], Source], keeps: Keeps
) -> AsyncGenerator[Outcome[Any, Any], None]:
    """The same, in the running event loop."""
    home = this_process()
    plan = replace(plan, keeps=keeps)
    signals, untold = HeldSignals(), Untold()
    with signals.held():
        source = signals.through(given)
        opened = runs.flowing(plan, source, signals, told=(untold,), in_loop=True)
        flow: Flow = opened.__enter__()
    try:
        try:
            while not flow.run.over:
                with signals.held():
                    while not (untold or flow.run.over):
                        await turn_awaiting(flow.run, flow.runner, signals, flow.stop, home)
                for outcome in untold.tell():
                    yield outcome
        except GeneratorExit:
            if home is not this_process():
                raise
            flow.stop.ask(LEFT)
            with signals.held():
                while not flow.run.over:
                    await turn_awaiting(flow.run, flow.runner, signals, flow.stop, home)
        finally:
            with signals.held():
                try:
                    await source.close()
                finally:
                    await flow.runner.close()
        flow.run.end()
    except BaseException:
        with signals.held():
            if not opened.__exit__(*sys.exc_info()):
                raise
    else:
        with signals.held():
            opened.__exit__(None, None, None)
            left = flow.stop.reason == LEFT
            if left and not keeps and plan.journal is None:
                runs.give_back(untold.take_back())
            signals.through(runs.conclude, flow.run, plan)
    for outcome in untold.tell():
        yield outcome
