"""A dask scheduler with two workers, each started by its command; a node of ray."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE = 60  # seconds in which it is up


@dataclass(frozen=True)
class Dask:
    """address: Of the scheduler. started: The processes of the scheduler, and of each worker."""

    address: str
    started: list[subprocess.Popen[Any]]

    def workers(self) -> dict[str, int]:
        """The address of each, and the process in which it makes calls."""
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            return client.run(os.getpid)  # type: ignore[no-any-return]

    def end(self) -> None:
        """At once: each worker watches its nanny, and a nanny that is asked takes many seconds."""
        for process in self.started:
            process.kill()
            process.wait(10)


def start_dask() -> Dask:
    """It ends with this process at the latest."""
    from distributed import Client

    folder = tempfile.mkdtemp()
    where = str(Path(folder, "scheduler.json"))
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    started = []
    for command in (
        ["scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", where],
        *[["worker", "--nthreads", "1", "--no-dashboard", "--scheduler-file", where]] * 2,
    ):
        with Path(folder, f"{len(started)}.log").open("w") as log:
            called = [sys.executable, "-m", "dask", *command]
            started.append(subprocess.Popen(called, env=env, cwd=folder, stdout=log, stderr=log))
        atexit.register(started[-1].terminate)
    with Client(scheduler_file=where, timeout=PATIENCE, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=PATIENCE)
        return Dask(client.scheduler.address, started)


def start_ray() -> None:
    """One node of two cores, which managers find as it is there."""
    import ray

    here = {"env_vars": {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}}
    with contextlib.chdir(tempfile.mkdtemp()):  # of its workers, too
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env=here,
        )
