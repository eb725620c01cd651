"""The script that runs scenarios, as a user's would: `python -m tests.chaos.child folder seed mode N...`

It tells its driver on stdout what it does, and for each scenario at last what was wrong.  Where the
driver makes trouble, it says when a start begins and ends, and is told how much there was of it.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import itertools
import json
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from multiprocessing import forkserver, resource_tracker
from pathlib import Path
from typing import Any

import psutil

import task_manager
from task_manager import TaskChain

from . import deeds
from .books import Account, Books, by_number
from .draw import draw
from .plan import EXIT_CODE, SIGNALS, Scenario, Trouble

PACKAGE = str(Path(task_manager.__file__).parent)
PATIENCE = 10.0  # seconds that what ends by itself may take to end
PROMPT = 10.0  # seconds in which a start that is told to stop must end, on the busiest machine


class TimeLimit(Exception):
    """What the script's handler of SIGALRM raises."""


class InputBroke(Exception):
    """What an input raises midway."""


def tell(what: str, **more: Any) -> None:
    os.write(1, (json.dumps({"what": what, **more}) + "\n").encode())


def hear() -> Any:
    line = b""
    while not line.endswith(b"\n"):
        if not (piece := os.read(0, 4096)):
            sys.exit("the driver is gone")
        line += piece
    return json.loads(line)


