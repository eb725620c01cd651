"""The functions and hooks that do good and evil with the tasks."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from task_manager import TaskLogger, TaskManager, WorkerDiedError

from .plan import Deed, Stage
from .tasks import Odd, Unloadable, Unpicklable, number_of, result_of

RELEASE = threading.Event()  # ends all that wait for long in threads of this process
MINE = contextvars.ContextVar("MINE", default=0)  # a number from 1 up, in the context of one task
FORKED: list[int] = []  # copies of this process that nobody has waited for
LONG = 60.0  # seconds
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


class HookBroke(Exception):
    """What the hooks raise."""


REMEMBERED = LookupError("remembered")
"""One error object that is raised again and again."""


# ------------------------------------------------------------------ functions


class Work:
    """The function of one stage, as its plan says."""

    def __init__(self, stage: Stage, place: int, folder: Path) -> None:
        self.deeds = dict(stage.deeds)
        self.form = stage.form
        self.timeout = stage.timeout or 0.0
        self.place = place
        self.folder = folder
        self.__name__ = f"work{place + 1}"

    def __call__(self, *args: Any) -> Any:
        deed = self.deed(args)
        seconds = self.pause(deed)
        if seconds:
            RELEASE.wait(seconds) if seconds == LONG else time.sleep(seconds)
        return self.perform(deed, args)

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


# ------------------------------------------------------------------ hooks


class Complaining(TaskManager[Any, Any]):
    """Overrides handle_error."""

    plan: Stage

    def handle_error(self) -> None:
        if self.plan.complains:
            raise HookBroke("handle_error")


class Arguing(Complaining):
    """Overrides get_args as well."""

    def get_args(self, task: Any) -> Any:
        if number_of(task) in self.plan.bad_args:
            raise HookBroke("get_args")
        return task


class Judging(Complaining):
    """Overrides process_result as well.

    more: Tasks that it puts into the frontier, one for each result, while the run reads that.
    """

    frontier: Any = None
    more: list[Any] = []  # noqa: RUF012

    def process_result(self, task: Any, result: Any) -> Any:
        if self.frontier is not None and self.more:
            self.frontier.append(self.more.pop())
        if self.plan.bad_results and number_of(task) in self.plan.bad_results:
            raise HookBroke("process_result")
        return result


class Hooked(Arguing, Judging):
    """Overrides all hooks."""


def manager_of(stage: Stage, place: int, folder: Path, frontier: bool = False) -> TaskManager[Any, Any]:
    """A manager as planned, that overrides no more hooks than it must."""
    judges = bool(stage.bad_results) or frontier
    kinds = {
        (True, True): Hooked,
        (True, False): Arguing,
        (False, True): Judging,
        (False, False): Complaining,
    }
    kind = (
        kinds[bool(stage.bad_args), judges]
        if judges or stage.bad_args or stage.complains
        else TaskManager
    )
    retried: list[type[Exception]] = [TimeoutError, ConnectionError]
    if stage.retries_deaths:
        retried.append(WorkerDiedError)
    manager = kind(
        (AwaitedWork if stage.way == "async" else Work)(stage, place, folder),
        "process" if stage.in_process else stage.way,
        stage.workers,
        stage.retries,
        retry_exceptions=retried,
        retry_delay=0.005,
        task_timeout=stage.timeout,
        deduplicate=stage.deduplicate,
        logger=TaskLogger(folder / "logs") if stage.log else None,
        start_method=stage.way if stage.in_process else None,
        keep_results=stage.keep_results,
    )
    if isinstance(manager, Complaining):
        manager.plan = stage
    return manager
