"""The conformance suite over executors: a plugin of pytest, `-p executor_modes`.

EXECUTORS=threads,processes,loky,dask,ray names those that take part; threads alone, if it is not set.
dask is a scheduler and two workers, each started by its command, ray one node, and loky one executor
that is passed in: they stay up for all tests, as they take seconds to start.
"""

from __future__ import annotations

import os
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import functions
from clusters import start_dask, start_ray
from task_manager import TaskManager

WANTED = os.environ.get("EXECUTORS", "threads").split(",")


def threads() -> Executor:
    return ThreadPoolExecutor(4)


def processes() -> Executor:
    return ProcessPoolExecutor(2)


def loky() -> Executor:
    from loky import ProcessPoolExecutor as OfLoky

    return OfLoky(2, timeout=None)  # type: ignore[no-any-return]


def options_of(way: str) -> dict[str, Any]:
    return OPTIONS[way] if way in OPTIONS else _options_of(way)


MADE = {"threads": threads, "processes": processes}
OPTIONS: dict[str, dict[str, Any]] = {}
for way in WANTED:
    if way == "dask":
        OPTIONS[way] = {"execution_mode": "dask", "address": start_dask().address}
    elif way == "loky":  # passed in: each start of its processes takes most of a second
        OPTIONS[way] = {"execution_mode": loky()}
    elif way == "ray":
        start_ray()
        OPTIONS[way] = {"execution_mode": "ray"}
    else:
        OPTIONS[way] = {"execution_mode": MADE[way]}
    functions.WAYS.append(way)
    if way != "threads":
        functions.APART.append(way)
    if way in ("ray", "loky"):
        functions.STAYING.append(way)
    if way in ("dask", "loky"):
        functions.DAEMONS.append(way)
    with TaskManager(functions.same, **OPTIONS[way], logger=None) as manager:
        manager.start(
            [1, "x" * 5_000_000]
        )  # what it starts once in a process is there before the first test

_options_of = functions.options_of
functions.options_of = options_of
