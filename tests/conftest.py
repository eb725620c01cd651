"""What every test runs under: a folder of its own, and nothing left behind."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import forkserver, resource_tracker
from pathlib import Path

import psutil
import pytest

from scripts import Script

PATIENCE = 5.0  # seconds that what ends by itself may take to end
CHILDREN = Path("/proc/thread-self/children")  # in kernels that have it


def children() -> list[str]:
    """The processes below this one: as the kernel tells them, or else each is asked for its parent."""
    if CHILDREN.exists():
        return [f"process {pid}" for pid in below(os.getpid())]
    return [f"process {child.pid}" for child in psutil.Process().children(recursive=True)]


def below(pid: int) -> Iterator[int]:
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # it has ended
            for child in map(int, path.read_text().split()):
                yield child
                yield from below(child)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def files() -> list[str]:
    found = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.append(f"{fd} {os.readlink(f'/proc/self/fd/{fd}')}")
        except OSError:  # the one that listed them
            continue
    return found


def _more(now: list[str], before: list[str]) -> list[str]:
    return sorted(set(now) - set(before))


@pytest.fixture(scope="session", autouse=True)
def servants_of_multiprocessing() -> None:
    """The standard library starts these once a process, and keeps them: before any test counts."""
    resource_tracker.ensure_running()
    forkserver.ensure_running()


@pytest.fixture(scope="session", autouse=True)
def not_deaf_to_ctrl_c() -> Iterator[None]:
    """A shell lets what it starts in the background ignore Ctrl-C, and so would every script of ours."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test writes its logs/ into a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """No child process, thread or open file survives a test."""
    before = children(), threads(), files()
    yield
    deadline = time.monotonic() + PATIENCE
    while True:
        left = [
            _more(now, then) for now, then in zip((children(), threads(), files()), before, strict=True)
        ]
        if not any(left) or time.monotonic() > deadline:
            break
        gc.collect()
        time.sleep(0.02)

    assert [[], [], []] == left


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """A folder in which functions count their calls."""
    folder = tmp_path / "calls"
    folder.mkdir()
    return folder


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Callable[[str], Script]]:
    started: list[Script] = []

    def start(text: str) -> Script:
        started.append(Script(tmp_path, text))
        return started[-1]

    yield start
    for one in started:
        for left in one.processes():
            os.kill(int(left.split()[0]), signal.SIGKILL)
        one.process.communicate()
