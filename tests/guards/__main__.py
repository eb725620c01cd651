"""Runs the test of each guard against a copy of the library without it.

A hang that is cut off counts as a failure.  Exits with 1 if any guard can be taken out unseen.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .edits import source_without
from .table import GUARDS, Guard

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "task_manager"
LIMIT = 90  # seconds for a test that was to be cut off after 20, and was not
HUNG = "fails as it should (it hangs)"
FAILED = "fails as it should"
SURVIVED = "SURVIVED"
NO_TEST = "NO SUCH TEST"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.guards", description=__doc__)
    parser.add_argument("demands", nargs="*", help="F6, say; without any, all")
    parser.add_argument("--changed", action="store_true", help="those that a change touches, or some")
    parser.add_argument("--seconds", type=float, help="begin none after so many")
    parser.add_argument("--seed", type=int, default=1, help="for the order where not all are run")
    options = parser.parse_args()
    if unknown := set(options.demands) - {guard.demand for guard in GUARDS}:
        parser.error(f"there are no guards of {', '.join(sorted(unknown))}")
    guards = [guard for guard in GUARDS if not options.demands or guard.demand in options.demands]
    if options.changed:
        guards = touched(guards, options.seed)
    deadline = time.monotonic() + (options.seconds or float("inf"))
    survivors = tried = 0
    with tempfile.TemporaryDirectory() as folder:
        # What fails anyway shows nothing: of each test that is the suite's business, of the copy ours.
        if guards and outcome_without(None, guards[0], Path(folder)) != SURVIVED:
            sys.exit(f"a test fails in a copy that has all its guards: {guards[0]}")
        for guard in guards:
            if time.monotonic() > deadline:
                break
            outcome = outcome_without(guard, guard, Path(folder))
            tried += 1
            survivors += outcome in (SURVIVED, NO_TEST)
            print(f"{guard.demand:4}{guard.what} | {guard.file} {guard.where} | {outcome}", flush=True)
    print(f"{tried} of {len(GUARDS)} guards were taken out; without {survivors} of them no test failed")
    return min(survivors, 1)


def touched(guards: list[Guard], seed: int) -> list[Guard]:
    """Those whose code or tests differ from what is released, first; then the others; by chance."""
    shuffled = random.Random(seed).sample(guards, len(guards))
    names = changed_files()
    near = [guard for guard in shuffled if {f"src/task_manager/{guard.file}", guard.test} & names]
    print(f"{len(near)} guards stand in what has changed; others follow while there is time")
    return near + [guard for guard in shuffled if guard not in near]


def changed_files() -> set[str]:
    """Since the branch left `origin/main`, or in ten commits; tests by their names alone, too."""
    for command in ("merge-base origin/main HEAD", "rev-parse HEAD~10"):
        base = git(command)
        if base and (paths := git(f"diff --name-only {base[0]}")):
            return {*paths, *(Path(path).name for path in paths if path.startswith("tests/"))}
    return set()


def git(command: str) -> list[str]:
    """What git says, by lines; nothing where it says no."""
    said = subprocess.run(
        ["git", *command.split()], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return [] if said.returncode else said.stdout.splitlines()


def outcome_without(guard: Guard | None, needed: Guard, folder: Path) -> str:
    """Run the test of `needed` against a copy of the package without `guard`."""
    copy = folder / "task_manager"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    if guard is not None:
        file = copy / guard.file
        file.write_text(source_without(file.read_text(), guard.where, guard.edit))

    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--timeout", "20", "-x", "-q"]
    # Before the installed one on the path; without bytecode, as a copy may be as old as the next one.
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTEST_ADDOPTS", None)
    process = subprocess.Popen(
        [*command, str(file_of(needed.test)), "-k", needed.select],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return HUNG
    finally:
        kill_group(process.pid)
    if process.returncode == 0:
        return SURVIVED
    if process.returncode == 5:  # of pytest: nothing was selected
        return NO_TEST
    if process.returncode == 1 or process.returncode < 0:
        return FAILED
    raise RuntimeError(f"pytest did not run: {needed.test} -k {needed.select!r}\n{said}")


def file_of(name: str) -> Path:
    """Of tests, in whichever wing it lies."""
    (file,) = (ROOT / "tests").rglob(name)
    return file


def kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    sys.exit(main())
