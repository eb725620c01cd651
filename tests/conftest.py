"""What every test runs under: a folder of its own, and nothing left behind.

Where the system lacks what a test needs (fork, a signal, `resource`), it is skipped, and says what for.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import re
import signal
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import task_manager
from scripts import Script

PATIENCE = 5.0  # seconds that what ends by itself may take to end
CHILDREN = Path("/proc/thread-self/children")  # in kernels that have it


def pytest_configure(config: pytest.Config) -> None:
    """A process of pytest-xdist has threads of its own, and Python 3.12 warns there of each fork."""
    if hasattr(config, "workerinput"):
        config.addinivalue_line("filterwarnings", "ignore:This process .*use of fork:DeprecationWarning")
    if "COVERAGE_PROCESS_START" in os.environ:
        save_one_at_a_time()


def save_one_at_a_time() -> None:
    """Under coverage `os._exit` saves what was measured, and crashes where two threads do so at once.

    (coverage 7.17: the first to be done closes the connections to SQLite of all threads.) That would
    be a death by SIGSEGV in place of the exit code that a test waits for.
    """
    from coverage import Coverage

    save, lock = Coverage.save, [threading.RLock()]

    def save_alone(self: Coverage) -> None:
        with lock[0]:
            save(self)

    Coverage.save = save_alone  # type: ignore[method-assign]
    os.register_at_fork(after_in_child=lambda: lock.__setitem__(0, threading.RLock()))


def children() -> list[str]:
    """The processes below this one: as the kernel tells them, or else each is asked for its parent."""
    if CHILDREN.exists():
        return [f"process {pid}" for pid in below(os.getpid())]
    return [f"process {child.pid}" for child in psutil.Process().children(recursive=True)]


def below(pid: int) -> Iterator[int]:
    """All processes below it. What a node of ray has started comes and goes as ray wants."""
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # it has ended
            for child in map(int, path.read_text().split()):
                yield child
                if Path(f"/proc/{child}/comm").read_text() != "raylet\n":
                    yield from below(child)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def files() -> list[str]:
    found: list[str] = []
    if not os.path.isdir("/proc/self/fd"):  # as on Windows and macOS: nobody says which are open
        return found
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.append(f"{fd} {os.readlink(f'/proc/self/fd/{fd}')}")
        except OSError:  # the one that listed them
            continue
    return found


LACKING = re.compile(
    r"AttributeError: <?module '(?P<module>\w+)'(?: [^>\n]*>)? has no attribute '(?P<name>\w+)'"
    r"|ModuleNotFoundError: (No module named|import of) '?(?P<posix>fcntl|resource|pwd|termios|pty)\b"
    r"|ConfigurationError: start_method must be .*; got '(?P<method>fork|forkserver)'"
    r"|ValueError: cannot find context for '(?P<context>fork|forkserver)'"
)
OF_POSIX = {
    "test_sending_never_blocks": "a pipe that holds less than a megabyte",
    "test_what_waits_for_one_who_goes_is_dropped": "a pipe that holds less than a megabyte",
    "test_a_large_frame_is_not_copied_to_be_sent": "a pipe that holds less than a megabyte",
    "test_frames_arrive_whole_and_in_order": "a pipe in which what was sent has arrived",
    "test_f30_nothing_is_opened_in_place_of_a_standard_file": "sockets that are files, and os.fork",
    "test_a_copy_of_a_worker_that_returns_does_no_work": "os.fork",
}
"""Tests that do not say by themselves what they need, and what that is."""

LINE_OF_CODE = re.compile(r'^(?:  File "([^"]+)", line \d+|(\S+\.py):\d+:)', re.MULTILINE)
PACKAGE = str(Path(task_manager.__file__).parent)


def what_is_lacking(text: str) -> str | None:
    """What this system has not, and a test has failed for, as its traceback tells; or None.

    The library is to know what there is: where it was the library that asked, the test has failed.
    """
    for lacking in LACKING.finditer(text):
        found = lacking.groupdict()
        asked_at = ["".join(place) for place in LINE_OF_CODE.findall(text[: lacking.start()])]
        if found["module"] and asked_at and asked_at[-1].startswith(PACKAGE):
            return None
        if found["module"]:
            return f"{found['module']}.{found['name']}"
        return found["posix"] or f"the start method {found['method'] or found['context']}"
    return None


def _skipped_for(report: Any, text: str) -> None:
    lacking = what_is_lacking(text) if report.failed and not hasattr(os, "fork") else None
    if lacking is not None:
        report.outcome = "skipped"
        report.longrepr = (__file__, 0, f"Skipped: needs {lacking}, which this system has not")


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Any:
    report = yield
    _skipped_for(report, str(report.longrepr))
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Any:
    report = yield
    _skipped_for(report, "" if call.excinfo is None else str(report.longrepr))
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip a test for the start methods that there are not, and what is of POSIX where that is not."""
    missing = {"fork", "forkserver"} - set(multiprocessing.get_all_start_methods())
    for item in items:
        name = getattr(item, "originalname", item.name)
        if name in OF_POSIX and not hasattr(os, "fork"):
            item.add_marker(pytest.mark.skip(reason=f"needs {OF_POSIX[name]}"))
        callspec: Any = getattr(item, "callspec", None)
        for value in () if callspec is None else callspec.params.values():
            if isinstance(value, str) and value in missing:
                item.add_marker(pytest.mark.skip(reason=f"needs the start method {value}"))


def _more(now: list[str], before: list[str]) -> list[str]:
    return sorted(set(now) - set(before))


@pytest.fixture
def servants_of_multiprocessing() -> None:
    """The standard library starts these once a process, and keeps them: before any test counts.

    A test that kills what it finds may have killed them.
    """
    if not hasattr(socket, "send_fds"):
        multiprocessing.get_context("spawn").RawArray("d", 2)  # from memory that it keeps
    if hasattr(socket.socket, "share"):  # a thread that hands sockets to processes, on Windows
        from multiprocessing.resource_sharer import DupSocket  # type: ignore[attr-defined]

        with socket.socket() as end:
            DupSocket(end)
        return
    from multiprocessing import forkserver, resource_tracker

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that one has died
        resource_tracker.ensure_running()
        if hasattr(os, "fork"):
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
def nothing_left_behind(servants_of_multiprocessing: None) -> Iterator[None]:
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
            with contextlib.suppress(psutil.NoSuchProcess):
                psutil.Process(int(left.split()[0])).kill()
        one.process.communicate()
