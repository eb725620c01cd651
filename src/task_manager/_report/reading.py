"""What the report asks of a journal: its counts, its runs and whether one goes on, its errors by kind.

However large the journal is, little of it is held: SQLite counts, and errors are taken one by one.
"""

from __future__ import annotations

import platform
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from .._journal.schema import DONE, FAILED, PASSED, STATES
from .._platform import is_alive
from .file import JournalFile
from .rows import ERROR, REST, SHORT, cell_columns, rows_of
from .seen import (
    Group,
    RunSeen,
    Seen,
    TaskSeen,
    counts_of,
    functions_of,
    number,
    parsed,
    text,
    whole,
)

NOW = 10.0  # seconds that the rate "now" is of
LOOKS = 10  # at a journal whose runs begin and end all the time
RECENT = 60.0  # seconds in which a run that goes on has recorded something, where nothing else is known
UNENDED = 10  # runs of which no end is recorded, and whose outcomes are counted, the last one included
MOST_GROUPS = 1000  # beyond, errors are of "other kinds"
OTHERS = ("other kinds", "")


def seen_in(file: JournalFile, groups: int | None, first: int, slowest: int, runs: int) -> Seen:
    """What is shown of a journal.

    groups: Of errors, at most; None: all. first: Tasks of each. slowest, runs: How many.
    """
    for _ in range(LOOKS):
        seen = file.look(lambda connection: _seen(connection, groups, first, slowest, runs))
        last = seen.last
        if last is None or last.ended is not None:
            break
        if _goes_on(last, file):
            last = replace(last, going=True)
            return replace(seen, runs=(*seen.runs[:-1], last), rate_now=_rate_now(seen, last))
        # Nobody has the lock, and there is no end: it was killed, unless it has ended since the look.
        if file.look(_last_without_end) == last.run:
            break
    return seen


def _goes_on(run: RunSeen, file: JournalFile) -> bool:
    """Whether a run without an end goes on, or was killed.

    Its lock tells. Where that cannot be asked, there is the number of its process, which may be
    another's by now; and if that is of another machine, the time of what was recorded last.
    """
    going = file.is_locked()
    if going is None and run.pid is not None and run.host == platform.node():
        going = is_alive(run.pid)
    if going is None:
        going = abs(time.time() - (run.last_at or run.began or 0.0)) < RECENT
    return going


def _last_without_end(connection: sqlite3.Connection) -> int | None:
    """The number of the last run; None where it has an end."""
    found = connection.execute("SELECT run, ended FROM runs ORDER BY run DESC LIMIT 1").fetchone()
    return None if found is None or number(found[1]) is not None else whole(found[0])


def _seen(
    connection: sqlite3.Connection, groups: int | None, first: int, slowest: int, runs: int
) -> Seen:
    now = time.time()
    ask = connection.execute
    meta = dict(ask("SELECT name, value FROM meta LIMIT 1000").fetchall())
    chain = str(meta.get("chain")) == "1"
    shown = [
        _run(row)
        for row in ask(
            "SELECT run, began, ended, mode, workers, total, pid, host, counts, ended_early"
            " FROM runs ORDER BY run DESC LIMIT ?",
            (runs,),
        )
    ][::-1]
    counted, counts = _counts(connection, shown, now)
    last = counted[-1] if counted else None
    found, in_all = _groups(connection, groups, first)
    return Seen(
        functions=functions_of(meta.get("functions")),
        chain=chain,
        codec=text(meta.get("codec")),
        made=number(parsed(str(meta.get("made")))),
        now=now,
        tasks=counts["tasks"],
        counts={state: counts[f"state {state}"] for state in STATES},
        stages=_stages(connection) if chain else {},
        runs=tuple(counted),
        runs_in_all=whole(ask("SELECT count(*) FROM runs").fetchone()[0]) or 0,
        rate=_rate(last),
        recent=counts["now"],
        slowest=_slowest(connection, slowest),
        groups=found,
        groups_in_all=in_all,
    )


def _slowest(connection: sqlite3.Connection, most: int) -> tuple[TaskSeen, ...]:
    if not most:
        return ()
    rows = connection.execute(
        f"SELECT t.rowid, {cell_columns(SHORT)}, {REST} FROM tasks t"
        " WHERE t.seconds IS NOT NULL ORDER BY t.seconds DESC LIMIT ?",
        (most,),
    )
    return tuple(rows_of(rows))


