"""ray: a cluster, here or on other machines, as an executor. Its own retries are off."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from .copies import Copies


def executor(address: str | None) -> Executor:
    return RayExecutor(address)


class RayExecutor(Executor):
    """Owns the connection to ray, if it has made it; without an address that is a cluster of its own.

    max_workers: The cores of all nodes, as they are now.
    """

    def __init__(self, address: str | None) -> None:
        import ray

        _copies.refuse()
        self._ray = ray
        self._ours = not ray.is_initialized()
        if self._ours:
            here = {"env_vars": {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}}
            ray.init(
                address=address or "local",
                runtime_env=None if address else here,  # workers import what this process can import
                include_dashboard=None if address else False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        self._remote = ray.remote(num_cpus=1, max_retries=0, retry_exceptions=False)(_call)

    @property
    def max_workers(self) -> int:
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        theirs = self._remote.remote(function, args, kwargs)
        ours: Future[Any] = theirs.future()
        return ours

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if self._ours:
            with contextlib.suppress(Exception):
                self._ray.shutdown()


def _in_use() -> bool:
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


_copies = Copies("ray", _in_use)


def _call(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return function(*args, **kwargs)
