"""The options as types, for annotations of your own: the modes by name, and what goes by keyword.

class Fetcher(TaskManager[str, bytes]):
    def __init__(self, session: Session, **options: Unpack[ManagerOptions]) -> None:
        super().__init__(session.fetch, "thread", **options)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, TypedDict

from .events import Observer
from .logger import TaskLogger

__all__ = ["ChainMode", "ExecutionMode", "ManagerOptions", "StartMethod"]

ExecutionMode = Literal["serial", "thread", "process", "async"]
ChainMode = Literal["serial", "process"]
StartMethod = Literal["fork", "forkserver", "spawn"]


class ManagerOptions(TypedDict, total=False):
    """The options of a TaskManager that are given by keyword only."""

    retry_exceptions: type[Exception] | Sequence[type[Exception]]
    retry_delay: float
    max_retry_delay: float
    task_timeout: float | None
    deduplicate: bool
    logger: TaskLogger | None
    start_method: StartMethod | None
    keep_results: bool
    observers: Iterable[Observer]
