"""The states of workers: what makes them, whose they are, and what has become of them."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from .plan import Scenario, Stage


class SetUpBroke(Exception):
    """What a set-up raises."""


class MixedUp(Exception):
    """What a call raises that has the state of another worker, or is one too many."""


class State:
    """Belongs to the worker that has made it; each that is made, or cleaned up, leaves a line."""

    def __init__(self, stage: Stage, place: int, folder: Path) -> None:
        self._lines = folder / f"states{place + 1}"
        self._worker = os.getpid(), threading.get_ident()
        self._name = uuid.uuid4().hex
        self._most = stage.most
        self._calls = 0
        write(self._lines, f"made {self._name}")

    def enter(self) -> None:
        """A call begins."""
        here = os.getpid(), threading.get_ident()
        if here != self._worker:
            raise MixedUp(f"called in {here} with the state of {self._worker}")
        self._calls += 1
        if self._most is not None and self._calls > self._most:
            raise MixedUp(f"a worker makes {self._calls} calls, and {self._most} are allowed")

    def clean_up(self) -> None:
        write(self._lines, f"cleaned {self._name}")


def write(file: Path, line: str) -> None:
    """One line at a time, whoever else writes: none is torn."""
    with file.open("a") as lines:
        lines.write(f"{line}\n")


# ------------------------------------------------------------------ set-ups


def maker(stage: Stage, place: int, folder: Path) -> Callable[[], Any] | None:
    """What `worker_state` is given."""
    if not stage.state:
        return None
    kinds = {
        "plain": made,
        "generator": yielded,
        "coroutine": awaited,
        "async generator": awaited_yielded,
    }
    return partial(kinds[stage.state], stage, place, folder)


def made(stage: Stage, place: int, folder: Path) -> State:
    if stage.slow_state:
        time.sleep(stage.slow_state)
    if stage.state_breaks and first_of_all(folder / f"broken{place + 1}"):
        raise SetUpBroke("set-up")
    return State(stage, place, folder)


def yielded(stage: Stage, place: int, folder: Path) -> Iterator[State]:
    state = made(stage, place, folder)
    yield state
    state.clean_up()


async def awaited(stage: Stage, place: int, folder: Path) -> State:
    await asyncio.sleep(0)
    return made(stage, place, folder)


async def awaited_yielded(stage: Stage, place: int, folder: Path) -> AsyncIterator[State]:
    state = made(stage, place, folder)
    yield state
    await asyncio.sleep(0)
    state.clean_up()


def first_of_all(mark: Path) -> bool:
    """Nobody was here before, in whatever process."""
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


# ------------------------------------------------------------------ what has become of them


def faults_of_states(scenario: Scenario, folder: Path) -> Iterator[str]:
    """After the managers have been closed."""
    for place, stage in enumerate(scenario.stages):
        file = folder / f"states{place + 1}"
        lines = file.read_text().splitlines() if file.exists() else []
        times = Counter(lines)
        if again := [line for line in times if times[line] > 1]:
            yield f"stage {place + 1}: more than once: {again}"
        names = {what: {line.split()[1] for line in lines if line.startswith(what)} for what in WHATS}
        if unknown := names["cleaned"] - names["made"]:
            yield f"stage {place + 1}: {sorted(unknown)} are cleaned up, and were not made"
        if not scenario.peaceful:
            continue
        if stage.cleans_up and (left := names["made"] - names["cleaned"]):
            yield f"stage {place + 1}: {len(left)} of {len(names['made'])} states are not cleaned up"
        if len(names["made"]) > (most := _most_states(scenario, stage)):
            yield f"stage {place + 1}: {len(names['made'])} states, and {most} workers at most"


WHATS = ("made", "cleaned")


def _most_states(scenario: Scenario, stage: Stage) -> float:
    if stage.most is not None:
        return float("inf")
    starts = len(scenario.starts)
    if stage.way in ("serial", "async"):
        return starts
    # A manager keeps its workers; a chain, and a manager that is made anew, has others at each start.
    return stage.workers * (starts if scenario.chain or scenario.journal else 1)
