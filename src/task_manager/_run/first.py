"""First attempts for new tasks: of which key each is, and the arguments of its call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._call import NEVER, Slot
from .._repr import text_of
from .._signals import HeldSignals, let_through
from .._stop import Stop
from .._task import Attempt, Batch
from ..errors import RateKeyError
from .gate import Gate
from .hooks import batch_of
from .notes import caused


class FirstAttempts:
    """Calls the hooks get_args and rate_key; each may be None.

    slot: Told for which task. stop: Once it is asked, they are called for no more.
    fail: Called with the index, the task, its error and 0 attempts, where one of them raised.
    """

    def __init__(
        self,
        get_args: Callable[[Any], Any] | None,
        rate_key: Callable[[Any], Any] | None,
        slot: Slot,
        signals: HeldSignals,
        stop: Stop,
        fail: Callable[[int, Any, BaseException, int], None],
    ) -> None:
        self._get_args = get_args
        self._rate_key = rate_key
        self._slot = slot
        self._signals = signals
        self._stop = stop
        self._fail = fail

    def batch(self, indices: list[int], tasks: list[Any]) -> Batch:
        """Attempts for these tasks."""
        return batch_of(
            self._get_args, indices, tasks, self._slot, self._signals, self._fail, self._stop
        )

    def batch_of_due(self, due: list[Attempt]) -> Batch:
        """What has waited: retries as they are, and new tasks, whose arguments are made only now."""
        again = [attempt for attempt in due if attempt.number]
        if len(again) == len(due):
            return Batch.of(due)
        new = [attempt for attempt in due if not attempt.number]
        batch = self.batch([one.index for one in new], [one.task for one in new])
        if not again:
            return batch
        return Batch.of(again + [batch.attempt(position) for position in range(len(batch))])

    def queue(
        self, indices: list[int], tasks: list[Any], gate: Gate, queue: Callable[[Attempt], None]
    ) -> bool:
        """Let each wait for its key. Answers False where each may go as it is.

        What `rate_key` gives is compared as tasks are: by content where it cannot be hashed.
        """
        if self._rate_key is None:
            return False
        for index, task in zip(self._stop.take(self._stop, indices), tasks):  # noqa: B905 - as it stops
            self._slot[0], self._slot[1] = index, 0.0
            try:
                gate.enter(index, self._signals.through(self._rate_key, task))
            except Exception as error:
                let_through(error)
                self._fail(index, task, caused(RateKeyError(task, text_of(error)), error), 0)
            else:
                queue(Attempt(index, task, (), number=0))
        self._slot[1] = NEVER
        return True
