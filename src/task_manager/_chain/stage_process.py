"""A stage process of a chain, as its parent knows it."""

from __future__ import annotations

import copy
import multiprocessing
import socket
from contextlib import ExitStack, suppress
from multiprocessing.process import BaseProcess
from typing import Any

from .._call import IDLE, NEVER, clock
from .._processes import wire
from .._processes.channel import Channel
from .._processes.life import FAREWELL, end_process
from .._processes.slot import SharedSlot, start_with_slot
from .._run.recorder import Recorder
from .._runners import MODES
from ..errors import StageDiedError
from ..manager import TaskManager
from .link import LinkQueue
from .reports import in_hand
from .stage import run_stage


class StageProcess:
    """Owns the process of one stage, its pipe and its slot.

    opening: The tickets that may be unpickled there just now, where the slot does not tell which.
    held: The tickets that it has taken, and the number of each there, in the order taken, from 0.
    began, ready: When it was started; it has come up.
    concluding: It has told all about its tasks, and calls `handle_error`.
    ended: It has said that it is through, and that all it had to pass on is in the pipe of its queue.
    garbled: What came out of its pipe, or of its link to the next stage, is nothing that it says.
    """

    def __init__(self, number: int, manager: TaskManager, recorder: Recorder) -> None:
        self.number = number
        self.manager = manager
        self.recorder = recorder
        self.opening: list[int] = []
        self.held: dict[int, int] = {}
        self.taken = 0
        self.ready = False
        self.concluding = False
        self.ended = False
        self.garbled = False
        self.began = clock()
        self.process: BaseProcess
        self.channel: Channel
        self._slot: SharedSlot | None = None  # as long as there is a process
        self._files = ExitStack()
        self._told = IDLE, NEVER
        self._pid: int | None = None
        self.exitcode: int | None = None

    @property
    def context(self) -> Any:
        """Of multiprocessing: how this stage's process is started."""
        return multiprocessing.get_context(self.manager.start_method)

    def start(
        self, concluded: bool, incoming: socket.socket | LinkQueue, outgoing: LinkQueue | None
    ) -> None:
        """To be called inside `uninterrupted`; `end` may be called whatever this raises."""
        self.began = clock()
        # The parent writes the log and draws the bar.
        travelling = copy.copy(self.manager)
        travelling.logger = None
        travelling.show_progress = False
        method = self.context.get_start_method()
        packed = travelling if method == "fork" else wire.pack_object(travelling, method)
        self.process, pipe, slot = start_with_slot(
            self.context,
            run_stage,
            packed,
            self.number,
            MODES[self.manager.execution_mode].beside,
            concluded,
            incoming,
            outgoing,
            name=f"task_manager-stage-{self.number + 1}",
        )
        self._slot = slot
        self._files.callback(slot.close)
        self._files.callback(pipe.close)
        self.channel = Channel(pipe)

    @property
    def waits(self) -> bool:
        """It has no task in hand, and does nothing else that may take long."""
        calls = self._slot is None or self._slot[1] != NEVER
        return self.ready and not (self.concluding or self.tickets or calls)

    def kill(self) -> None:
        """Where it runs."""
        if self._slot is not None:
            self.process.kill()

    def end(self) -> None:
        """Wait for the end of the process, killed or not, and close all that belongs to it."""
        slot, self._slot = self._slot, None
        if slot is None:
            return
        self._pid = self.process.pid
        with self._files:
            try:
                self.exitcode = end_process(self.process, FAREWELL)
            except (
                BaseException
            ):  # as out of a handler of a signal; what was begun is ended nevertheless
                with suppress(ValueError):  # it has been
                    self.process.kill()
                    end_process(self.process, FAREWELL)
                raise
            finally:
                self._told = slot[0], slot[1]

    # ------------------------------------------------------------------ after its death

    @property
    def tickets(self) -> list[int]:
        """The tickets that are with it, or were when it died."""
        return [*self.opening, *self.held]

    @property
    def in_hand(self) -> int | None:
        """The ticket that it had begun to do something for last; None if that is unknown."""
        return None if self.garbled else in_hand(self._told[0], self.held)

    @property
    def going_on(self) -> bool:
        """It was in the middle of that."""
        return self.in_hand is not None and self._told[1] != NEVER

    @property
    def error(self) -> StageDiedError:
        return StageDiedError(self.number + 1, self._pid, self.exitcode)
