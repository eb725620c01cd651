"""How the script is told to stop: its handlers, when they may raise, and a signal at a certain line."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import task_manager

from .plan import EXIT_CODE, SIGNALS, Trouble

PACKAGE = str(Path(task_manager.__file__).parent)


class TimeLimit(Exception):
    """What the script's handler of SIGALRM raises."""


def raise_time_limit(number: int, frame: Any) -> None:
    raise TimeLimit


def exit_on_term(number: int, frame: Any) -> None:
    sys.exit(EXIT_CODE)


HANDLERS = {"int": signal.default_int_handler, "alarm": raise_time_limit, "term": exit_on_term}


class Shield:
    """Lets the handlers of the script raise out of one start, and out of nothing else."""

    def __init__(self) -> None:
        self.raised: list[BaseException] = []
        self.late: list[str] = []

    def run(self, start: Callable[[], object], levels: int = 5) -> None:
        """Levels: What is raised while the handlers are taken away is caught by the next one."""
        try:
            if levels:
                self.run(start, levels - 1)
            else:
                self.arm()
                start()
            self.disarm()
        except BaseException as error:
            self.raised.append(error)
            self.disarm()

    def arm(self) -> None:
        for name, handler in HANDLERS.items():
            signal.signal(SIGNALS[name], handler)

    def disarm(self) -> None:
        for number in SIGNALS.values():
            signal.signal(number, self._note)

    def _note(self, number: int, frame: Any) -> None:
        self.late.append(next(name for name, signum in SIGNALS.items() if signum == number))


class Aim:
    """Sends a signal at a certain line of the library, as counted in the main thread."""

    home = 0

    def __init__(self, trouble: Trouble) -> None:
        self.name = trouble.what
        self.fired = False
        self._left = int(trouble.moment)

    def __enter__(self) -> Aim:
        Aim.home = os.getpid()
        self._before = sys.gettrace()  # that of a measurement of coverage
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _trace(self, frame: Any, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if event == "line" and os.getpid() == Aim.home:
            self._left -= 1
            if self._left == 0:
                self.fired = True
                os.kill(os.getpid(), SIGNALS[self.name])
        return self._trace


def _untraced_in_a_copy() -> None:
    if isinstance(getattr(sys.gettrace(), "__self__", None), Aim):
        sys.settrace(None)


os.register_at_fork(after_in_child=_untraced_in_a_copy)
