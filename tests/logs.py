"""Logs that tests write and read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from task_manager import Summary, TaskLogger
from task_manager._log.observer import LogObserver
from task_manager.events import Event, RunBegan, RunEnded, Succeeded

SHORT = "{level}|{message}"


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
