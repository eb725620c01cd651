"""dask: a scheduler and its workers, here or on other machines, as an executor.

Its own retries and caching are off, as this library decides: each submission has a key of its own, and
is not repeated where it fails.  What was on a worker that is lost, the scheduler gives to another one
so often as its setting `allowed-failures` says; on a cluster of ours that is never.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, InvalidStateError
from typing import Any

from .copies import Copies

PATIENCE = 10.0  # seconds in which a scheduler has to answer
GLANCE = 0.5  # seconds between two looks at whether the client still has its scheduler


def executor(address: str | None) -> Executor:
    return DaskExecutor(address)


class DaskExecutor(Executor):
    """Owns a client, and a cluster of processes on this machine where there is no address.

    max_workers: The threads of all workers, as they are now.
    """

    def __init__(self, address: str | None) -> None:
        import dask
        import distributed

        _copies.refuse()
        self._cluster: Any = None
        self._loop = _Loop()
        try:
            if address is None:
                quiet = {"distributed.scheduler.allowed-failures": 0, "distributed.worker.daemon": True}
                with dask.config.set(quiet):
                    self._cluster = distributed.LocalCluster(
                        threads_per_worker=1,
                        processes=True,
                        dashboard_address=None,
                        silence_logs=50,
                        loop=self._loop.loop,
                    )
            self._client = distributed.Client(
                self._cluster or address, timeout=PATIENCE, set_as_default=False, loop=self._loop.loop
            )
        except BaseException:
            if self._cluster is not None:
                self._cluster.close()
            self._loop.close()
            raise
        self._address = address or self._cluster.scheduler_address
        self._open: set[_Future] = set()
        _made.add(self)
        self._loop.loop.add_callback(self._watch)

    @property
    def max_workers(self) -> int:
        return sum(self._client.nthreads().values())

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if self._lost:
            raise self._broken()
        theirs = self._client.submit(function, *args, **kwargs, pure=False, retries=0)
        ours = _Future(theirs)
        self._open.add(ours)
        ours.add_done_callback(self._open.discard)
        theirs.add_done_callback(_Settle(ours))
        if self._lost:  # meanwhile, and `_watch` may not have seen this one
            _fail(ours, self._broken())
        return ours

    def call_everywhere(self, function: Callable[[Any], Any], argument: Any) -> None:
        """In each worker, beside the calls that it makes."""

        async def call() -> None:
            await self._client.run(function, argument, on_error="ignore")

        self._client.sync(call, callback_timeout=PATIENCE)

    @property
    def _lost(self) -> bool:
        return self._client.status in ("closing", "closed")

    def _broken(self) -> BrokenExecutor:
        return BrokenExecutor(f"dask's scheduler at {self._address} is gone")

    async def _watch(self) -> None:
        """A client that gives its scheduler up leaves futures pending for ever: theirs are failed."""
        while not self._lost:
            await asyncio.sleep(GLANCE)
        for future in list(self._open):
            _fail(future, self._broken())

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        with contextlib.suppress(Exception):  # it may be gone
            self._client.close(timeout=2)
        if self._cluster is not None:
            self._cluster.close(timeout=5)
        self._loop.close()
        _made.discard(self)


class _Loop:
    """Owns the thread of a client and a cluster. Their own goes on where one of them has failed."""

    def __init__(self) -> None:
        self._up = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._run()), name="task_manager-dask", daemon=True
        )
        self._thread.start()
        self._up.wait()

    async def _run(self) -> None:
        from tornado.ioloop import IOLoop

        self.loop = IOLoop.current()
        self._over = asyncio.Event()
        self._up.set()
        await self._over.wait()

    def close(self) -> None:
        with contextlib.suppress(RuntimeError):  # it is closed
            self.loop.add_callback(self._over.set)
        if threading.current_thread() is not self._thread:
            self._thread.join(PATIENCE)


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


def _in_use() -> bool:
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return False
    with contextlib.suppress(ValueError):  # there is no client of the script's own
        return bool(_made) or distributed.default_client() is not None
    return False


_made: weakref.WeakSet[DaskExecutor] = weakref.WeakSet()
_copies = Copies("dask", _in_use)


def _fail(future: Future[Any], error: BaseException) -> None:
    with contextlib.suppress(InvalidStateError):  # it has come all the same
        future.set_exception(error)


class _Settle:
    """What became of dask's future becomes of ours. Called in a thread of the client's."""

    def __init__(self, ours: Future[Any]) -> None:
        self._ours = ours

    def __call__(self, theirs: Any) -> None:
        ours = self._ours
        if ours.done():
            return
        if theirs.cancelled():  # as where the scheduler is lost
            Future.cancel(ours)
            ours.set_running_or_notify_cancel()
            return
        try:
            result = theirs.result()
        except BaseException as error:
            _fail(ours, error)
        else:
            with contextlib.suppress(InvalidStateError):
                ours.set_result(result)
