"""Where a Ctrl-C may be raised in a run: where it waits, and where it calls what is the user's.

KeyboardInterrupt comes between any two steps of the main thread. Between two steps of a run's books
it would leave a task that is entered nowhere, or counted and not kept: so there it is held back.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
V = TypeVar("V")


class CtrlC:
    """Owns the handling of SIGINT for the time of one run, if that is in the main thread.

    A second Ctrl-C, while the first is held back, is raised wherever it comes: something is stuck.

    allowed: It may be raised now.
    """

    def __init__(self) -> None:
        self.allowed = False
        self._pressed: tuple[int, FrameType | None] | None = None
        self._handler: Callable[[int, FrameType | None], object] | None = None

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold it back from here on, except where `through` or `allowed` says otherwise."""
        handler = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is not threading.main_thread() or not callable(handler):
            yield
            return
        self._handler = handler
        signal.signal(signal.SIGINT, self._take)
        try:
            yield
        finally:
            if signal.getsignal(signal.SIGINT) == self._take:
                signal.signal(signal.SIGINT, handler)
            self.deliver()

    def through(self, function: Callable[P, V], *args: P.args, **options: P.kwargs) -> V:
        """Call the function, which a Ctrl-C may interrupt: one that waits now, or one that comes."""
        self.deliver()
        self.allowed = True
        try:
            return function(*args, **options)
        finally:
            self.allowed = False

    def deliver(self) -> None:
        """Raise the one that waits, if there is one."""
        pressed, self._pressed = self._pressed, None
        if pressed is not None and self._handler is not None:
            self._handler(*pressed)

    def _take(self, number: int, frame: FrameType | None) -> None:
        held_back = self._pressed is None and not self.allowed
        self._pressed = (number, frame)
        if not held_back:
            self.deliver()


def ignore_ctrl_c(number: int, frame: FrameType | None) -> None:
    """The handler of processes of ours. Other programs that they start would inherit SIG_IGN."""


def let_through(error: BaseException) -> None:
    """Raise this error again if a handler of a signal raised it, and not the object that was used.

    To be called wherever any BaseException of an object of the user's is caught.
    """
    deaf = (ignore_ctrl_c, signal.SIG_IGN)
    if isinstance(error, KeyboardInterrupt) and signal.getsignal(signal.SIGINT) not in deaf:
        raise error
