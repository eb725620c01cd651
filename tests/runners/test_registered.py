"""A mode is a runner and a row in a table: one that a test registers keeps every promise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]


def test_a_runner_of_a_few_lines_passes_the_conformance_suite() -> None:
    """On a ThreadPoolExecutor: see pool_mode.py. Nothing of the library knows its name."""
    done = subprocess.run(
        [
            *[sys.executable, "-m", "pytest", "-p", "pool_mode", "-p", "no:cacheprovider", "-q"],
            *["-k", "pool", "-o", "addopts=", *map(str, sorted(TESTS.glob("test_conformance*.py")))],
        ],
        cwd=TESTS.parent,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stdout
    assert " passed" in done.stdout
