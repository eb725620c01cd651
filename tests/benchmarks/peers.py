"""What people use without task_manager: each runs a function over tasks and answers all results.

Each opens its pool, works, and closes it, as task_manager does beside it; joblib keeps its workers
from call to call by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

Func = Callable[[Any], Any]


def bare_loop(func: Func, tasks: Iterable[Any]) -> list[Any]:
    return [func(task) for task in tasks]


def thread_pool(func: Func, tasks: Iterable[Any], workers: int) -> list[Any]:
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(func, tasks))


def process_pool(func: Func, tasks: Iterable[Any], workers: int, chunksize: int = 1) -> list[Any]:
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(func, tasks, chunksize=chunksize))


def process_pool_in_a_row(func: Func, tasks: Iterable[Any], stages: int, chunksize: int) -> list[Any]:
    """One pool, one map after the other."""
    with ProcessPoolExecutor(2) as pool:
        results = list(tasks)
        for _ in range(stages):
            results = list(pool.map(func, results, chunksize=chunksize))
        return results


def gather(func: Callable[[Any], Coroutine[Any, Any, Any]], tasks: Iterable[Any], limit: int) -> Any:
    async def main() -> list[Any]:
        semaphore = asyncio.Semaphore(limit)

        async def one(task: Any) -> Any:
            async with semaphore:
                return await func(task)

        return await asyncio.gather(*map(one, tasks))

    return asyncio.run(main())


def joblib(func: Func, tasks: Iterable[Any], workers: int) -> list[Any]:
    from joblib import Parallel, delayed

    return list(Parallel(n_jobs=workers)(delayed(func)(task) for task in tasks))


def mpire(func: Func, tasks: Iterable[Any], workers: int) -> list[Any]:
    from mpire import WorkerPool

    with WorkerPool(n_jobs=workers) as pool:
        return list(pool.map(func, tasks))
