"""Kills a script with a journal again and again, and says whether each task has one outcome."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from .driver import Story, run
from .script import MODES

IN_DOUBT = ("run", "error")
HEAD = (
    "mode",
    "in doubt",
    "kills",
    "tasks",
    "calls",
    "in excess",
    "in flight",
    "most",
    "late",
    "seconds",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__)
    parser.add_argument(
        "--mode", choices=MODES, action="append", help="several times; all, if not given"
    )
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--in-doubt", choices=IN_DOUBT, action="append", help="both, if not given")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(" | ".join(HEAD), flush=True)
    faults = 0
    for mode in options.mode or MODES:
        for in_doubt in options.in_doubt or IN_DOUBT:
            with tempfile.TemporaryDirectory() as folder:
                story = run(Path(folder), mode, options.tasks, options.kills, in_doubt, options.seed)
            print(row(story, in_doubt), flush=True)
            for fault in story.faults:
                print(f"    {fault}", flush=True)
            faults += len(story.faults)
    return min(faults, 1)


def row(story: Story, in_doubt: str) -> str:
    doubtful = story.told.get("errors", {}).get("InDoubtError", 0)
    return " | ".join(
        [
            story.mode,
            f"{in_doubt} ({doubtful})" if in_doubt == "error" else in_doubt,
            str(story.kills),
            f"{story.tasks:,}",
            f"{story.calls:,}",
            str(story.excess),
            f"{sum(story.lost)} ({sum(story.inside)} in a call)",
            str(max(story.lost, default=0)),
            f"{story.late:.3f} s",
            f"{story.seconds:.0f}",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