# ------------------------------------------------------------------ signals


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
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _trace(self, frame: Any, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if event == "line" and os.getpid() == Aim.home:
            self._left -= 1
            if self._left == 0:
                self.fired = True
                os.kill(os.getpid(), SIGNALS[self.name])
        return self._trace


os.register_at_fork(after_in_child=lambda: sys.settrace(None))


# ------------------------------------------------------------------ input


class Feed:
    """The tasks of one start, as the scenario gives them.

    given: How many were given. numbered: Nobody knows, as the library reads a list by itself.
    """

    def __init__(self, scenario: Scenario, tasks: list[Any], calm: bool) -> None:
        self._scenario = scenario
        self._tasks = tasks
        self.given: int | None = 0
        self.iterable: Any
        kind = scenario.feed if calm or scenario.feed != "frontier" else "list"
        whole: dict[str, Callable[[list[Any]], Any]] = {"list": list, "tuple": tuple, "deque": deque}
        if kind in whole:
            self.iterable = whole[kind](tasks)
            self.given = len(tasks)
        elif kind == "frontier":
            self.iterable = deque(tasks[: (len(tasks) + 1) // 2])
            self.given = None
        elif kind == "endless":
            self.iterable = itertools.islice(self._generate(), len(tasks))
        else:
            self.iterable = self._generate()

    def _generate(self) -> Iterator[Any]:
        for place, task in enumerate(self._tasks):
            if place == self._scenario.broken_at:
                raise InputBroke
            if self._scenario.feed == "slow" and place % 5 == 0:
                time.sleep(0.002)
            assert self.given is not None
            self.given += 1
            yield task
        if self._scenario.broken_at is not None:
            raise InputBroke
        if self._scenario.feed == "endless":
            yield from itertools.repeat(None)


# ------------------------------------------------------------------ one scenario


class Play:
    """Runs one scenario."""

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        self._scenario = scenario
        self._folder = folder
        self._books = Books(scenario)
        self._tasks = deeds.Tasks(scenario.kind)
        self._kills = 0
        self.faults: list[str] = []
        frontier = scenario.feed == "frontier"
        managers = [
            deeds.manager_of(stage, place, folder, frontier) for place, stage in enumerate(scenario.stages)
        ]
        self._first: Any = managers[0]
        if scenario.chain is None:
            manager = managers[0]
            self._owner: Any = manager
            self._results, self._errors = manager.get_result_dict, manager.get_error_dict
        else:
            chain = TaskChain(managers, scenario.chain)
            self._owner = chain
            self._results, self._errors = chain.get_final_result_dict, chain.get_final_error_dict

    def run(self) -> None:
        for number, troubles in enumerate(self._scenario.starts):
            self._one_start(number, troubles)
            if self.faults:
                return

    def end(self) -> None:
        match self._scenario.ending:
            case "with" if self._scenario.chain is None:
                with self._owner:
                    pass
            case "shutdown" if self._scenario.chain is None:
                self._owner.shutdown_pools()

    def run_unshielded(self) -> None:
        """The first start is the end of the script, if a signal comes."""
        for name, handler in HANDLERS.items():
            if name == self._scenario.starts[0][0].what:
                signal.signal(SIGNALS[name], handler)
        feed = Feed(self._scenario, self._tasks.of(self._scenario.numbers), calm=True)
        tell("start", number=0)
        try:
            self._begin(feed)
        except (deeds.HookBroke, InputBroke):
            pass
        tell("end")
        hear()

    def _one_start(self, number: int, troubles: tuple[Trouble, ...]) -> None:
        before = self._owner.get_summary()
        feed = Feed(self._scenario, self._tasks.of(self._scenario.numbers), calm=number == 0)
        if self._scenario.feed == "frontier" and number == 0:
            self._first.frontier = feed.iterable
            self._first.more = self._tasks.of(self._scenario.numbers)[len(feed.iterable) :]
        shield = Shield()
        told: dict[str, Any] = {"kills": 0, "sent": []}
        began = time.monotonic()
        aimed = [trouble for trouble in troubles if trouble.line]
        if aimed:
            with Aim(aimed[0]) as aim:
                shield.run(lambda: self._begin(feed))
            told["sent"] = [aim.name] if aim.fired else []
        elif troubles:
            shield.run(lambda: (tell("start", number=number), self._begin(feed)))
            tell("end")
            told = hear()
        else:
            shield.run(lambda: self._begin(feed))
        if told["sent"]:
            (self._folder / deeds.OPENED).touch()
        self._kills += told["kills"]
        late = list(shield.late)
        stopped = [name for name in told["sent"] if not (name in late and late.remove(name) is None)]
        if aimed and time.monotonic() - began > PROMPT + PATIENCE:
            self.faults.append(f"start {number} took {time.monotonic() - began:.1f} s in spite of {stopped}")
        self._first.__dict__.pop("frontier", None)
        twice: list[str] = []
        summary = self._owner.get_summary()
        account = Account(
            number=number,
            given=feed.given,
            raised=[_name_of(error) for error in shield.raised],
            stopped=stopped,
            kills=self._kills,
            summary=summary if summary is not before else None,
            results=by_number(self._results(), "results", twice),
            errors=by_number(self._errors(), "errors", twice),
            twice=twice,
        )
        self._forget(shield)
        self.faults += self._books.check(self._unsure(account, feed))

    def _unsure(self, account: Account, feed: Feed) -> Account:
        """Of a list that the library reads by itself nobody can say how far it was read."""
        if account.through or feed.iterable.__class__ not in (list, tuple, deque):
            return account
        return Account(**{**vars(account), "given": None})

    @staticmethod
    def _forget(shield: Shield) -> None:
        """Tracebacks hold frames, and those the manager."""
        shield.raised.clear()
        deeds.REMEMBERED.__traceback__ = deeds.REMEMBERED.__context__ = None
        vars(deeds.REMEMBERED).pop("__notes__", None)

    def _begin(self, feed: Feed) -> None:
        owner, tasks = self._owner, feed.iterable
        match self._scenario.begin:
            case "run":
                asyncio.run(owner.start_async(tasks))
            case "loop":
                with asyncio.Runner() as runner:
                    loop = runner.get_loop()
                    loop.run_until_complete(owner.start_async(tasks))
            case "thread":
                in_thread(owner.start if self._scenario.chain is None else owner.start_chain, tasks)
            case _:
                (owner.start if self._scenario.chain is None else owner.start_chain)(tasks)


def in_thread(start: Callable[[Any], Any], tasks: Any) -> None:
    raised: list[BaseException] = []

    def run() -> None:
        try:
            start(tasks)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if raised:
        raise raised.pop()


def _name_of(error: BaseException) -> str:
    name = type(error).__name__
    if isinstance(error, SystemExit) and error.code != EXIT_CODE:
        return f"{name}({error.code})"
    return name if not isinstance(error, task_manager.TaskManagerError) else f"{name}: {error}"


# ------------------------------------------------------------------ what is left


class Left:
    """What is there before a scenario, and what there is more of after it."""

    def __init__(self, scenario: Scenario) -> None:
        ways = {stage.way for stage in scenario.stages}
        if ways & {"spawn", "forkserver"}:
            resource_tracker.ensure_running()
        if "forkserver" in ways:
            forkserver.ensure_running()
        self._looks: list[Callable[[], set[str]]] = [threads]
        if not any(trouble.what == "kill server" for troubles in scenario.starts for trouble in troubles):
            self._looks += [files, children]
        self._before = [look() for look in self._looks]

    def faults(self) -> list[str]:
        deadline = time.monotonic() + PATIENCE
        while True:
            gc.collect()
            reap()
            left = [look() - before for look, before in zip(self._looks, self._before, strict=True)]
            if not any(left) or time.monotonic() > deadline:
                return [f"left behind: {sorted(more)}" for more in left if more]
            time.sleep(0.02)


def threads() -> set[str]:
    return {f"thread {thread.name} {thread.ident}" for thread in threading.enumerate()}


def files() -> set[str]:
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.add(f"file {fd} {os.readlink(f'/proc/self/fd/{fd}')}")
        except OSError:  # the one that listed them
            continue
    return found


def children() -> set[str]:
    found = {f"process {child.pid}" for child in psutil.Process().children(recursive=True)}
    return found | {f"process {child.pid}" for child in multiprocessing.active_children()}


def reap() -> None:
    for pid in list(deeds.FORKED):
        try:
            ended = os.waitpid(pid, os.WNOHANG)[0]
        except ChildProcessError:
            ended = pid
        if ended:
            deeds.FORKED.remove(pid)


def main(folder: str, seed: int, mode: str | None, indices: list[int]) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    for index in indices:
        scenario = draw(seed, index, mode)
        tell("begin", index=index)
        place = Path(folder) / str(index)
        place.mkdir()
        if scenario.sigpipe:
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        if scenario.fatal:
            Play(scenario, place).run_unshielded()
            tell("verdict", index=index, faults=[])
            return
        left = Left(scenario)
        play = Play(scenario, place)
        try:
            play.run()
        finally:
            deeds.RELEASE.set()
        play.end()
        faults = play.faults
        del play
        faults += left.faults()
        deeds.RELEASE.clear()
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        tell("verdict", index=index, faults=faults)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3] or None, list(map(int, sys.argv[4:])))
