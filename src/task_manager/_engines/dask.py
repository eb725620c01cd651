"""dask: a scheduler and its workers, here or on other machines, as an executor.

Its own retries and caching are off, as this library decides: each submission has a key of its own, and
is not repeated where it fails.  What was on a worker that is lost, the scheduler gives to another one
so often as its setting `allowed-failures` says; on a cluster of ours that is never.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

PATIENCE = 10.0  # seconds in which a scheduler has to answer


def executor(address: str | None) -> Executor:
    return DaskExecutor(address)


class DaskExecutor(Executor):
    """Owns a client, and a cluster of processes on this machine where there is no address.

    max_workers: The threads of all workers, as they are now.
    """

    def __init__(self, address: str | None) -> None:
        import dask
        import distributed

        self._cluster: Any = None
        if address is None:
            quiet = {"distributed.scheduler.allowed-failures": 0, "distributed.worker.daemon": True}
            with dask.config.set(quiet):
                self._cluster = distributed.LocalCluster(
                    threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
                )
        try:
            self._client = distributed.Client(
                self._cluster or address, timeout=PATIENCE, set_as_default=False
            )
        except BaseException:
            if self._cluster is not None:
                self._cluster.close()
            raise

    @property
    def max_workers(self) -> int:
        return sum(self._client.nthreads().values())

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        theirs = self._client.submit(function, *args, **kwargs, pure=False, retries=0)
        ours: Future[Any] = _Future(theirs)
        theirs.add_done_callback(_Settle(ours))
        return ours

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        with contextlib.suppress(Exception):  # it may be gone
            self._client.close(timeout=2)
        if self._cluster is not None:
            self._cluster.close(timeout=5)


class _Future(Future[Any]):
    """A future of concurrent.futures, which cancels the one of dask too."""

    def __init__(self, theirs: Any) -> None:
        super().__init__()
        self._theirs = theirs

    def cancel(self) -> bool:
        if not super().cancel():
            return False
        self._theirs.cancel()
        return True


class _Settle:
    """What became of dask's future becomes of ours. Called in a thread of the client's."""

    def __init__(self, ours: Future[Any]) -> None:
        self._ours = ours

    def __call__(self, theirs: Any) -> None:
        ours = self._ours
        if ours.cancelled() or not ours.set_running_or_notify_cancel():
            return
        try:
            result = theirs.result()
        except BaseException as error:
            ours.set_exception(error)
        else:
            ours.set_result(result)
