"""stop(), said to a start at a random moment: from a thread, or from the handler of a signal."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from .plan import Trouble

HALT = signal.SIGUSR2
PROMPT = 10.0  # seconds in which a start that was told to stop must end, on the busiest machine
STEP = 0.002  # seconds between two attempts to find a run that can be stopped


class Halts:
    """Says stop() once a run is there that hears it, and perhaps a second time.

    said: When it was heard for the first time; None: never.
    """

    def __init__(self, stop: Callable[[], bool], troubles: Sequence[Trouble]) -> None:
        self._stop = stop
        self._troubles = troubles
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._before: Any = None
        self.said: float | None = None
        self.faults: list[str] = []

    def __enter__(self) -> Halts:
        self._before = signal.signal(HALT, lambda number, frame: self._say())
        for trouble in self._troubles:
            thread = threading.Thread(target=self._follow, args=(trouble,))
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        took = 0.0 if self.said is None else time.monotonic() - self.said
        self._over.set()
        for thread in self._threads:
            thread.join()
        signal.signal(HALT, self._before)
        if took > PROMPT:
            self.faults.append(f"the start went on for {took:.1f} s after stop()")

    def _follow(self, trouble: Trouble) -> None:
        if self._over.wait(trouble.moment):
            return
        self._heard(trouble)
        if trouble.lasting and not self._over.wait(trouble.lasting):
            self._heard(trouble)

    def _heard(self, trouble: Trouble) -> None:
        """Until there is a run that hears it."""
        before = self._times
        while self._times == before and not self._over.wait(STEP):
            os.kill(os.getpid(), HALT) if trouble.by == "handler" else self._say()
            if trouble.by == "handler" and self._over.wait(10 * STEP):
                return

    _times = 0

    def _say(self) -> None:
        if self._stop():
            self._times += 1
            self.said = self.said or time.monotonic()
