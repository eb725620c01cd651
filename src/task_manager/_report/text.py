"""The report for people: lines of text, as wide as what they are written to.

Nothing of a task, an error or a name can tear, forge or colour a line: each goes through `one_line`, and
lines that begin with the file's text are indented.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from .._bars.lines import rate
from .._journal.schema import DONE, FAILED, PASSED, STARTED
from .._repr import one_line, short_repr
from .screen import Screen
from .seen import Cell, Error, Group, RunSeen, Seen, TaskSeen
from .traces import MOST_LINES, lines_of, said, way_to

ROOM = 60  # characters of a task among others


def shown(task: Cell, room: int = 200) -> str:
    """A task as a log shows it: a text with its quotes."""
    if task.plain:
        return short_repr(task.value, room)
    found = one_line(str(task.value))
    return found if len(found) <= room else f"{found[: room - 3]}..."


def report(path: Path, seen: Seen, screen: Screen, *, brief: bool = False) -> list[str]:
    """All of it. Tasks are cut to the width of the screen; what is told of runs and errors is whole.

    brief: To be drawn over: without tracebacks, and without a line that is wider than the screen.
    """
    lines = [
        *_head(path, seen, screen),
        *_runs(seen, screen),
        *_rates(seen, screen),
        *_slowest(seen, screen),
        *_errors(seen, screen, brief=brief),
    ]
    del lines[-1]  # it is blank
    return [screen.fit(line) for line in lines] if brief else lines


def _head(path: Path, seen: Seen, screen: Screen) -> Iterator[str]:
    names = " -> ".join(one_line(name) or "?" for name in seen.functions) or "a function without a name"
    what = f"a chain: {names}" if seen.chain else names
    yield f"{screen.bold(one_line(str(path)))}: {seen.tasks:,} task{'s' * (seen.tasks != 1)} of {what}"
    yield ""
    width = max(len(f"{count:,}") for count in seen.counts.values())
    started = "started" if seen.going else "in doubt"
    for state, word, note in (
        (DONE, "done", ""),
        (FAILED, "failed", _by_stage(seen, FAILED)),
        (PASSED, "passed", _by_stage(seen, PASSED)),
        (STARTED, started, "a call may have begun, and no outcome is known"),
    ):
        count = seen.counts[state]
        if not count and state in (PASSED, STARTED):
            continue
        paint = screen.paint(state) if count else str
        yield f"  {word:<8}  {paint(f'{count:>{width},}')}{f'   {note}' if note and count else ''}"
    yield ""


def _by_stage(seen: Seen, state: int) -> str:
    stages = sorted((stage, n) for (which, stage), n in seen.stages.items() if which == state)
    where = "past" if state == PASSED else "in"
    ahead = 0 if state == PASSED else 1
    return ", ".join(f"{n:,} {where} stage {stage + ahead}" for stage, n in stages)


def _runs(seen: Seen, screen: Screen) -> Iterator[str]:
    if not seen.runs:
        yield "no run has begun"
        yield ""
        return
    yield screen.bold("runs")
    earlier = seen.runs_in_all - len(seen.runs)
    if earlier > 0:
        yield f"  {earlier:,} earlier"
    width = len(str(seen.runs[-1].run))
    rows = [_row(run, seen.now) for run in seen.runs]
    lines = [
        f"  {number:>{width}}  {began}  {took:>11}  {how:<19}  {ended}"
        for number, began, took, how, ended in rows
    ]
    if any(screen.fit(line) != line for line in lines):
        for number, began, took, how, ended in rows:
            yield screen.fit(f"  {number:>{width}}  {began}  {took}  {how}")
            yield f"  {'':{width}}  {ended}"
    else:
        yield from lines
    yield ""


def _row(run: RunSeen, now: float) -> tuple[int, str, str, str, str]:
    until = now if run.going else run.until
    took = None if until is None or run.began is None else until - run.began
    workers = "" if not run.workers else f", {run.workers:,} worker{'s' * (run.workers != 1)}"
    how = f"{one_line(run.mode) or '?'}{workers}"
    return run.run, moment(run.began), duration(took), how, ending(run)


def ending(run: RunSeen) -> str:
    """How a run ended, and with what."""
    counts = [run.counts.get("succeeded"), run.counts.get("failed")]
    if None in counts:
        counts = [run.done, run.failed]
    came = ", ".join(
        f"{count:,} {word}"
        for count, word in zip(counts, ("done", "failed"), strict=True)
        if type(count) is int
    )
    how = ""
    if run.going:
        how = f"goes on (pid {run.pid})"
    elif run.ended is None:
        how = "killed, as no end is recorded"
    elif run.ended_early is not None:
        how = f"ended early, {one_line(run.ended_early)}"
    return ": ".join(filter(None, (how, came))) or "ended"


def _rates(seen: Seen, screen: Screen) -> Iterator[str]:
    if seen.last is None or seen.rate is None:
        return
    yield screen.bold("rate")
    yield f"  {rate(seen.rate) if seen.rate else 'nothing'} in run {seen.last.run}"
    if seen.rate_now is not None:
        left = time_left(seen)
        now = rate(seen.rate_now) if seen.rate_now else "nothing"
        yield f"  {now} in the last 10 seconds{f', {left}' if left else ''}"
    yield ""


def time_left(seen: Seen) -> str:
    """As far as it can be told, "about 3 min left"; otherwise ""."""
    run = seen.last
    if run is None or run.total is None or not seen.rate_now:
        return ""
    left = run.total - seen.counts[DONE] - (run.failed or 0)
    return f"about {duration(left / seen.rate_now)} left" if left > 0 else ""


def _slowest(seen: Seen, screen: Screen) -> Iterator[str]:
    if not seen.slowest:
        return
    yield screen.bold("slowest")
    times = [duration(task.seconds) for task in seen.slowest]
    width = max(map(len, times))
    for took, task in zip(times, seen.slowest, strict=True):
        yield screen.fit(f"  {took:>{width}}  {shown(task.task)}")
    yield ""


def _errors(seen: Seen, screen: Screen, *, brief: bool) -> Iterator[str]:
    if not seen.groups:
        return
    yield screen.bold("errors")
    width = max(len(f"{group.count:,}") for group in seen.groups)
    indent = " " * (width + 4)
    for group in seen.groups:
        yield f"  {screen.red(f'{group.count:>{width},}')}  {named(group)}"
        first = ", ".join(shown(task.task, ROOM) for task in group.first)
        yield screen.fit(f"{indent}{first}{', ...' if group.count > len(group.first) else ''}")
        error = group.first[0].error if group.first else None
        if error is not None and not brief:
            yield from (f"{indent}{line}" for line in lines_of(error, MOST_LINES))
    more = seen.groups_in_all - len(seen.groups)
    if more > 0:
        yield f"  and {more:,} more kind{'s' * (more != 1)} of errors: --errors shows all"
    yield ""


def named(group: Group) -> str:
    """The kind of its errors and their place."""
    return f"{one_line(group.kind) or 'an error'}{f' at {one_line(group.place)}' if group.place else ''}"


def all_errors(group: Group, tasks: Iterator[list[TaskSeen]], screen: Screen) -> Iterator[list[str]]:
    """A group whole: each task with what its error says, and each traceback that is another one."""
    yield [screen.bold(f"{named(group)}: {group.count:,} task{'s' * (group.count != 1)}")]
    known: set[tuple[str, ...]] = set()
    for piece in tasks:
        lines = []
        for task in piece:
            error = task.error or Error("", "", "", "")
            lines.append(f"  {shown(task.task)}{_after(task)}")
            way = way_to(error)
            if way in known:
                lines.append(f"    {said(error)}")
                continue
            if len(known) < MOST_WAYS:
                known.add(way)
            lines.extend(f"    {line}" for line in lines_of(error))
        yield lines
    yield [""]


MOST_WAYS = 1000  # tracebacks that are known again


def _after(task: TaskSeen) -> str:
    attempts = task.attempts
    tried = f"after {attempts:,} attempt{'s' * (attempts != 1)}" if attempts is not None else ""
    took = f"{duration(task.seconds)} the last" if task.seconds is not None else ""
    both = ", ".join(filter(None, (tried, took)))
    return f"  ({both})" if both else ""


def moment(at: float | None) -> str:
    """A time in this place: "2026-11-27 09:12:03"."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at)) if at is not None else "?"
    except (ValueError, OverflowError, OSError):  # of a year that no calendar has
        return "?"


def duration(seconds: float | None) -> str:
    """For people: "0.012 s", "12.3 s", "4 min 05 s", "1 h 02 min", "3 d 04 h"."""
    if seconds is None:
        return "?"
    if seconds < 1:
        return f"{max(seconds, 0.0):.3f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    for unit, whole, part, rest in ((3600, 60, "min", "s"), (86400, 3600, "h", "min")):
        if seconds < unit:
            return f"{int(seconds // whole)} {part} {int(seconds % whole // (whole // 60)):02} {rest}"
    return f"{int(seconds // 86400):,} d {int(seconds % 86400 // 3600):02} h"
