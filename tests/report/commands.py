"""`python -m task_manager`, as a shell calls it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any, NamedTuple

COMMAND = [sys.executable, "-m", "task_manager"]
PATIENCE = 50.0


class Answer(NamedTuple):
    out: str
    err: str
    code: int


def environment(**more: str) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")},
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTHONIOENCODING": "utf-8",
        "TZ": "UTC",
        **more,
    }


def command(*arguments: object, **more: Any) -> Answer:
    """What it says, and its exit code. more: As of subprocess.run, and `env`, which is added."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        stdout=more.pop("stdout", subprocess.PIPE),
        stderr=subprocess.PIPE,
        timeout=PATIENCE,
        env=environment(**more.pop("env", {})),
        **more,
    )
    return Answer((done.stdout or b"").decode(), done.stderr.decode(), done.returncode)
