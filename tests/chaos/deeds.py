"""The functions that do good and evil with the tasks."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from task_manager import RetryAfter

from .plan import Deed, Stage
from .states import MixedUp, State, first_of_all, write
from .tasks import Odd, Unloadable, Unpicklable, number_of, result_of

RELEASE = threading.Event()  # ends all that wait for long in threads of this process
MINE = contextvars.ContextVar("MINE", default=0)  # a number from 1 up, in the context of one task
FORKED: list[int] = []  # copies of this process that nobody has waited for
STOP: list[Callable[[], bool]] = []  # that of the manager or chain that runs, in this process
LONG = 60.0  # seconds
SOON = 0.005
OPENED = "opened"  # the file that says that nothing takes long any more
EXIT_STATUS = 5
ENDS = {"exit": EXIT_STATUS, "sigkill": -signal.SIGKILL, "sigsegv": -signal.SIGSEGV}
"""How a process dies, and the exit code that is seen of it."""


class Custom(BaseException):
    """An exception that derives from no Exception."""


class TwoArguments(Exception):
    """Pickles, but does not unpickle: its __init__ wants more than args has."""

    def __init__(self, n: int, reason: str) -> None:
        super().__init__(f"{reason} {n}")


REMEMBERED = LookupError("remembered")
"""One error object that is raised again and again."""


class Work:
    """The function of one stage, as its plan says."""

    def __init__(self, stage: Stage, place: int, folder: Path, calls: Path | None = None) -> None:
        """calls: A file for the numbers of the tasks that it is called for."""
        self.calls = calls
        self.deeds = dict(stage.deeds)
        self.form = stage.form
        self.timeout = stage.timeout or 0.0
        self.stateful = bool(stage.state)
        self.place = place
        self.folder = folder
        self.__name__ = f"work{place + 1}"

    def __call__(self, *args: Any) -> Any:
        args = self.begin(args)
        deed = self.deed(args)
        seconds = self.pause(deed)
        if seconds:
            RELEASE.wait(seconds) if seconds == LONG else time.sleep(seconds)
        return self.perform(deed, args)

    def begin(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments without the state."""
        if self.stateful:
            state, *rest = args
            if not isinstance(state, State):
                raise MixedUp(f"there is no state: {args!r}")
            state.enter()
            args = tuple(rest)
        if self.calls is not None:
            write(self.calls, str(number_of(args)))
        return args

    def deed(self, args: Sequence[Any]) -> Deed | None:
        return self.deeds.get(number_of(args))

    def pause(self, deed: Deed | None) -> float:
        """Seconds that it takes."""
        match deed:
            case Deed("slow", seconds):
                return float(seconds)
            case Deed("late"):
                return self.timeout + 0.15
            case Deed("hang"):
                return LONG
            case Deed("long") if not (self.folder / OPENED).exists():
                return LONG
        return 0.0

    def perform(self, deed: Deed | None, args: Sequence[Any]) -> Any:
        n = number_of(args)
        match deed:
            case Deed("flaky", failures) if self._calls(n) <= int(failures):
                raise ConnectionError(f"not yet {n}")
            case Deed("comes back", failures) if self._calls(n) <= int(failures):
                raise RetryAfter(SOON, all=n % 2 == 0)
            case Deed("stops", times) if first_of_all(self.folder / f"stopped{self.place}-{n}"):
                for _ in range(int(times)):
                    STOP[-1]()
            case Deed("bad"):
                raise ValueError(f"bad {n}")
            case Deed("down"):
                raise ConnectionError(f"down {n}")
            case Deed("base", name):
                raise base_error(str(name))
            case Deed("remembered"):
                raise REMEMBERED
            case Deed("odd error"):
                raise TwoArguments(n, "odd")
            case Deed("unpicklable"):
                return Unpicklable(n)
            case Deed("unloadable"):
                return Unloadable(n)
            case Deed("odd result"):
                return Odd(n)
            case Deed("dies", how):
                die(str(how))
            case Deed("dies once", how) if self._calls(n) == 1:
                die(str(how))
            case Deed("forks"):
                if pid := os.fork():
                    FORKED.append(pid)
            case Deed("changes"):
                change(args[0])
            case Deed("closes"):
                os.closerange(0, 64)
        return result_of(self.form, n)

    def _calls(self, n: int) -> int:
        """Leave a byte for this call; how many there are."""
        path = self.folder / f"{self.place}-{n}"
        with path.open("a") as calls:
            calls.write("x")
        return path.stat().st_size


class AwaitedWork(Work):
    async def __call__(self, *args: Any) -> Any:
        args = self.begin(args)
        if others := MINE.get():
            raise RuntimeError(f"sees what the task {others} has set")
        MINE.set(number_of(args))
        deed = self.deed(args)
        await asyncio.sleep(self.pause(deed))
        return self.perform(deed, args)


def base_error(name: str) -> BaseException:
    errors: dict[str, type[BaseException]] = {
        "SystemExit": SystemExit,
        "KeyboardInterrupt": KeyboardInterrupt,
        "GeneratorExit": GeneratorExit,
        "StopIteration": StopIteration,
        "CancelledError": asyncio.CancelledError,
        "Custom": Custom,
    }
    return errors[name]("out of the function")


def die(how: str) -> None:
    if how == "exit":
        os._exit(EXIT_STATUS)
    os.kill(os.getpid(), -ENDS[how])
    time.sleep(LONG)  # until it is delivered


def change(task: Any) -> None:
    """What a function does to a task that it takes for its own. Two of them are equal afterwards."""
    task.clear()
    if isinstance(task, dict):
        task["done"] = True
