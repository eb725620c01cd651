"""What a stage process hears from its parent: that it is to stop. Anything that comes says so."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from multiprocessing.connection import wait as wait_for

from .._stop import Stop

REASON = "stop()"


class Parent:
    """Owns the thread that listens; where none can be had, the run looks by itself, turn by turn."""

    def __init__(self, pipe: socket.socket, stop: Stop) -> None:
        self._pipe = pipe
        self._stop = stop
        self._has_thread = False

    def listen(self) -> None:
        """To be called once."""
        thread = threading.Thread(target=self._wait, name="task_manager-stop", daemon=True)
        with suppress(RuntimeError, MemoryError):
            thread.start()
            self._has_thread = True

    def look(self) -> None:
        """Called by the run: whether something has come."""
        if not self._has_thread and wait_for([self._pipe], 0.0):
            self._wait()

    def _wait(self) -> None:
        with suppress(OSError):
            if self._pipe.recv(1):
                self._stop.ask(REASON)
