"""What the threads of stages have the caller's thread do, in the order in which they say it.

     stage threads ── post ──▶ deeds (deque), so many at most ──▶ work, in the caller's thread

The book, the journal and all observers are the caller's, and used there alone: none needs a lock.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

from .._platform import this_process
from .._run.run import TICK
from .._signals import HeldSignals

MOST = 64  # deeds that wait; then the stages wait, as where the reader of a stream does not come


class Inbox:
    """Owns what is to be done next in the caller's thread."""

    def __init__(self) -> None:
        self._home = this_process()
        self._deeds: deque[Callable[[], None]] = deque()
        self._room = threading.Semaphore(MOST)
        self._tokens: SimpleQueue[None] = SimpleQueue()  # one where there is something, or was
        self._told = False  # since the last look
        self._wake: Callable[[], object] | None = None  # of a loop that waits

    # ------------------------------------------------------------------ of the stages

    def post(self, deed: Callable[[], None], signals: HeldSignals | None = None) -> None:
        """Have this done. signals: Of the stage, which waits where there is no room; None: it does not.

        Nothing in a copy of the process, whose lock may be that of a thread which is not there.
        """
        if self._home is not this_process():
            return
        if signals is not None and not self._room.acquire(blocking=False):
            while not self._room.acquire(timeout=TICK):
                signals.deliver()
        self._deeds.append(deed)
        if not self._told:
            self._told = True
            self.poke()

    def poke(self) -> None:
        """Have the caller look. A signal handler of his may say so: no lock is taken."""
        self._tokens.put(None)
        wake = self._wake
        if wake is not None:
            with suppress(RuntimeError):  # the loop has ended
                wake()

    # ------------------------------------------------------------------ of the caller

    def wait(self, seconds: float) -> None:
        """Until there is something to do. A handler may interrupt it, and nothing is lost."""
        if not self._deeds:
            with suppress(Empty):
                self._tokens.get(timeout=seconds)

    async def arrival(self, seconds: float) -> None:
        """The same, in the running event loop."""
        loop = asyncio.get_running_loop()
        come = loop.create_future()
        self._wake = lambda: loop.call_soon_threadsafe(come.cancel)
        try:
            if not self._deeds:  # after the line before: one of the two sees what the other did
                await asyncio.wait([come], timeout=seconds)
        finally:
            self._wake = None

    def work(self) -> bool:
        """Do what there is now; whether there was anything. What a deed raises comes out of it."""
        while not self._tokens.empty():
            self._tokens.get()
        self._told = False  # first: who comes later leaves a token again
        count = len(self._deeds)
        for _ in range(count):
            deed = self._deeds.popleft()
            self._room.release()
            deed()
        return bool(count)

    def work_off(self) -> None:
        """The start is broken off: do all that is left, whatever one of them raises."""
        while self._deeds:
            with suppress(BaseException):
                self.work()
