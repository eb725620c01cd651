"""How many attempts travel together, and how many batches may wait at a worker."""

from __future__ import annotations

TARGET = 0.015  # seconds of work that a batch is worth: hides a hand-over, keeps answers fresh
MOST_ATTEMPTS = 1000  # of a batch: beyond this nothing more is saved, and memory grows with the batch
HEAVIEST = 1 << 20  # bytes of arguments that a batch is worth: how far the input is read ahead
GROWTH = 4  # a batch grows at most so many times from one to the next, as a guess may be wrong
SLOW = 0.25  # seconds a task; of such tasks no worker has a second batch waiting


class BatchSize:
    """Sizes batches by the measured time of the tasks so far.

    Owns the running mean.  A batch starts at one attempt, aims at `worth` seconds of work, is no
    heavier than HEAVIEST bytes, and shrinks towards the end of an input of known length, so that no
    worker is left with a long tail.

    workers: How many batches are worked on at the same time.
    sharing: How many workers take from the same batch; 1 where a worker has a batch to itself.
    worth: Seconds of work that a batch is worth, where a hand-over costs more than in our own modes.
    longest: Attempts that a worker may have at all; None: no limit.
    """

    def __init__(
        self, workers: int, sharing: int = 1, worth: float = TARGET, longest: int | None = None
    ) -> None:
        self._workers = workers
        self._sharing = sharing
        self._worth = worth
        self._most = MOST_ATTEMPTS if longest is None else min(longest, MOST_ATTEMPTS)
        self._mean = 0.0
        self._bytes_each = 0.0
        self._size = 1

    @property
    def depth(self) -> int:
        """Batches that one worker may hold: the one it is at, and the next one unless tasks are slow.

        Slow tasks wait here, and not behind one that may be slower still.
        """
        return 1 if self._mean >= SLOW or self._mean == 0.0 else 2

    def size(self, remaining: int | None) -> int:
        """Attempts for the next batch. remaining: tasks not yet taken, None where unknown."""
        if remaining is None:
            return self._size
        share = remaining // (2 * self._workers) * self._sharing
        return max(1, min(self._size, share))

    def worth(self, attempts: int) -> float:
        """Seconds that so many attempts will take one worker, by what is known so far."""
        return attempts * self._mean

    def learn(self, attempts: int, seconds: float, bytes_each: float = 0.0) -> None:
        """Take in that so many attempts took so many seconds of their workers' time, all together.

        bytes_each: Of an attempt's arguments, where they travel; more is believed at once, less later.
        """
        mean = max(seconds / attempts, 1e-9)
        weight = min(0.5, max(0.1, attempts / self._size))
        self._mean = mean if self._mean == 0.0 else self._mean + weight * (mean - self._mean)
        wanted = int(self._worth * self._sharing / self._mean)
        self._bytes_each = max(bytes_each, self._bytes_each / 2)
        bearable = int(HEAVIEST / max(1.0, self._bytes_each))
        self._size = max(1, min(wanted, bearable, self._size * GROWTH, self._most))
