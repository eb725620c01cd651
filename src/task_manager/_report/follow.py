"""--follow: what a running script writes, as it comes, until its run ends."""

from __future__ import annotations

import time
from collections.abc import Callable

from .._bars.lines import EVERY, rate
from .._journal.schema import DONE, FAILED, STARTED
from .screen import Screen
from .seen import Seen
from .text import ending, moment, time_left

DRAWN_EVERY = 1.0  # seconds from a look to the next one, in a terminal
SHARE = 10  # looks take one part in so many of the time, however large the journal is

Draw = Callable[[Seen, bool], list[str]]


def follow(
    look: Callable[[], Seen],
    draw: Draw,
    screen: Screen,
    every: float | None,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Show what `look` sees, again and again: the report in a terminal, and otherwise a line.

    draw: The lines of the report; whether it is the short one, for the time until the end.
    every: Seconds from one look to the next; None: as suits.
    """
    every = every or (DRAWN_EVERY if screen.moves else EVERY)
    going = True
    while going:
        began = clock()
        seen = look()
        took = clock() - began
        going = seen.going
        screen.measure()
        if not screen.moves:
            screen.write([line(seen)])
        elif going:
            screen.redraw(draw(seen, True))
        else:
            screen.redraw(draw(seen, False), whole=True)
        if going:
            sleep(max(every - took, took * (SHARE - 1)))


def line(seen: Seen) -> str:
    """How far it has come, in one line."""
    run = seen.last
    if run is None or not seen.going:
        over = "no run has begun" if run is None else f"run {run.run} is over: {ending(run)}"
        return f"{moment(seen.now)}  {over}"
    parts = [f"{seen.counts[DONE]:,} done", f"{seen.counts[FAILED]:,} failed"]
    if seen.counts[STARTED]:
        parts.append(f"{seen.counts[STARTED]:,} started")
    if run.total is not None:
        parts[-1] += f" of {run.total:,}"
    if seen.rate_now:
        parts.append(rate(seen.rate_now))
    left = time_left(seen)
    return f"{moment(seen.now)}  {', '.join([*parts, left] if left else parts)}"
