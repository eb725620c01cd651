"""The examples, run as a person runs them: to the end, or killed on the way, and started again."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

EXAMPLES = Path(__file__).parents[1] / "examples"
PATIENCE = 60.0


def run(
    name: str, folder: Path, *options: object, exit_code: int = 0, said: str = "Traceback"
) -> tuple[list[str], str]:
    """Run an example from this folder, as a person would; its lines, and what it wrote to stderr."""
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *map(str, options)]
    done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", timeout=PATIENCE)
    assert done.returncode == exit_code, done.stderr
    assert said not in done.stderr
    return done.stdout.splitlines(), done.stderr


@contextmanager
def begun(
    name: str, folder: Path, *options: object, until: Callable[[], bool]
) -> Iterator[subprocess.Popen[str]]:
    """An example that runs; it has got so far that `until` is true. Nothing of it lives on."""
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLES / f"{name}.py"), *map(str, options)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
        env={**os.environ, "TASK_MANAGER_TEST": str(folder)},
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while not until():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "it does not get so far"
            time.sleep(0.005)
        yield process
        process.communicate(timeout=PATIENCE)
        deadline = time.monotonic() + PATIENCE
        while left := list(alive(str(folder))):
            assert time.monotonic() < deadline, left
            time.sleep(0.05)
    finally:
        for left in alive(str(folder)):
            with suppress(psutil.NoSuchProcess):
                left.kill()
        process.communicate()


def alive(mark: str) -> Iterator[psutil.Process]:
    """All processes of this example, those in groups of their own included."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("TASK_MANAGER_TEST") == mark:
                yield process


def kill(name: str, folder: Path, *options: object, until: Callable[[], bool]) -> None:
    """Run an example until then, and end it as a power cut does."""
    with begun(name, folder, *options, until=until) as process:
        process.kill()


def interrupt(name: str, folder: Path, *options: object, until: Callable[[], bool]) -> str:
    """Run an example until then, and press Ctrl-C; what it wrote to stderr."""
    with begun(name, folder, *options, until=until) as process:
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    return str(errors)


def rows(file: Path, question: str) -> list[Any]:
    """What a database says, or nothing as long as it is not there."""
    if not file.exists():
        return []
    with closing(sqlite3.connect(file, timeout=PATIENCE)) as database:
        try:
            return database.execute(question).fetchall()
        except sqlite3.OperationalError:  # the tables are not there yet
            return []


def counts(lines: list[str]) -> dict[str, int]:
    """The counts of the first table of a summary, by name; 'tasks' is how many were taken."""
    found: dict[str, int] = {}
    for words in map(str.split, lines):
        if words[:1] and words[0] in NAMES and words[0] not in found:
            found[words[0]] = int(words[1].replace(",", ""))
    return found


NAMES = ("tasks", "succeeded", "failed", "duplicates", "retries")
