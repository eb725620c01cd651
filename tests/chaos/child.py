"""The script that runs scenarios, as a user's would: `python -m tests.chaos.child folder seed mode "" N`

It tells its driver on stdout what it does, and for each scenario at last what was wrong.  Where the
driver makes trouble, it says when a start begins and ends, and is told how much there was of it.
"""

from __future__ import annotations

import asyncio
import faulthandler
import json
import os
import resource
import signal
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from task_manager import Summary, WorkerStartError

from . import deeds
from .account import Account, by_number, told_by_number
from .begins import faults_of_begins
from .books import Books
from .draw import draw
from .feed import Feed, InputBroke
from .halts import Halts
from .left import Left
from .managers import HookBroke
from .owners import Owner
from .plan import EXIT_CODE, SIGNALS, Scenario, Stage, Trouble
from .reading import BodyBroke, Reader
from .states import faults_of_states
from .stops import HANDLERS, Aim, Shield, TimeLimit
from .tasks import Tasks


def tell(what: str, **more: Any) -> None:
    os.write(1, (json.dumps({"what": what, **more}) + "\n").encode())


def hear() -> Any:
    line = b""
    while not line.endswith(b"\n"):
        if not (piece := os.read(0, 4096)):
            sys.exit("the driver is gone")
        line += piece
    return json.loads(line)


class Play:
    """Runs one scenario."""

    def __init__(self, scenario: Scenario, folder: Path, made: int = 0) -> None:
        self._scenario = scenario
        self._folder = folder
        self._books = Books(scenario)
        self._tasks = Tasks(scenario.kind)
        self._kills = 0
        self.faults: list[str] = []
        self._make_owner(made)

    def _make_owner(self, made: int) -> None:
        self._owner = Owner(self._scenario, self._folder, made)
        deeds.STOP[:] = [self._owner.whole.stop]

    def run(self) -> None:
        for number, troubles in enumerate(self._scenario.starts):
            if number and self._scenario.journal:
                self._owner.let_go()
                self._make_owner(number)
            self._one_start(number, troubles)
            if self.faults:
                return

    def go_on(self) -> None:
        """After the end of another script: what its journal has, and then the rest."""
        (self._folder / deeds.OPENED).touch()
        with suppress(HookBroke):
            self._owner.start([])
        twice: list[str] = []
        done = by_number(self._tasks, self._owner.results(), "results", twice)
        known = set(done) | set(by_number(self._tasks, self._owner.errors(), "errors", twice))
        before = Owner(self._scenario, self._folder, made=0).called_by_stage()
        unknown = frozenset().union(*before) - known
        in_doubt = self._scenario.journal == "in doubt"
        if in_doubt and self._scenario.chain is None:
            if lost := sorted(unknown - retried(self._scenario.stages[0])):
                twice.append(f"tasks {lost} were called, and the journal does not know")
        self.faults += twice
        self._books.go_on(set(done))
        self._one_start(1, ())
        if in_doubt:
            self.faults += self._called_again(before, unknown)

    def _called_again(self, before: list[frozenset[int]], unknown: frozenset[int]) -> Iterator[str]:
        """Of a chain the journal may know how far a task has got: it goes on from there, not before."""
        now = self._owner.called_by_stage()
        for stage, first, second in zip(self._scenario.stages, before, now, strict=True):
            if again := sorted((first & second & unknown) - retried(stage)):
                yield f"tasks {again} were called, the journal did not know, and they were called again"

    def end(self) -> None:
        self._owner.let_go()

    def run_unshielded(self) -> None:
        """The first start is the end of the script, if a signal comes."""
        for name, handler in HANDLERS.items():
            if name == self._scenario.starts[0][0].what:
                signal.signal(SIGNALS[name], handler)
        feed = Feed(self._scenario, self._tasks.of(self._scenario.numbers), calm=True)
        reading = self._scenario.readings[0]
        reader = None if reading is None else Reader(reading)
        try:
            self._begin(feed, reader, ready=lambda: tell("start", number=0))
        except (BodyBroke, HookBroke, InputBroke):
            pass
        tell("end")
        hear()

    def _one_start(self, number: int, troubles: tuple[Trouble, ...]) -> None:
        before = self._owner.whole.get_summary()
        feed = Feed(self._scenario, self._tasks.of(self._scenario.numbers), calm=number == 0)
        if self._scenario.feed == "frontier" and number == 0:
            self._owner.first.frontier = feed.iterable
            self._owner.first.more = self._tasks.of(self._scenario.numbers)[len(feed.iterable) :]
        reading = self._scenario.readings[number] if number < len(self._scenario.readings) else None
        reader = None if reading is None else Reader(reading)
        shield = Shield()
        halts = Halts(self._owner.whole.stop, [trouble for trouble in troubles if trouble.by])
        told: dict[str, Any] = {"kills": 0, "sent": []}
        if troubles and troubles[0].by:
            with halts:
                shield.run(lambda: self._begin(feed, reader))
            self.faults += halts.faults
            (self._folder / deeds.OPENED).touch()
        elif troubles and troubles[0].line:
            with Aim(troubles[0]) as aim:
                shield.run(lambda: self._begin(feed, reader))
            told["sent"] = [aim.name] if aim.fired else []
        elif troubles:
            ready = partial(tell, "start", number=number)
            shield.run(lambda: self._begin(feed, reader, ready))
            tell("end")
            told = hear()
        else:
            shield.run(lambda: self._begin(feed, reader))
        feed.settle()
        if reader is not None:
            shield.run(reader.settle)
        if told["sent"]:
            (self._folder / deeds.OPENED).touch()
        self._kills += told["kills"]
        stopped = list((Counter(told["sent"]) - Counter(shield.late)).elements())
        self._owner.first.__dict__.pop("frontier", None)
        account = self._account(number, feed, reader, shield.raised, stopped, before)
        self._forget(shield)
        self.faults += self._books.check(account)
        if account.through and not account.raised and feed.unfinished():
            self.faults.append(f"start {number}: join of the queue waits for {feed.unfinished()} tasks")

    def _account(
        self,
        number: int,
        feed: Feed,
        reader: Reader | None,
        raised: list[BaseException],
        stopped: list[str],
        before: Summary,
    ) -> Account:
        """before: The summary that was there before the start."""
        twice: list[str] = []
        summary = self._owner.whole.get_summary()
        account = Account(
            number=number,
            given=feed.given,
            raised=[_name_of(error) for error in raised],
            stopped=stopped,
            kills=self._kills,
            summary=summary if summary is not before else None,
            results=by_number(self._tasks, self._owner.results(), "results", twice),
            errors=by_number(self._tasks, self._owner.errors(), "errors", twice),
            twice=twice,
            called=self._owner.called(),
        )
        if reader is not None:
            told = told_by_number(self._tasks, reader.told)
            account = replace(account, reading=reader.reading, left=reader.left, **told)
        return self._unsure(account, feed)

    def _unsure(self, account: Account, feed: Feed) -> Account:
        """Of a list that the library reads by itself nobody can say how far it was read."""
        if account.through or feed.iterable.__class__ not in (list, tuple, deque):
            return account
        return replace(account, given=None)

    @staticmethod
    def _forget(shield: Shield) -> None:
        """Tracebacks hold frames, and those the manager."""
        shield.raised.clear()
        deeds.REMEMBERED.__traceback__ = deeds.REMEMBERED.__context__ = None
        vars(deeds.REMEMBERED).pop("__notes__", None)

    def _begin(
        self, feed: Feed, reader: Reader | None, ready: Callable[[], None] = lambda: None
    ) -> None:
        """ready: Called when the library is about to be; what is before is asyncio's business."""
        owner, tasks = self._owner, feed.iterable
        start = owner.start
        if reader is not None:

            def start(tasks: Any) -> None:
                reader.read(partial(owner.whole.stream, tasks))

        async def start_async() -> None:
            ready()
            if reader is not None:
                await reader.read_awaiting(partial(owner.whole.stream_async, tasks))
            else:
                await owner.start_async(tasks)

        match self._scenario.begin:
            case "run":
                asyncio.run(start_async())
            case "loop":
                with asyncio.Runner() as runner:
                    runner.get_loop().run_until_complete(start_async())
            case "thread":
                ready()
                in_thread(start, tasks)
            case _:
                ready()
                start(tasks)


