"""A few bytes of shared memory, in which a process of ours tells its current call."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

from .._call import IDLE, NEVER
from .._platform import MemoryByArgument, MemoryByPipe, shared_by_argument

FRESH = [IDLE, NEVER, IDLE, IDLE]
STOPPED = 3  # the cell of the run that is stopped


class SharedSlot:
    """The two floats of a Slot, living in two processes at once.

    And a third one: the number of the last call whose outcome is being reported. Meanwhile the first one
    tells of the outcome that is being pickled, and not how far the calls have come.

    And a fourth one, which the parent writes: the number of the run that is stopped, IDLE before.
    """

    def __init__(self, memory: MemoryByPipe | MemoryByArgument) -> None:
        self._memory = memory
        self.cells = memory.cells  # the floats themselves, for a loop in a hurry

    @staticmethod
    def argument() -> Any:
        """What is to be an argument of a process that is to have a slot; None where it needs none."""
        return shared_by_argument(FRESH)

    @classmethod
    def share(cls, argument: Any, pipe: socket.socket) -> SharedSlot:
        """The slot of a process that was started with this argument, at the other end of the pipe."""
        if argument is not None:
            return cls(MemoryByArgument(argument))
        return cls(MemoryByPipe.make_and_send(pipe, FRESH))

    @classmethod
    def receive(cls, argument: Any, pipe: socket.socket) -> SharedSlot:
        """The same slot, in that process. Raises EOFError when the other side is gone."""
        if argument is not None:
            return cls(MemoryByArgument(argument))
        return cls(MemoryByPipe.receive(pipe))

    def __getitem__(self, cell: int) -> float:
        return self.cells[cell]

    def stop(self, run: int) -> None:
        """In the parent, in any thread: tell the other side that no call of this run is to begin."""
        with suppress(ValueError):  # it has been closed
            self.cells[STOPPED] = run

    def close(self) -> None:
        self._memory.close()
