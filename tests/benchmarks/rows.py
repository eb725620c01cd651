"""What is measured, against whom, and what is wanted: the rows of the table."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from . import ours, peers, streams, work
from .measure import OFF, ON, Figures, Row, logged, median_of, timed

THREADS = "ThreadPoolExecutor.map, 8 workers"
GATHER = "gather + Semaphore"
PROCESSES = "ProcessPoolExecutor.map"
IN_A_ROW = "3 ProcessPoolExecutor.map(chunksize=200) in a row"
IN_A_ROW_BY_ONE = "3 ProcessPoolExecutor.map in a row"
JOBLIB = "joblib.Parallel(n_jobs=2)"
MPIRE = "mpire"
LOOP = "a bare loop"


def all_rows(scale: float) -> Iterator[Row]:
    """scale: 1 for the sizes of the table; 0.1 for a tenth of the tasks."""

    def count(tasks: int) -> int:
        return max(1, int(tasks * scale))

    yield from _empty_calls(count(100_000))
    yield from streams.rows(count(100_000))
    yield from _empty_chains(count(50_000))
    yield from _computing(count(2_000), count(200), count(1_000))
    yield from _waiting(count(2_000), count(10_000))
    yield from _blobs(count(500))
    yield from _large_chains(count(100))
    yield from _memory(count(1_000_000))
    yield from _growth(count(10_000), count(1_000_000))
    yield from _logs(count(50_000))
    yield from _journals(count(100_000), count(1_000_000))
    yield from _states(count(100_000), count(8_000))
    yield _imports()


Reference = Callable[[Sequence[Figures], str], list[float]]


def _to(name: str, share: float = 1.0) -> Reference:
    return lambda rounds, _: [share * figures[name] for figures in rounds]


def _best_of(*names: str) -> Reference:
    """The one with the least median: the luckiest of each round would be none of them."""

    def best(rounds: Sequence[Figures], contestant: str) -> list[float]:
        return _to(min(names, key=lambda name: median_of(rounds, name)))(rounds, contestant)

    return best


def _ideal(figure: float) -> Reference:
    return lambda rounds, _: [figure] * len(rounds)


def _managers(tasks: Sequence[Any], **options: Any) -> dict[str, Callable[[], float]]:
    return logged(lambda log: timed(ours.manager, tasks=tasks, log=log, answers=len(tasks), **options)())


def _chains(func: Any, tasks: range, chain_mode: str) -> dict[str, Callable[[], float]]:
    return logged(lambda log: timed(ours.chain, func, tasks, log, 3, chain_mode, answers=len(tasks))())


def _empty_calls(n: int) -> Iterator[Row]:
    tasks = range(n)
    us = 1e6 / n
    threads = {THREADS: timed(peers.thread_pool, work.nothing, tasks, 8, answers=n)}
    gathered = {GATHER: timed(peers.gather, work.nothing_async, tasks, 100, answers=n)}
    processes = {
        f"{PROCESSES}(chunksize=64)": timed(
            peers.process_pool, work.nothing, tasks, 2, chunksize=64, answers=n
        ),
        JOBLIB: timed(peers.joblib, work.nothing, tasks, 2, answers=n),
    }
    for group, title, targets, mode, others in [
        ("serial", f"serial, {n:,} tasks", (0.08, 0.16), "serial", threads),
        ("thread", f"thread, 8 workers, {n:,}", (0.12, 0.22), "thread", threads),
        ("async", f"async, limit 100, {n:,}", (0.22, 0.40), "async", gathered),
    ]:
        (against,) = others
        contestants = {**_managers(tasks, **ours.fitting(mode)), **others}
        yield Row(group, title, against, _targets(*targets), contestants, _to(against), "us", us)
    both = {**_managers(tasks, **ours.fitting("process")), **processes}
    first, second = processes
    title = f"process, 2 workers, {n:,}"
    yield Row("process", title, first, _targets(0.70, 1.0), both, _to(first), "us", us)
    yield Row("process", "process, the same", second, _targets(0.25, 0.35), both, _to(second), "us", us)
    kept = logged(lambda log: ours.seconds_with_workers_kept("process", tasks, log))
    both = {**kept, second: processes[second]}
    title = "process, the same, workers kept on both sides"
    yield Row("process", title, second, _targets(0.25, 0.35), both, _to(second), "us", us)


def _empty_chains(n: int) -> Iterator[Row]:
    tasks = range(n)
    in_a_row = timed(peers.process_pool_in_a_row, work.nothing, tasks, 3, 200, answers=n)
    for mode, targets in [("process", (1.2, 2.0)), ("thread", (1.0, 2.0)), ("serial", (1.0, 2.0))]:
        contestants = {**_chains(work.nothing, tasks, mode), IN_A_ROW: in_a_row}
        title = f"chain of 3, {mode} mode, {n:,}"
        yield Row(
            "chain", title, IN_A_ROW, _targets(*targets), contestants, _to(IN_A_ROW), "us", 1e6 / n
        )


def _computing(n: int, uneven: int, through: int) -> Iterator[Row]:
    millisecond = work.work_of(0.001)
    skewed = work.work_of(0.02, uneven=True)
    for title, func, tasks, targets in [
        (f"process, {n:,} tasks of 1 ms of work, 2 workers", millisecond, range(n), (1.05, 1.10)),
        (
            f"process, {uneven} tasks of 20 ms, a tenth 10 times longer",
            skewed,
            range(uneven),
            (1.05, 1.05),
        ),
    ]:
        answers = len(tasks)
        pools = {
            f"{PROCESSES}(chunksize=16)": timed(
                peers.process_pool, func, tasks, 2, chunksize=16, answers=answers
            ),
            JOBLIB: timed(peers.joblib, func, tasks, 2, answers=answers),
            MPIRE: timed(peers.mpire, func, tasks, 2, answers=answers),
        }
        managers = _managers(tasks, func=func, execution_mode="process", worker_limit=2)
        against = "the best of ProcessPoolExecutor(chunksize=16), joblib, mpire"
        yield Row(
            "work",
            title,
            against,
            _targets(*targets),
            {**managers, **pools},
            _best_of(*pools),
            "ms",
            1e3,
        )
    tasks = range(through)

    def three_times() -> float:
        return sum(timed(peers.bare_loop, millisecond, tasks, answers=through)() for _ in range(3))

    yield Row(
        "work",
        f"chain of 3 x 1 ms of work, {through:,} tasks, process mode, 2 cores",
        "half the time of a bare loop over the same work",
        _targets(1.25, 1.30),
        {**_chains(millisecond, tasks, "process"), LOOP: three_times},
        _to(LOOP, share=0.5),
        "ms",
        1e3,
    )


def _waiting(threads: int, coroutines: int) -> Iterator[Row]:
    for mode, func, n, limit, targets in [
        ("thread", work.nap, threads, 100, (1.25, 1.4)),
        ("async", work.nap_async, coroutines, 1000, (2.0, 3.0)),
    ]:
        title = f"{mode}, {n:,} waits of 10 ms, {limit:,} at a time"
        ideal = work.NAP * n / limit
        managers = _managers(range(n), func=func, execution_mode=mode, worker_limit=limit)
        against = f"the ideal, {ideal:g} s"
        yield Row("wait", title, against, _targets(*targets), managers, _ideal(ideal), "ms", 1e3)


def _blobs(n: int) -> Iterator[Row]:
    tasks = range(n)
    managers = _managers(tasks, func=work.blob, execution_mode="process", worker_limit=2)
    pool = timed(peers.process_pool, work.blob, tasks, 2, answers=n)
    yield Row(
        "large",
        f"process, {n} results of 4 MB",
        PROCESSES,
        _targets(1.05, 1.05),
        {**managers, PROCESSES: pool},
        _to(PROCESSES),
        "ms",
        1e3,
    )


def _large_chains(n: int) -> Iterator[Row]:
    """A result of 4 MB, passed on once, and counted."""
    tasks = range(n)
    pools = timed(peers.process_pool_in_a_row, work.blob_on_its_way, tasks, 3, 1, answers=n)
    yield Row(
        "large",
        f"chain of 3, process mode, {n} results of 4 MB",
        IN_A_ROW_BY_ONE,
        _targets(1.05, 1.05),
        {**_chains(work.blob_on_its_way, tasks, "process"), IN_A_ROW_BY_ONE: pools},
        _to(IN_A_ROW_BY_ONE),
        "ms",
        1e3,
    )


def _memory(n: int) -> Iterator[Row]:
    for mode in ["serial", "thread", "process", "async"]:

        def growth(log: str | None, mode: str = mode) -> float:
            return _printed_by("-m", "tests.benchmarks.memory", mode, str(n), log or "-")

        yield Row(
            "memory",
            f"{mode}, {n:,} tasks from a generator, nothing kept",
            "1 MB more than at the start",
            _targets(50, 50),
            logged(growth),
            _ideal(1.0),
            "MB",
            1.0,
        )


def _growth(few: int, many: int) -> Iterator[Row]:
    for mode in ["serial", "thread", "process", "async"]:

        def cost(log: str | None, tasks: int, mode: str = mode) -> float:
            return ours.seconds_a_task(mode, range(tasks), with_log=log is not None)

        small = {f"{name}, {few:,}": run for name, run in logged(partial(cost, tasks=few)).items()}
        yield Row(
            "growth",
            f"{mode}, {many:,} tasks, all kept, a task",
            f"the same, {few:,} tasks",
            _targets(1.2, 1.2),
            {**logged(partial(cost, tasks=many)), **small},
            lambda rounds, contestant: _to(f"{contestant}, {few:,}")(rounds, contestant),
            "us",
            1e6,
        )


def _logs(n: int) -> Iterator[Row]:
    for title, tasks in [
        ("numbers", list(range(n))),
        ("rows of eight columns", work.table_rows(n)),
        ("arrays of 50 floats", work.arrays(n)),
    ]:
        managers = _managers(tasks, func=work.nothing_of)
        yield Row(
            "log",
            f"serial, {n:,} tasks that are {title}",
            "the same without a log",
            {OFF: 1.0, ON: 1.3},
            managers,
            _to(OFF),
            "us",
            1e6 / n,
        )


def _journals(n: int, many: int) -> Iterator[Row]:
    """What a journal costs, a task; and a start where all is done by an earlier process."""
    without = "without a journal"
    for mode in ["thread", "process"]:
        options = ours.fitting(mode)
        contestants = logged(
            lambda log, options=options: ours.seconds_with_journal(range(n), log, **options)
        )
        contestants[without] = timed(ours.manager, tasks=range(n), log=None, answers=n, **options)

        def on_top(rounds: Sequence[Figures], _: str) -> list[float]:
            return [figures[without] + 6e-6 * n for figures in rounds]

        title = f"{mode}, {n:,} tasks, with a journal"
        against = "6 us a task more than without one"
        yield Row("journal", title, against, _targets(1.0, 1.2), contestants, on_top, "us", 1e6 / n)
    for count, seconds in [(n, 1.0), (many, 10.0)]:
        yield Row(
            "journal",
            f"a start with {count:,} tasks, all done as the journal has it",
            f"{seconds:g} s",
            {OFF: 1.0},
            {OFF: lambda count=count: ours.seconds_to_resume(count)},
            _ideal(seconds),
            "s",
            1.0,
        )


def _states(n: int, through: int) -> Iterator[Row]:
    """What a state costs a task; what it costs to replace workers that need 0.1 s to come up."""
    without = "without a state"
    for mode in ["serial", "thread", "process", "async"]:
        options = ours.fitting(mode)
        bare = timed(ours.manager, tasks=range(n), log=None, answers=n, **options)
        options["func"] = work.nothing_beside_async if mode == "async" else work.nothing_beside
        having = timed(ours.manager, tasks=range(n), log=None, answers=n, worker_state=list, **options)

        def on_top(rounds: Sequence[Figures], _: str) -> list[float]:
            return [figures[without] + 0.05e-6 * n for figures in rounds]

        title, against = f"{mode}, {n:,} tasks, with a state", "0.05 us a task more than without one"
        both = {OFF: having, without: bare}
        yield Row("state", title, against, {OFF: 1.0}, both, on_top, "us", 1e6 / n)
    for mode in ["thread", "process"]:
        given = {"execution_mode": mode, "worker_limit": 2, "worker_state": work.slow_state}
        kept = timed(ours.manager, work.nap_beside, range(through), None, answers=through, **given)
        given["max_tasks_per_worker"] = 1000
        replaced = timed(ours.manager, work.nap_beside, range(through), None, answers=through, **given)
        title = f"{mode}, {through:,} waits of 1 ms, 2 at a time, max_tasks_per_worker=1000"
        both = {OFF: replaced, "workers kept": kept}
        against = "the same without"
        yield Row("state", title, against, {OFF: 1.05}, both, _to("workers kept"), "ms", 1e3)


def _imports() -> Row:
    def seconds_of(line: str) -> float:
        clock = "from time import perf_counter as clock; began = clock()"
        return _printed_by("-c", f"{clock}\n{line}\nprint(clock() - began)")

    theirs = "importing loguru and tqdm"
    return Row(
        "import",
        "import task_manager",
        theirs,
        {OFF: 1.3},
        {
            OFF: lambda: seconds_of("import task_manager"),
            theirs: lambda: seconds_of("import loguru, tqdm"),
        },
        _to(theirs),
        "ms",
        1e3,
    )


def _targets(off: float, on: float) -> dict[str, float]:
    return {OFF: off, ON: on}


def _printed_by(*arguments: str) -> float:
    """The number that a fresh interpreter prints. It keeps the bytecode of what it imports."""
    command = [sys.executable, *arguments]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return float(done.stdout)
