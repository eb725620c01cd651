"""Starts the script, kills it at random moments, starts it again; looks at the calls and the journal."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import calls
from .script import WORKERS

LATE = 0.03  # seconds at most between the call that a kill waits for and the kill
LIMIT = 300.0  # seconds after which the script hangs
BATCH = 500  # outcomes that may wait to be written
HELD = 2  # batches that a worker may have
LARGEST = 1000  # calls of a batch


@dataclass
class Story:
    """What happened to a script until it was done.

    calls: That were made. excess: Of these, beyond the first for a task at a stage.
    lost: By kill, the calls that were made and that the journal does not know. inside: Those of them
        that had not ended. late: The longest time, in seconds, from the end of another to the kill.
    """

    mode: str
    tasks: int
    kills: int = 0
    calls: int = 0
    excess: int = 0
    lost: list[int] = field(default_factory=list)
    inside: list[int] = field(default_factory=list)
    late: float = 0.0
    seconds: float = 0.0
    told: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def run(folder: Path, mode: str, tasks: int, kills: int, in_doubt: str, seed: int) -> Story:
    """The whole story of one script. in_doubt: As of a Journal."""
    chance = random.Random(f"{seed} {mode} {in_doubt}")
    story = Story(mode, tasks)
    began = time.monotonic()
    path, journal = folder / "calls", folder / "journal.db"
    stages = 3 if mode.startswith("chain") else 1
    while True:
        before = calls.made(path)
        left = (tasks - _rows(journal)) * stages
        target = before + chance.uniform(0, 1.5 * left / (kills - story.kills + 1))
        started = time.monotonic()
        process = _start(folder, mode, tasks, journal, in_doubt)
        killed = story.kills < kills and _kill(process, path, target, chance)
        now = time.monotonic()
        out, err = process.communicate(timeout=LIMIT)
        if not killed:
            break
        story.kills += 1
        _look(story, path, journal, started, now)
    story.seconds = time.monotonic() - began
    if process.returncode or err:
        story.faults.append(f"it ended with {process.returncode}: {err}")
        return story
    story.told = json.loads(out.splitlines()[-1])
    _judge(story, list(calls.read(path)), in_doubt)
    return story


def _start(folder: Path, mode: str, tasks: int, journal: Path, in_doubt: str) -> subprocess.Popen[str]:
    failing = {} if in_doubt == "error" else {"KILLS_FAILING": "1"}
    here = Path(__file__).parents[1]
    return subprocess.Popen(
        [sys.executable, "-m", "kills.script", mode, str(tasks), str(journal), in_doubt],
        cwd=folder,
        env={
            **os.environ,
            **failing,
            "KILLS_CALLS": str(folder / "calls"),
            "PYTHONPATH": os.pathsep.join([str(here), *filter(None, sys.path)]),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _kill(process: subprocess.Popen[str], path: Path, target: float, chance: random.Random) -> bool:
    """Kill it some time after so many calls; False where it has ended before."""
    deadline = time.monotonic() + LIMIT
    while calls.made(path) < target and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(chance.uniform(0, LATE))
    if process.poll() is not None:
        return False
    process.send_signal(signal.SIGKILL)
    return True


def _look(story: Story, path: Path, journal: Path, started: float, killed: float) -> None:
    """What was called by the start that was killed, and is not in the journal as it lies there."""
    time.sleep(0.1)  # workers end by themselves
    known = _known(journal)
    begun: set[tuple[int, int]] = set()
    ended: dict[tuple[int, int], float] = {}
    for call in calls.read(path):
        one = call.stage, call.number
        if call.at < started or known.get(call.number, 0) > call.stage:
            continue
        if call.ended:
            ended[one] = call.at
        else:
            begun.add(one)
    story.lost.append(len(begun))
    story.inside.append(len(begun - ended.keys()))
    story.late = max([story.late, *(killed - at for at in ended.values())])


def _known(journal: Path) -> dict[int, int]:
    """By task: how many stages of it are in the journal. A manager is one stage."""
    if not journal.exists():
        return {}
    with closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True)) as there:
        rows = there.execute("SELECT task, state, stage FROM tasks").fetchall()
    return {
        task: 99 if state in (1, 2) else (stage or 0)
        for task, state, stage in rows
        if state != 4 or stage
    }


def _rows(journal: Path) -> int:
    """Of how many tasks something is known."""
    if not journal.exists():
        return 0
    with closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True)) as there:
        return int(there.execute("SELECT count(*) FROM tasks").fetchone()[0])


def _judge(story: Story, found: list[calls.Call], in_doubt: str) -> None:
    """What was promised, and is not so."""
    begun = Counter((call.stage, call.number) for call in found if not call.ended)
    again = {one: times - 1 for one, times in begun.items() if times > 1}
    story.calls = sum(begun.values())
    fails = in_doubt != "error"
    story.excess = sum(
        times
        for (stage, number), times in again.items()
        if not (fails and (stage * calls.STAGE + number) % calls.FAILING == 5)
    )
    told = story.told
    if in_doubt == "error" and story.excess:
        story.faults.append(f"calls were made twice: {sorted(again)[:10]}")
    if story.excess > sum(story.lost):
        story.faults.append(f"{story.excess} calls in excess; {sum(story.lost)} were in flight")
    if any(lost > BATCH + WORKERS * HELD * LARGEST for lost in story.lost):
        story.faults.append(f"more was in flight than there is room for: {story.lost}")
    promises = ["right", "counted"]
    # Otherwise what was called and lost is taken by a later start, as a new task; so is what was noted,
    # and given back by a worker without a call, as threads do.
    if in_doubt == "error" and story.mode == "serial":
        promises.append("in_order")
    for promise in promises:
        if not told[promise]:
            story.faults.append(f"not {promise}: {told}")
    if told["results"] + sum(told["errors"].values()) != story.tasks:
        story.faults.append(f"{story.tasks} tasks have not one outcome each: {told}")
    if told["journal"] is not None:
        story.faults.append(f"the journal: {told['journal']}")
    wanted = {"InDoubtError"} if in_doubt == "error" else {"ValueError"}
    if not told["errors"].keys() <= wanted:
        story.faults.append(f"errors: {told['errors']}")
