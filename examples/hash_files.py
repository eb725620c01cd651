"""Hashes the files of Python's standard library, once in each mode.

    python examples/hash_files.py            the standard library of this Python
    python examples/hash_files.py FOLDER     another folder

Shows: one function in all four modes, the summary that `start` returns, and what becomes of files
that cannot be read. One such name, of a file that is not there, is put among the others.
"""

import argparse
import asyncio
import hashlib
import os
import sys
import sysconfig
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from task_manager import TaskManager
from task_manager.options import ExecutionMode

NOT_THERE = "a_file_that_is_not_there.txt"
LEFT_OUT = {"site-packages", "__pycache__"}  # of other projects; may change meanwhile
NAMED = 3  # of the files that failed


class Fingerprint(NamedTuple):
    size: int
    sha256: str


def fingerprint(path: Path) -> Fingerprint:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return Fingerprint(file.tell(), digest.hexdigest())


async def fingerprint_async(path: Path) -> Fingerprint:
    return await asyncio.to_thread(fingerprint, path)


MODES: dict[ExecutionMode, Callable[[Path], Any]] = {
    "serial": fingerprint,
    "thread": fingerprint,
    "process": fingerprint,
    "async": fingerprint_async,
}


def files_in(folder: Path) -> list[Path]:
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in LEFT_OUT]
        found += [Path(place, name) for name in names]
    return sorted(found)


def main() -> None:
    parser = argparse.ArgumentParser(description="Hash every file of a folder in each mode.")
    parser.add_argument("folder", type=Path, nargs="?", default=Path(sysconfig.get_path("stdlib")))
    folder = parser.parse_args().folder
    files = [*files_in(folder), folder / NOT_THERE]

    TaskManager(fingerprint, logger=None).start(files)  # so that every mode finds them in memory
    print(f"Hashing {len(files):,} files of {folder}\n")
    print(f"{'mode':<8}{'files':>8}{'MB':>10}{'seconds':>10}{'MB/s':>10}{'failed':>9}", flush=True)
    answers = []
    errors: Mapping[Path, BaseException] = {}
    for mode, func in MODES.items():
        with TaskManager(func, execution_mode=mode, logger=None) as manager:
            summary = manager.start(files)
            results, errors = manager.get_result_dict(), manager.get_error_dict()
        megabytes = sum(found.size for found in results.values()) / 1e6
        print(
            f"{mode:<8}{summary.succeeded:>8,}{megabytes:>10,.1f}{summary.seconds:>10.2f}"
            f"{megabytes / summary.seconds:>10,.0f}{summary.failed:>9,}",
            flush=True,
        )
        answers.append((results, {path: repr(error) for path, error in errors.items()}))

    print("\nCould not be read:")
    for path, error in list(errors.items())[:NAMED]:
        reason = error.strerror if isinstance(error, OSError) else error
        print(f"  {path.relative_to(folder)}: {reason}")
    if len(errors) > NAMED:
        print(f"  and {len(errors) - NAMED:,} more")

    agree = all(answer == answers[0] for answer in answers)
    print(f"\n{'All modes agree.' if agree else 'The modes disagree!'}")


if __name__ == "__main__":
    try:
        main()
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit("\nstopped")
    except BrokenPipeError:  # whoever reads the output has enough of it, as head does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
