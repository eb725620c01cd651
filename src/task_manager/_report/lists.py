"""The lists: tasks one a line, rows of a table, and the document for programs.

--tasks is for a shell, and --csv may be opened in a spreadsheet: both show a task as a text in which
each line break and control is an escape.  --json is exact.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from .._journal.schema import STATES
from .._repr import one_line
from .seen import Cell, Group, RunSeen, Seen, TaskSeen
from .text import moment

DOCUMENT = 1  # the format of the document: raised where a field changes its meaning or goes
COLUMNS = ("id", "task", "state", "stage", "attempts", "seconds", "at", "run", "kind", "place", "said")
FORMULAS = tuple("=+-@\t\r'＝＋－＠")


def bare(task: Cell) -> str:
    """A task by itself, in one line: a text without quotes."""
    return _escaped(str(task.value))


def _escaped(text: str) -> str:
    return one_line(text.replace("\r", "\\r").replace("\n", "\\n"))


def tasks_as_lines(pieces: Iterable[list[Cell]]) -> Iterator[str]:
    """The tasks, one a line."""
    for piece in pieces:
        yield "".join([f"{bare(task)}\n" for task in piece])


def tasks_as_csv(pieces: Iterable[list[TaskSeen]]) -> Iterator[str]:
    """Rows with a head, one a line.

    A text that a spreadsheet would take for a formula gets an apostrophe before it, and so does one that
    begins with an apostrophe: who takes one away has the text again.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    yield out.getvalue()
    for piece in pieces:
        out.seek(0)
        out.truncate()
        for task in piece:
            error = task.error
            writer.writerow(
                (
                    task.id,
                    _field(task.task.value),
                    STATES.get(task.state, "unknown"),
                    task.stage,
                    task.attempts,
                    None if task.seconds is None else f"{task.seconds:.6f}",
                    None if task.at is None else moment(task.at),
                    task.run,
                    *(
                        (None,) * 3
                        if error is None
                        else map(_field, (error.kind, error.place, error.said))
                    ),
                )
            )
        yield out.getvalue()


def _field(value: Any) -> Any:
    if type(value) is not str:
        return str(value) if value is None else value
    value = _escaped(value)
    return f"'{value}" if value.startswith(FORMULAS) else value


def as_json(path: Path, seen: Seen, pieces: Iterable[list[TaskSeen]] | None) -> Iterator[str]:
    """One document, in ASCII, with the tasks at its end, one a line, where they are wanted."""
    document = json.dumps(_document(path, seen), indent=2)
    if pieces is None:
        yield f"{document}\n"
        return
    yield document.removesuffix("\n}") + ',\n  "tasks": ['
    comma = ""
    for piece in pieces:
        rows = []
        for task in piece:
            rows.append(f"{comma}\n    {json.dumps(_task(task))}")
            comma = ","
        yield "".join(rows)
    yield "\n  ]\n}\n"


def _document(path: Path, seen: Seen) -> dict[str, Any]:
    return {
        "format": DOCUMENT,
        "kind": "journal",
        "file": str(path),
        "seen": seen.now,
        "chain": seen.chain,
        "functions": list(seen.functions),
        "codec": seen.codec,
        "made": seen.made,
        "going": seen.going,
        "counts": {
            "tasks": seen.tasks,
            **{word: seen.counts[state] for state, word in sorted(STATES.items())},
        },
        "stages": [
            {"state": STATES.get(state, "unknown"), "stage": stage, "count": count}
            for (state, stage), count in sorted(seen.stages.items())
        ],
        "runs_in_all": seen.runs_in_all,
        "runs": [_run(run) for run in seen.runs],
        "rate": {"last_run": seen.rate, "now": seen.rate_now},
        "slowest": [_task(task) for task in seen.slowest],
        "errors_in_all": seen.groups_in_all,
        "errors": [_group(group) for group in seen.groups],
    }


def _run(run: RunSeen) -> dict[str, Any]:
    if run.going:
        how = "going"
    elif run.ended is None:
        how = "killed"
    else:
        how = "ended" if run.ended_early is None else "ended early"
    return {
        "run": run.run,
        "began": run.began,
        "ended": run.ended,
        "how": how,
        "ended_early": run.ended_early,
        "mode": run.mode,
        "workers": run.workers,
        "total": run.total,
        "pid": run.pid,
        "host": run.host,
        "counts": run.counts,
        "done": run.done,
        "failed": run.failed,
        "last_at": run.last_at,
    }


def _group(group: Group) -> dict[str, Any]:
    error = group.first[0].error if group.first else None
    return {
        "kind": group.kind,
        "place": group.place,
        "count": group.count,
        "traceback": "" if error is None else error.traceback,
        "first": [
            {"id": task.id, **_cell(task.task), "said": task.error.said if task.error else ""}
            for task in group.first
        ],
    }


def _task(task: TaskSeen) -> dict[str, Any]:
    error = task.error
    return {
        "id": task.id,
        **_cell(task.task),
        "state": STATES.get(task.state, "unknown"),
        "stage": task.stage,
        "attempts": task.attempts,
        "seconds": task.seconds,
        "at": task.at,
        "run": task.run,
        "error": None
        if error is None
        else {
            "kind": error.kind,
            "place": error.place,
            "said": error.said,
            "traceback": error.traceback,
        },
    }


def _cell(task: Cell) -> dict[str, Any]:
    return {"task": task.value, "plain": task.plain}
