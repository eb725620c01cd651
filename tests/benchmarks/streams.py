"""What a stream costs, beside `start` and beside what people iterate over without task_manager."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from typing import Any

from task_manager import TaskManager

from . import ours, work
from .measure import OFF, ON, Row, logged, timed

THREADS = "as_completed over ThreadPoolExecutor, 8 workers"
PROCESSES = "ProcessPoolExecutor.map(chunksize=64)"


def stream(
    func: Callable[..., Any],
    tasks: Sequence[Any],
    log: str | None,
    ordered: bool = False,
    **options: Any,
) -> list[Any]:
    """What a loop over a stream is given; nothing is kept elsewhere."""
    with TaskManager(func, logger=ours.log_of(log), **options) as made:
        return [outcome.result for outcome in made.stream(tasks, ordered=ordered)]


def seconds_more(mode: str, tasks: Sequence[Any], log: str | None, ordered: bool) -> float:
    """What a stream takes beyond what `start` takes, in managers that have their workers already."""
    took: list[float] = []
    for run in (_started, _streamed, _started, _streamed):
        with TaskManager(**ours.fitting(mode), logger=ours.log_of(log), keep_results=False) as made:
            made.start(range(-100, 0))
            began = time.perf_counter()
            run(made, tasks, ordered)
            took.append(time.perf_counter() - began)
    return max(0.0, min(took[1::2]) - min(took[::2]))


def _started(made: TaskManager[Any, Any], tasks: Sequence[Any], _: bool) -> None:
    assert len(tasks) == made.start(tasks).succeeded


def _streamed(made: TaskManager[Any, Any], tasks: Sequence[Any], ordered: bool) -> None:
    assert len(tasks) == sum(outcome.ok for outcome in made.stream(tasks, ordered=ordered))


def completed(func: Callable[[Any], Any], tasks: Sequence[Any], workers: int) -> list[Any]:
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(func, task) for task in tasks]
        return [future.result() for future in as_completed(futures)]


def mapped(func: Callable[[Any], Any], tasks: Sequence[Any], workers: int) -> list[Any]:
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(func, tasks, chunksize=64))


def rows(n: int) -> Iterator[Row]:
    tasks = range(n)
    us = 1e6 / n
    for mode in ("serial", "thread", "process", "async"):
        for ordered, wanted in ((False, 1.5), (True, 2.5)):

            def more(log: str | None, mode: str = mode, ordered: bool = ordered) -> float:
                return seconds_more(mode, tasks, log, ordered)

            yield Row(
                "stream",
                f"stream{', ordered' if ordered else ''}, {mode}, {n:,}: beyond `start`",
                "1 us",
                {OFF: wanted, ON: wanted},
                logged(more),
                lambda rounds, _: [n / 1e6] * len(rounds),
                "us",
                us,
            )
    for mode, title, against, other, targets in [
        ("thread", f"stream, thread, 8 workers, {n:,}", THREADS, (completed, 8), (0.15, 0.25)),
        (
            "process",
            f"stream, ordered, process, 2 workers, {n:,}",
            PROCESSES,
            (mapped, 2),
            (1.0, 1.2),
        ),
    ]:
        function, workers = other

        def streamed(log: str | None, mode: str = mode) -> float:
            fitting = ours.fitting(mode)
            return timed(
                stream, fitting.pop("func"), tasks, log, mode == "process", answers=n, **fitting
            )()

        peer = {against: timed(function, work.nothing, tasks, workers, answers=n)}
        yield Row(
            "stream",
            title,
            against,
            dict(zip((OFF, ON), targets, strict=True)),
            {**logged(streamed), **peer},
            lambda rounds, _, against=against: [figures[against] for figures in rounds],
            "us",
            us,
        )
