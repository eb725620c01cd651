"""What a worker process has in its hands, as this process knows it.

submit ──▶ Part: waits here, not yet pickled ──▶ Held: sent ──▶ reported, and gone
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from multiprocessing.process import BaseProcess

from .._call import clock
from .._task import Batch
from .arguments import Share, pack_calls
from .channel import NAP, Channel, GarbageError
from .slot import SharedSlot


class Part:
    """Attempts of a batch that a worker is to have, and that are pickled as its pipe takes them.

    left: Which attempts of the batch are still to be sent.
    """

    def __init__(self, batch: Batch, positions: Sequence[int]) -> None:
        self.batch = batch
        self.left = positions
        whole = len(positions) == len(batch)
        calls = batch.calls if whole else [batch.calls[position] for position in positions]
        self._shares = pack_calls(calls, batch.unpack)

    def pack(self) -> tuple[Share, Sequence[int]]:
        """The next share, and which attempts of the batch it has."""
        share = next(self._shares)
        taken = self.left[: share.taken]
        self.left = self.left[share.taken :]
        return share, taken


class Held:
    """Attempts of a batch that were sent to a worker together.

    positions: Which attempts of the batch.
    base: The worker's number of the first of them; it numbers its calls from 0.
    done: How many of them have come back.
    weight: Bytes an attempt, on the way to the worker.
    """

    __slots__ = ("base", "batch", "done", "positions", "weight")

    def __init__(self, batch: Batch, positions: Sequence[int], base: int, weight: float = 0.0) -> None:
        self.batch = batch
        self.positions = positions
        self.base = base
        self.done = 0
        self.weight = weight

    @property
    def left(self) -> Sequence[int]:
        """Those that have not come back."""
        return self.positions[self.done :]

    @property
    def indices_left(self) -> list[int]:
        """The tasks that these are attempts for."""
        return [self.batch.indices[position] for position in self.left]


class Worker:
    """What this process knows of one worker process. The first one held is the one in its hands.

    number: Which worker it is.
    lost: It has sent what is no report.
    refusal: Why it cannot work, in its own words or in ours; "" while it may.
    """

    def __init__(self, process: BaseProcess, channel: Channel, slot: SharedSlot) -> None:
        self.number = 0
        self.process = process
        self.channel = channel
        self.slot = slot
        self.held: deque[Held] = deque()
        self.parts: deque[Part] = deque()
        self.sent = 0  # attempts, ever
        self.began = clock()
        self.ready = False
        self.lost = False
        self.refusal = ""
        self.pace = 0.0  # seconds a call, in its last report

    @property
    def gone(self) -> bool:
        """It is dead, or nothing that comes of it can be believed."""
        return self.channel.ended or self.lost

    @property
    def load(self) -> int:
        """What it has to do, in batches, about."""
        return len(self.held) + len(self.parts)

    @property
    def busy(self) -> bool:
        """It tells of each call, and has enough to do to be heard later."""
        return (
            self.channel.little
            and len(self.held) > 1
            and len(self.held[1].positions) * self.pace >= 2 * NAP
        )

    def hold(self, batch: Batch, positions: Sequence[int], size: int) -> None:
        """These have been sent, in so many bytes."""
        self.held.append(Held(batch, positions, self.sent, size / len(positions)))
        self.sent += len(positions)

    def expect(self, count: int) -> Held:
        """What so many outcomes belong to. Raises GarbageError if there are not so many to come."""
        if not self.held or len(self.held[0].left) < count:
            raise GarbageError
        return self.held[0]

    def index_of(self, number: int) -> int | None:
        """The task of the call of this number, if that is one that has not come back."""
        for held in self.held:
            if held.base + held.done <= number < held.base + len(held.positions):
                return held.batch.indices[held.positions[number - held.base]]
        return None