def _run(row: tuple[Any, ...]) -> RunSeen:
    run, began, ended, mode, workers, total, pid, host, counts, ended_early = row
    return RunSeen(
        run=whole(run) or 0,
        began=number(began),
        ended=number(ended),
        mode=text(mode),
        workers=whole(workers),
        total=whole(total),
        pid=whole(pid),
        host=text(host),
        counts=counts_of(counts),
        ended_early=text(ended_early) or None,
    )


def _counts(
    connection: sqlite3.Connection, runs: list[RunSeen], now: float
) -> tuple[list[RunSeen], dict[str, int]]:
    """All counts in one pass: of the states, and of the outcomes of runs without a summary."""
    columns = {"tasks": "count(*)"}
    columns |= {f"state {state}": f"sum(state = {state})" for state in STATES}
    unended = [run for run in runs if run.ended is None or run is runs[-1]][-UNENDED:]
    last = unended[-1].run if unended else 0
    columns["now"] = f"sum(run = {last} AND state IN ({DONE}, {FAILED}) AND at > {now - NOW!r})"
    for run in unended:
        columns[f"done {run.run}"] = f"sum(run = {run.run} AND state = {DONE})"
        columns[f"failed {run.run}"] = f"sum(run = {run.run} AND state = {FAILED})"
        columns[f"at {run.run}"] = f"max(CASE WHEN run = {run.run} THEN at END)"
    row = connection.execute(f"SELECT {', '.join(columns.values())} FROM tasks").fetchone()
    found = dict(zip(columns, row, strict=True))
    counted = [
        replace(
            run,
            done=whole(found[f"done {run.run}"]) or 0,
            # What failed in an earlier run is run again by each later one.
            failed=(whole(found[f"failed {run.run}"]) or 0) if run is runs[-1] else None,
            last_at=number(found[f"at {run.run}"]),
            going=False if run.ended is None else None,
        )
        if run in unended
        else replace(run, going=False if run.ended is None else None)
        for run in runs
    ]
    return counted, {name: whole(value) or 0 for name, value in found.items()}


def _stages(connection: sqlite3.Connection) -> dict[tuple[int, int], int]:
    rows = connection.execute(
        f"SELECT state, stage, count(*) FROM tasks WHERE state IN ({FAILED}, {PASSED})"
        " GROUP BY state, stage LIMIT 1000"
    )
    return {(state, whole(stage) or 0): count for state, stage, count in rows}


def _rate(run: RunSeen | None) -> float | None:
    """Outcomes a second of a run, as far as it is known."""
    if run is None or run.began is None or run.until is None or run.until <= run.began:
        return None
    by_summary = [number(run.counts.get(name)) for name in ("succeeded", "failed")]
    if None not in by_summary:
        outcomes = sum(count for count in by_summary if count)
    else:
        outcomes = (run.done or 0) + (run.failed or 0)
    return outcomes / (run.until - run.began)


def _rate_now(seen: Seen, run: RunSeen) -> float | None:
    if run.began is None or seen.now <= run.began:
        return None
    return seen.recent / min(NOW, seen.now - run.began)


def _groups(
    connection: sqlite3.Connection, most: int | None, first: int
) -> tuple[tuple[Group, ...], int]:
    """The errors by type and place, in one pass over them; then the first tasks of what is shown."""
    groups: dict[tuple[str, str], list[int]] = {}  # how many, the last one, and the first ones
    for rowid, kind, place in connection.execute(
        f"SELECT e.id, substr(e.kind, 1, {SHORT}), substr(e.place, 1, {SHORT}) FROM errors e"
        f" CROSS JOIN tasks t ON t.id = e.id WHERE t.state = {FAILED} ORDER BY e.id"
    ):
        key = text(kind), text(place)
        if key not in groups and len(groups) >= MOST_GROUPS:
            key = OTHERS
        group = groups.setdefault(key, [0, 0])
        group[0] += 1
        group[1] = rowid
        if len(group) < 2 + first:
            group.append(rowid)
    shown = sorted(groups.items(), key=lambda item: -item[1][0])[:most]
    found = tuple(
        Group(kind, place, count, tuple(_by_id(connection, ids)), last)
        for (kind, place), (count, last, *ids) in shown
    )
    return found, len(groups)


def _by_id(connection: sqlite3.Connection, ids: list[int]) -> Iterator[TaskSeen]:
    for one in ids:
        yield from rows_of(
            connection.execute(
                f"SELECT t.rowid, {cell_columns(SHORT)}, {REST}, {ERROR}"
                " FROM tasks t LEFT JOIN errors e ON e.id = t.id WHERE t.id = ?",
                (one,),
            )
        )
