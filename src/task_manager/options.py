"""The options as types, for annotations of your own: the modes by name, and what goes by keyword.

class Fetcher(TaskManager[str, bytes]):
    def __init__(self, session: Session, **options: Unpack[ManagerOptions]) -> None:
        super().__init__(session.fetch, "thread", **options)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from typing import Any, Literal, TypedDict

from ._rules.rate import Rate
from .events import Observer
from .journal import Journal
from .logger import TaskLogger

__all__ = [
    "ChainMode",
    "ExecutionMode",
    "ManagerAttributes",
    "ManagerOptions",
    "PlainMode",
    "StartMethod",
]

ModeName = Literal["serial", "thread", "process", "loky", "dask", "ray"]
PlainMode = ModeName | Executor | Callable[[], Executor]
ExecutionMode = PlainMode | Literal["async"]
ChainMode = Literal["serial", "thread", "process"]
StartMethod = Literal["fork", "forkserver", "spawn"]


class ManagerOptions(TypedDict, total=False):
    """The options of a TaskManager that are given by keyword only."""

    retry_exceptions: type[Exception] | Sequence[type[Exception]]
    retry_delay: float
    max_retry_delay: float
    task_timeout: float | None
    max_failures: int | float | None
    deadline: float | None
    rate_limit: str | tuple[int, float] | None
    rate_key: Callable[[Any], Any] | None
    deduplicate: bool
    journal: str | os.PathLike[str] | Journal | None
    logger: TaskLogger | None
    start_method: StartMethod | None
    address: str | None
    worker_state: Callable[[], Any] | None
    max_tasks_per_worker: int | None
    keep_results: bool | Literal["errors"]
    observers: Iterable[Observer]


class ManagerAttributes:
    """The options as attributes of a manager: read-only, but for `retry_exceptions`."""

    func: Callable[..., Any]
    execution_mode: ExecutionMode
    worker_limit: int | None
    max_retries: int
    show_progress: bool
    progress_desc: str
    retry_exceptions: tuple[type[Exception], ...]
    retry_delay: float
    max_retry_delay: float
    task_timeout: float | None
    max_failures: int | float | None
    deadline: float | None
    rate_limit: Rate | None
    rate_key: Callable[[Any], Any] | None
    deduplicate: bool
    journal: Journal | None
    logger: TaskLogger | None
    start_method: StartMethod | None
    address: str | None
    worker_state: Callable[[], Any] | None
    max_tasks_per_worker: int | None
    keep_results: bool | Literal["errors"]
    observers: Sequence[Observer]
