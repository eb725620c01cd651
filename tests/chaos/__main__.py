"""Runs random scenarios against the library for some time, and says which of its promises broke."""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from .draw import draw
from .driver import Child, Verdict
from .plan import MODES, Scenario

TOGETHER = 8  # scenarios in one script, where nothing comes from outside


def main() -> int:
    cores = os.cpu_count() or 1
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="after which no scenario is begun")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mode", choices=MODES, help="all scenarios in this mode, or all of chains")
    parser.add_argument("--only", metavar="N[,N...]", help="these scenarios, each alone in its script")
    parser.add_argument("--together", action="store_true", help="with --only: in one script")
    parser.add_argument("--times", type=int, default=1, help="with --only: so many times")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="begin with scenario N")
    parser.add_argument(
        "--skip",
        action="append",
        default=[],
        metavar="WORDS",
        help="scenarios told with these words",
    )
    parser.add_argument("--jobs", type=int, default=2 * cores, help="scripts side by side")
    parser.add_argument("--limit", type=float, default=90.0, help="seconds after which a scenario hangs")
    parser.add_argument("--verbose", action="store_true", help="tell every scenario")
    options = parser.parse_args()
    return Session(options).run()


class Session:
    """One call of the driver."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._scripts = self._all_scripts()
        self._verdicts: list[Verdict] = []

    def run(self) -> int:
        with ThreadPoolExecutor(self._options.jobs) as pool:
            for work in [pool.submit(self._work) for _ in range(self._options.jobs)]:
                work.result()
        self._print_table()
        failed = sum(bool(verdict.faults) for verdict in self._verdicts)
        passed = len(self._verdicts) - failed
        took = time.monotonic() - self._began
        print(f"{passed} passed, {failed} failed in {took:.0f} s, seed {self._options.seed}")
        return 1 if failed or not passed else 0

    def _work(self) -> None:
        while True:
            with self._lock:
                scenarios = next(self._scripts, None)
            if scenarios is None:
                return
            for verdict in Child(scenarios, self._options.mode, self._options.limit).run():
                with self._lock:
                    self._verdicts.append(verdict)
                    self._tell(verdict)

    def _draw(self, index: int) -> Scenario:
        return draw(self._options.seed, index, self._options.mode)

    def _all_scripts(self) -> Iterator[list[Scenario]]:
        """The scenarios for one script after the other."""
        if self._options.only:
            for _ in range(self._options.times):
                scenarios = [self._draw(int(index)) for index in self._options.only.split(",")]
                yield from [scenarios] if self._options.together else [[one] for one in scenarios]
            return
        together: list[Scenario] = []
        index = self._options.first
        while time.monotonic() - self._began < self._options.seconds:
            scenario = self._draw(index)
            index += 1
            if any(words in str(scenario) for words in self._options.skip):
                continue
            if scenario.outside:
                yield [scenario]
                continue
            together.append(scenario)
            if len(together) == TOGETHER:
                yield together
                together = []
        if together:
            yield together

    def _tell(self, verdict: Verdict) -> None:
        scenario = verdict.scenario
        if not verdict.faults:
            if self._options.verbose:
                print(f"passed {scenario.index}: {scenario}", flush=True)
            return
        mode = f" --mode {self._options.mode}" if self._options.mode else ""
        repeat = f"python -m tests.chaos --seed {scenario.seed}{mode} --only"
        print(f"FAILED seed {scenario.seed}, scenario {scenario.index}: {scenario}")
        for fault in verdict.faults:
            print("    " + fault.replace("\n", "\n    "))
        print(f"    again: {repeat} {scenario.index}")
        if len(verdict.mates) > 1:
            print(f"    in its script: {repeat} {','.join(map(str, verdict.mates))} --together")
        sys.stdout.flush()

    def _print_table(self) -> None:
        rows: Counter[str] = Counter()
        failed: Counter[str] = Counter()
        for verdict in self._verdicts:
            scenario = verdict.scenario
            kinds = scenario.kinds
            rows.update(kinds)
            if verdict.faults:
                failed.update(kinds)
        for kind in sorted(rows):
            print(f"{kind:24}{rows[kind]:6}" + (f"  {failed[kind]} failed" if failed[kind] else ""))
        kills = sum(verdict.kills for verdict in self._verdicts)
        signals = sum(verdict.signals for verdict in self._verdicts)
        again = sum(len(verdict.scenario.starts) - 1 for verdict in self._verdicts)
        print(f"{kills} kills, {signals} signals, {again} second and third starts")


if __name__ == "__main__":
    sys.exit(main())