def retried(stage: Stage) -> set[int]:
    """Those whose call has failed, as is known, and that wait for the next one."""
    return {n for n, deed in stage.deeds.items() if deed.what in ("flaky", "comes back", "down")}


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
    usual = (
        KeyboardInterrupt,
        SystemExit,
        TimeLimit,
        InputBroke,
        BodyBroke,
        HookBroke,
        WorkerStartError,
    )
    return name if isinstance(error, usual) else f"{name}: {error}"


def main(folder: str, seed: int, mode: str | None, again: bool, indices: list[int]) -> None:
    """again: Another script has begun this scenario, and has ended in the middle of it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    for index in indices:
        scenario = draw(seed, index, mode)
        tell("begin", index=index)
        place = Path(folder) / str(index)
        place.mkdir(exist_ok=again)
        if scenario.sigpipe:
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        if scenario.fatal and not again:
            Play(scenario, place).run_unshielded()
            tell("verdict", index=index, faults=[])
            return
        tell("verdict", index=index, faults=faults_of(scenario, place, again))


def faults_of(scenario: Scenario, place: Path, again: bool) -> list[str]:
    left = Left(scenario)
    play = Play(scenario, place, made=int(again))
    try:
        play.go_on() if again else play.run()
    finally:
        deeds.RELEASE.set()
    play.end()
    faults = play.faults
    del play
    deeds.STOP.clear()
    faults += left.faults()
    faults += [*faults_of_states(scenario, place), *faults_of_begins(scenario, place)]
    deeds.RELEASE.clear()
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    return faults


if __name__ == "__main__":
    folder, seed, mode, again, *indices = sys.argv[1:]
    main(folder, int(seed), mode or None, bool(again), list(map(int, indices)))
