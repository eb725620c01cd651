"""When attempts begin, as the library says, and whether a window has more of them than it may."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from task_manager.events import Attempted

from .plan import Scenario
from .states import write


class Begins:
    """An observer of one manager, that writes down when calls have begun."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def observe(self, event: Any) -> None:
        if isinstance(event, Attempted):
            # A stage has a process of its own, and one that replaces it begins anew.
            write(self._file, " ".join(map(str, (os.getpid(), *event.began))))


def file_of(folder: Path, place: int, made: int) -> Path:
    """made: How many managers there were before at this place: each has a limit of its own."""
    return folder / f"begins{place + 1}-{made}"


def faults_of_begins(scenario: Scenario, folder: Path) -> Iterator[str]:
    for place, stage in enumerate(scenario.stages):
        if stage.rate is None or stage.keyed:
            continue
        attempts, seconds = stage.rate
        for file in folder.glob(f"begins{place + 1}-*"):
            for times in _by_process(file):
                worst = min(
                    (times[n + attempts] - times[n] for n in range(len(times) - attempts)),
                    default=seconds,
                )
                if worst < seconds:
                    yield f"stage {place + 1}: {attempts + 1} attempts began in {worst} s: {stage.rate}"


def _by_process(file: Path) -> list[list[float]]:
    times: dict[str, list[float]] = defaultdict(list)
    for line in file.read_text().splitlines():
        process, *began = line.split()
        times[process] += map(float, began)
    return [sorted(began) for began in times.values()]
