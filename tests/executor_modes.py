"""The conformance suite over executors: a plugin of pytest, `-p executor_modes`.

EXECUTORS=threads,processes,loky,dask,ray names those that take part; threads alone, if it is not set.
dask is a scheduler and two workers, each started by its command, and ray one node: both stay up for all
tests, as each takes seconds to start.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import tempfile
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import functions

WANTED = os.environ.get("EXECUTORS", "threads").split(",")


def threads() -> Executor:
    return ThreadPoolExecutor(4)


def processes() -> Executor:
    return ProcessPoolExecutor(2)


def loky() -> Executor:
    from loky import ProcessPoolExecutor as OfLoky

    return OfLoky(2, timeout=None)  # type: ignore[no-any-return]


def start_dask() -> str:
    """The address of a scheduler with two workers, which end with this process."""
    folder = tempfile.mkdtemp()
    where = os.path.join(folder, "scheduler.json")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    dask, started = [sys.executable, "-m", "dask"], []
    for command in (
        ["scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", where],
        *[["worker", "--nthreads", "1", "--no-dashboard", "--scheduler-file", where]] * 2,
    ):
        log = Path(folder, f"{len(started)}.log").open("w")
        started.append(subprocess.Popen([*dask, *command], env=env, cwd=folder, stdout=log, stderr=log))
        log.close()
    for process in started:
        atexit.register(process.terminate)
    from distributed import Client

    with Client(scheduler_file=where, timeout=60, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
        return client.scheduler.address  # type: ignore[no-any-return]


def start_ray() -> None:
    """One node of two cores, which managers find as it is there."""
    import logging

    import ray

    here = {"env_vars": {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}}
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        runtime_env=here,
    )


def options_of(way: str) -> dict[str, Any]:
    return OPTIONS[way] if way in OPTIONS else _options_of(way)


OPTIONS: dict[str, dict[str, Any]] = {}
for way in WANTED:
    match way:
        case "dask":
            OPTIONS[way] = {"execution_mode": "dask", "address": start_dask()}
        case "ray":
            start_ray()
            OPTIONS[way] = {"execution_mode": "ray"}
        case _:
            OPTIONS[way] = {
                "execution_mode": {"threads": threads, "processes": processes, "loky": loky}[way]
            }
    functions.WAYS.append(way)
    if way != "threads":
        functions.APART.append(way)

_options_of = functions.options_of
functions.options_of = options_of
