"""Journals by their schema, without a run: of any size, in any state, and hostile ones."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from task_manager._journal.schema import APPLICATION_ID, FORMAT, TABLES, TASK
from task_manager._platform import is_alive
from task_manager._report.file import JournalFile
from task_manager._report.reading import seen_in
from task_manager._report.seen import Seen

DEATHS_ARE_KNOWN = is_alive(os.getpid()) is not None
"""Whether this system tells if a process lives; if not, a run is taken to go on for a minute."""

BEGAN = 1_800_000_000.0
DONE, FAILED, PASSED, STARTED = 1, 2, 3, 4

Row = tuple[Any, ...]


def task(
    task: Any,
    state: int = DONE,
    *,
    text: str | None = None,
    stage: int | None = None,
    seconds: Any = 0.01,
    run: int = 1,
    at: float = BEGAN + 1,
    attempts: Any = 1,
) -> Row:
    return task, text, state, stage, b"\x80 no value", attempts, seconds, at, run


def error(
    kind: Any = "ValueError", place: Any = "crawl.py:12 in fetch", said: Any = "no", trace: Any = None
) -> Row:
    if trace is None:
        trace = (
            "Traceback (most recent call last):\n"
            f'  File "/home/me/crawl.py", line 12, in fetch\n    raise {kind}\n{kind}: {said}\n'
        )
    return b"\x80 no error", kind, place, said, trace


def run(
    *,
    began: Any = BEGAN,
    ended: Any = BEGAN + 10,
    mode: Any = "thread",
    workers: Any = 20,
    total: Any = None,
    pid: Any = 4242,
    host: Any = "elsewhere",
    counts: Any = None,
    ended_early: Any = None,
) -> Row:
    if isinstance(counts, dict):
        counts = json.dumps(counts)
    return began, ended, mode, workers, total, pid, host, counts, ended_early


def journal(
    path: Path,
    tasks: Iterable[Row] = (),
    errors: dict[int, Row] | None = None,
    runs: Sequence[Row] = (),
    *,
    functions: Any = ("crawl:fetch",),
    chain: int = 0,
    mode: str = "wal",
) -> Path:
    """A journal that was closed in peace. errors: By the id of their tasks, from 1."""
    with closing(opened(path, mode)) as connection:
        fill(connection, tasks, errors, runs, functions=functions, chain=chain)
    return path


def opened(path: Path, mode: str = "wal") -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"PRAGMA journal_mode={mode}")
    return connection


def fill(
    connection: sqlite3.Connection,
    tasks: Iterable[Row] = (),
    errors: dict[int, Row] | None = None,
    runs: Sequence[Row] = (),
    *,
    functions: Any = ("crawl:fetch",),
    chain: int = 0,
) -> None:
    connection.executescript(TABLES)
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={FORMAT}")
    connection.execute("BEGIN")
    meta = {
        "functions": json.dumps(functions),
        "chain": str(chain),
        "codec": "pickle",
        "made": str(BEGAN),
    }
    connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
    connection.executemany(
        f"INSERT INTO tasks({', '.join(TASK)}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        ((number, *row) for number, row in enumerate(tasks, start=1)),
    )
    connection.executemany(
        "INSERT INTO errors VALUES (?, ?, ?, ?, ?, ?)",
        ((number, *row) for number, row in (errors or {}).items()),
    )
    connection.executemany(
        "INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        ((number, *row) for number, row in enumerate(runs, start=1)),
    )
    connection.execute("COMMIT")


WRITER = """
import os, platform, sqlite3, sys, time
sys.path[:0] = [{tests!r}]
from pathlib import Path
from report import journals as j

path = Path({path!r})
connection = j.opened(path)
run = j.run(began=time.time(), ended=None, pid=os.getpid(), host=platform.node(), total=2000)
now = time.time()
j.fill(connection, [j.task(f"task {{n}}", at=now) for n in range(1000)], runs=[run])
lock = sqlite3.connect(f"{{path}}-lock", isolation_level=None, timeout=0)
lock.execute("BEGIN EXCLUSIVE")
"""
"""The first lines of a script that writes a journal as a run does."""


def writer(path: Path, body: str) -> str:
    return WRITER.format(tests=str(Path(__file__).parent.parent), path=str(path)) + body


def seen_beside(path: Path) -> dict[str, tuple[int, bytes]]:
    """All that lies in its folder, but for -shm's content, which readers mark."""
    found = {}
    for one in sorted(path.parent.iterdir()):
        if one.is_file():
            found[one.name] = (
                one.stat().st_mode,
                b"" if one.name.endswith("-shm") else one.read_bytes(),
            )
    return found


def look(path: Path) -> Seen:
    """What is seen of it."""
    with JournalFile(path) as file:
        return seen_in(file, None, 3, 3, 10)
