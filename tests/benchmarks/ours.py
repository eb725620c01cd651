"""task_manager, as the rows run it: duplicates removed, retries on, all results kept."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Collection, Iterable
from typing import Any

from task_manager import TaskChain, TaskLogger, TaskManager

from . import work


def log_of(folder: str | None) -> TaskLogger | None:
    return None if folder is None else TaskLogger(folder)


def manager(func: Callable[..., Any], tasks: Iterable[Any], log: str | None, **options: Any) -> Any:
    """One run of a manager; its results. log: The folder of the default log, None for no log."""
    with TaskManager(func, logger=log_of(log), **options) as made:
        made.start(tasks)
        return made.get_result_dict()


def chain(
    func: Callable[..., Any], tasks: Iterable[Any], log: str | None, stages: int, chain_mode: str
) -> Any:
    """One start of a chain of serial managers; its results."""
    managers = [TaskManager(func, logger=log_of(log)) for _ in range(stages)]
    made = TaskChain(managers, chain_mode=chain_mode)
    made.start_chain(tasks)
    return made.get_final_result_dict()


def fitting(mode: str) -> dict[str, Any]:
    """The function that does nothing, for this mode, and the options of the rows."""
    limits = {"serial": 1, "thread": 8, "process": 2, "async": 100}
    func = work.nothing_async if mode == "async" else work.nothing
    return {"func": func, "execution_mode": mode, "worker_limit": limits[mode]}


def seconds_with_workers_kept(mode: str, tasks: Collection[Any], log: str | None) -> float:
    """What a run and its results take in a manager that has its workers already."""
    before = range(-100, 0)
    with TaskManager(**fitting(mode), logger=log_of(log)) as made:
        made.start(before)
        began = time.perf_counter()
        made.start(tasks)
        results = made.get_result_dict()
        took = time.perf_counter() - began
    assert len(before) + len(tasks) == len(results)
    return took


def seconds_with_journal(tasks: Collection[Any], log: str | None, **options: Any) -> float:
    """What a run takes that writes a new journal."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        results = manager(tasks=tasks, log=log, journal=f"{folder}/run.db", **options)
        took = time.perf_counter() - began
    assert len(tasks) == len(results)
    return took


def seconds_to_resume(count: int) -> float:
    """What a start takes where all tasks are done, as a journal has it, and its results are offered."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/run.db"
        manager(work.nothing, range(count), None, journal=path, keep_results=False)
        began = time.perf_counter()
        results = manager(work.nothing, range(count), None, journal=path)
        took = time.perf_counter() - began
    assert count == len(results)
    return took


def seconds_a_task(mode: str, tasks: Collection[Any], with_log: bool) -> float:
    """What a task costs in a manager that has its workers already."""
    with tempfile.TemporaryDirectory() as folder:
        with TaskManager(**fitting(mode), logger=log_of(folder if with_log else None)) as made:
            made.start(range(-100, 0))
            began = time.perf_counter()
            made.start(tasks)
            return (time.perf_counter() - began) / len(tasks)
