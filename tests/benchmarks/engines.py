"""What a task costs on an executor, beside the same executor used by hand.

    python -m tests.benchmarks.engines [name ...]

Those whose package is not installed are left out. The table is that of docs/engines.md.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

from task_manager import TaskManager

TRIVIAL = 100_000  # tasks of ours
BY_HAND = 5_000  # tasks by hand, one submission each
NAPS = 400  # tasks of 10 ms
WORKERS = 2


def trivial(number: int) -> int:
    return number


def nap(number: int) -> int:
    time.sleep(0.01)
    return number


Hand = Callable[[Callable[[int], int], range], Any]


@contextmanager
def own_pool() -> Iterator[tuple[Any, Hand | None]]:
    yield "process", None


@contextmanager
def processes() -> Iterator[tuple[Any, Hand]]:
    with ProcessPoolExecutor(WORKERS) as pool:
        yield pool, lambda func, tasks: list(pool.map(func, tasks))


@contextmanager
def of_loky() -> Iterator[tuple[Any, Hand]]:
    from loky import ProcessPoolExecutor as OfLoky

    with OfLoky(WORKERS, timeout=None) as pool:
        yield pool, lambda func, tasks: list(pool.map(func, tasks))


@contextmanager
def of_dask() -> Iterator[tuple[Any, Hand]]:
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield (
            ("dask", cluster.scheduler_address),
            lambda func, tasks: client.gather(client.map(func, tasks, pure=False)),
        )


@contextmanager
def of_ray() -> Iterator[tuple[Any, Hand]]:
    import ray

    ray.init(address="local", num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)

    def by_hand(func: Callable[[int], int], tasks: range) -> Any:
        remote = ray.remote(func)
        return ray.get([remote.remote(task) for task in tasks])

    yield "ray", by_hand
    ray.shutdown()


def seconds(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def ours(given: Any, func: Callable[[int], int], count: int) -> float:
    mode, address = given if isinstance(given, tuple) else (given, None)
    with TaskManager(
        func, mode, WORKERS, address=address, logger=None, keep_results=False, deduplicate=False
    ) as manager:
        manager.start(range(-20, 0))  # has the workers started
        return seconds(lambda: manager.start(range(count)))


def main() -> None:
    ideal = NAPS * 0.01 / WORKERS
    print("| engine | us per trivial task | by hand | efficiency at 10 ms | by hand |")
    print("|---|---|---|---|---|")
    for name, opened in {
        "own pool": own_pool,
        "ProcessPoolExecutor": processes,
        "loky": of_loky,
        "dask": of_dask,
        "ray": of_ray,
    }.items():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        try:
            with opened() as (given, by_hand):
                cost = ours(given, trivial, TRIVIAL) / TRIVIAL * 1e6
                share = ideal / ours(given, nap, NAPS)
                row = [f"{cost:.1f}", "-", f"{share:.0%}", "-"]
                if by_hand is not None:
                    by_hand(trivial, range(20))
                    tasks, naps = range(BY_HAND), range(NAPS)
                    row[1] = f"{seconds(lambda: by_hand(trivial, tasks)) / BY_HAND * 1e6:,.0f}"
                    row[3] = f"{ideal / seconds(lambda: by_hand(nap, naps)):.0%}"
        except ImportError as error:
            row = [f"not installed: {error.name}", "", "", ""]
        print(f"| {name} | {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
