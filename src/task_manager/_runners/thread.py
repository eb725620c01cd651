"""Calls in threads of this process.

     caller's thread                      worker threads, daemons
     submit ──▶ inbox (SimpleQueue) ──▶   call_batch
     collect ◀── outbox (SimpleQueue) ◀── outcomes

Nothing else is shared.  A thread cannot be killed: one that is in the middle of a call when the
runner closes is left to end by itself, and does not keep the interpreter from exiting.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from .._call import IDLE, call_batch
from .._task import Batch
from . import Answer

FAREWELL = 0.2  # seconds that closing waits, all together, for threads to end


class ThreadRunner:
    sharing = 1
    calls_here = False

    def __init__(self, func: Callable[..., Any], workers: int) -> None:
        self.workers = workers
        self._func = func
        self._inbox: SimpleQueue[Batch | None] = SimpleQueue()
        self._outbox: SimpleQueue[Answer] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._in_flight = 0
        self._closing = threading.Event()

    def room(self, depth: int) -> bool:
        return self._in_flight < self.workers * depth

    def submit(self, batch: Batch) -> None:
        if len(self._threads) < self.workers and self._in_flight >= len(self._threads):
            self._hire()
        self._in_flight += 1
        self._inbox.put(batch)

    def collect(self, timeout: float) -> list[Answer]:
        answers: list[Answer] = []
        with suppress(Empty):
            answers.append(self._outbox.get(timeout=timeout))
            while True:
                answers.append(self._outbox.get_nowait())
        for batch, outcomes in answers:
            self._in_flight -= outcomes.positions[-1] == len(batch) - 1
        return answers

    def close(self) -> None:
        self._closing.set()
        for _ in self._threads:
            self._inbox.put(None)
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(FAREWELL / len(self._threads))
        self._threads.clear()

    def _hire(self) -> None:
        thread = threading.Thread(
            target=work,
            args=(self._func, self._inbox, self._outbox, self._closing),
            name=f"task_manager-{len(self._threads) + 1}",
            daemon=True,
        )
        self._threads.append(thread)
        thread.start()


def work(
    func: Callable[..., Any],
    inbox: SimpleQueue[Batch | None],
    outbox: SimpleQueue[Answer],
    closing: threading.Event,
) -> None:
    """The life of a worker thread. Knows no runner, so that a dropped one can be collected."""
    slot = [IDLE, 0.0]
    while (batch := inbox.get()) is not None and not closing.is_set():
        for outcomes in call_batch(func, batch.calls, slot):
            outbox.put((batch, outcomes))
            if closing.is_set():
                return
        del batch, outcomes
