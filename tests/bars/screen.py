"""A pseudo-terminal with a screen: what a person would see after a script has run in it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import textwrap
import time
from pathlib import Path

import pyte

PATIENCE = 50.0  # seconds for a script, on the slowest of machines
ROWS = 200  # of the screen: room for the long traceback of a Ctrl-C, below what counts


def run_in_terminal(
    script: str, folder: Path, columns: int = 80, interrupt_at: str | None = None
) -> list[str]:
    """The lines of the screen at the end, those that are not blank.

    interrupt_at: A Ctrl-C is typed when this text has come.
    """
    path = folder / "script.py"
    path.write_text(textwrap.dedent(script), encoding="utf-8")
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
    screen = pyte.Screen(columns, ROWS)
    stream = pyte.ByteStream(screen)
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [sys.executable, str(path)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        start_new_session=True,
        env=environment | {"PYTHONIOENCODING": "utf-8"},
    )
    os.close(theirs)
    came, typed = b"", False
    end = time.monotonic() + PATIENCE
    try:
        while time.monotonic() < end:
            if select.select([ours], [], [], 0.1)[0]:
                with contextlib.suppress(OSError):
                    data = os.read(ours, 65536)
                    stream.feed(data)
                    came += data
                    if interrupt_at is not None and not typed and interrupt_at.encode() in came:
                        typed = True
                        os.kill(process.pid, signal.SIGINT)
                    continue
            if process.poll() is not None:
                break
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return [line.rstrip() for line in screen.display if line.strip()]
