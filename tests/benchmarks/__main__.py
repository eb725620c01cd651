"""Measures, prints the table, and writes it to docs/benchmarks.md with a picture of it."""

from __future__ import annotations

import argparse
import time

from .measure import measure
from .rows import all_rows
from .table import heading, line, write


def main() -> None:
    groups = list(dict.fromkeys(row.group for row in all_rows(scale=0.001)))
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "groups", nargs="*", metavar="group", help=f"of {', '.join(groups)}; all if none"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="0.1 for a tenth of the tasks")
    parser.add_argument("--rounds", type=int, default=7, help="that count, after one to warm up")
    parser.add_argument("--write", action="store_true", help="to docs/benchmarks.md and its picture")
    options = parser.parse_args()
    if unknown := set(options.groups) - set(groups):
        parser.error(f"groups must be of {', '.join(groups)}; got {', '.join(sorted(unknown))}")
    if options.rounds < 1 or options.scale <= 0:
        parser.error("--rounds must be at least 1, and --scale above 0")

    began = time.monotonic()
    print(heading())
    measured = []
    for row in all_rows(options.scale):
        if not options.groups or row.group in options.groups:
            measured.append(measure(row, options.rounds))
            print(line(measured[-1]), flush=True)
    print(f"\n{options.rounds} rounds in {time.monotonic() - began:.0f} s")
    if options.write:
        write(measured, options.rounds)


if __name__ == "__main__":
    main()
