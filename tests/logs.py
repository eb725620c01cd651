"""Logs that tests write and read."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

from task_manager import Summary, TaskLogger
from task_manager._log.observer import LogObserver
from task_manager.events import Event, RunBegan, RunEnded, Succeeded

SHORT = "{level}|{message}"


def without_forks(warned: list[warnings.WarningMessage]) -> list[warnings.WarningMessage]:
    """These warnings, but for those of Python itself, from 3.12 on, that a process with threads forks.

    In a process of pytest-xdist there are such threads.
    """
    return [one for one in warned if "is multi-threaded, use of fork()" not in str(one.message)]


def log_file(folder: str | Path = "logs") -> Path:
    (file,) = Path(folder).iterdir()
    return file


def lines(folder: str | Path = "logs") -> list[str]:
    return log_file(folder).read_text(encoding="utf-8").splitlines()


def succeeded(*tasks: Any, seconds: float = 0.0) -> Succeeded:
    return Succeeded(
        list(range(len(tasks))), list(tasks), list(tasks), [seconds] * len(tasks), [1] * len(tasks)
    )


def opened(level: str = "DEBUG", **options: Any) -> LogObserver:
    observer = TaskLogger(format=SHORT, level=level, **options).observer("work")
    observer.observe(RunBegan(3))
    return observer


def logged(*events: Event, level: str = "DEBUG") -> list[str]:
    """The records of these events alone, without those of the run's beginning and end."""
    observer = opened(level)
    for event in events:
        observer.observe(event)
    observer.observe(RunEnded(Summary()))
    return [line for line in lines() if not re.match(r"INFO\|work: run (begins|ends)", line)]
