"""A scenario from a seed and an index: the same pair always gives the same scenario."""

from __future__ import annotations

import math
import random

from .draw_stage import StageDraw
from .plan import MODES, SIGNALS, START_METHODS, Reading, Scenario, Trouble

FAMILIES = {"calm": 32, "line": 26, "moment": 14, "kill": 18, "freeze": 5, "fatal": 5, "stop": 14}
"""What happens to a scenario from outside its function, and how often.

calm: nothing. line: a signal at a certain line of the library. moment: a signal at a random moment.
kill, freeze: of workers. fatal: a signal that the script does not catch. stop: somebody
says stop().
"""

KINDS = ("int", "tuple", "dict", "list", "thing", "equal", "mixed", "text", "unkeyed", "odd", "silent")
FEEDS = ("list", "tuple", "generator", "deque", "endless", "broken", "slow", "frontier", "no length")
QUEUES = ("queue", "simple queue")
AWAITED = ("async generator", "asyncio queue")  # for managers that are awaited
JOURNALED_KINDS = ("int", "tuple", "dict", "list", "equal", "mixed", "text", "silent")
JOURNALS = ("outcomes", "started", "in doubt")
LEAVES = ("", "break", "raise", "throw", "drop")  # how a stream is left

IN_PROCESS_KINDS = ("odd",)  # nobody can pickle them


def draw(seed: int, index: int, mode: str | None = None) -> Scenario:
    """mode: Of `plan.MODES`, if all are to be in that mode."""
    chance = random.Random(f"{seed} {index}")
    return Draw(chance, seed, index, mode).scenario()


class Draw(StageDraw):
    """Draws one scenario; what is drawn first limits what comes later."""

    def __init__(self, chance: random.Random, seed: int, index: int, mode: str | None) -> None:
        super().__init__(chance)
        self.seed = seed
        self.index = index
        mode = mode or chance.choices(MODES, (20, 20, 25, 20, 15))[0]
        self.chain = chance.choice(("serial", "thread", "process")) if mode == "chain" else None
        self.ways = self._ways(mode)
        self.family = self._family()
        self.streams = self.often(0.35)
        self.halter = self._halter()
        self.journal = self._journal()
        self.ends_at_once = self.often(0.4)
        self.begin = "start"

    def _ways(self, mode: str) -> list[str]:
        if mode != "chain":
            return [self._way(mode)]
        count = self.chance.choices((2, 3, 4), (5, 3, 1))[0]
        modes = self.chance.choices(MODES[:4], (4, 2, 2, 2), k=count)
        return [self._way(mode) for mode in modes]

    def _way(self, mode: str) -> str:
        return self.chance.choices(START_METHODS, (6, 2, 1))[0] if mode == "process" else mode

    def _family(self) -> str:
        names = list(FAMILIES)
        if not (self.chain == "process" or any(way in START_METHODS for way in self.ways)):
            names = [name for name in names if name not in ("kill",)]
        return self.chance.choices(names, [FAMILIES[name] for name in names])[0]

    def _journal(self) -> str:
        if self.family == "fatal":
            return self.chance.choice(("", *JOURNALS))
        return self.chance.choice(JOURNALS[:-1]) if self.often(0.2) else ""

    def _halter(self) -> str:
        halters = ["thread", "handler", "hook"]
        if self.chain != "process" and not set(self.ways) & set(START_METHODS):
            halters.append("function")
        return self.chance.choice(halters)

    # ------------------------------------------------------------------ the whole

    def scenario(self) -> Scenario:
        chance = self.chance
        count = 0 if self.often(0.02) else int(2 ** chance.uniform(0, 6.5))
        slow = self.family in ("moment", "kill", "freeze", "fatal", "stop")
        if slow:
            count = chance.randint(20, 80)
        numbers = list(range(1, count + 1))
        if self.often(0.4) and numbers:
            numbers += chance.choices(numbers, k=chance.randint(1, 10))
        if self.often(0.5):
            chance.shuffle(numbers)
        kind = chance.choice(JOURNALED_KINDS if self.journal else KINDS)
        if kind in IN_PROCESS_KINDS and (self.chain == "process" or set(self.ways) & set(START_METHODS)):
            kind = "int"
        feed = self._feed()
        self.begin = self._begin(feed)
        stages = tuple(self.stage(place, numbers, kind, slow) for place in range(len(self.ways)))
        starts = self._starts(any(stage.state_breaks for stage in stages))
        complains = any(stage.complains for stage in stages)
        return Scenario(
            seed=self.seed,
            index=self.index,
            family=self.family,
            chain=self.chain,
            stages=stages,
            begin=self.begin,
            numbers=tuple(numbers),
            kind=kind,
            feed=feed,
            broken_at=chance.randint(0, len(numbers)) if feed == "broken" else None,
            journal=self.journal,
            starts=starts,
            readings=self._readings(len(starts), len(set(numbers)), complains),
            fatal=self.family == "fatal",
            ending=chance.choice(("with", "shutdown", "drop")),
            sigpipe=self.often(0.1),
        )

    def _feed(self) -> str:
        feeds = [*FEEDS, *QUEUES, *AWAITED]
        if self.chain is not None or self.stops or self.journal:
            feeds.remove("frontier")
        return self.chance.choice(feeds)

    def _begin(self, feed: str) -> str:
        if feed in AWAITED or self.often(0.3):
            return self.chance.choice(("run", "loop"))
        if self.often(0.1) and not self.stops:
            return "thread"
        return "start"

    # ------------------------------------------------------------------ how it is read

    def _readings(self, starts: int, tasks: int, complains: bool) -> tuple[Reading | None, ...]:
        """Of the last start all is read, or it is none that is read: what is left over is seen then."""
        if not self.streams:
            return (None,) * starts
        return tuple(
            None
            if number and (self.often(0.25) or (self.journal and number == starts - 1))
            else self._reading(max(1, tasks), complains, is_last=number == starts - 1)
            for number in range(starts)
        )

    def _reading(self, tasks: int, complains: bool, is_last: bool) -> Reading:
        # Of what is dropped nobody hears what it raises, but on stderr.
        silent = not complains and self.family in ("calm", "freeze", "stop")
        leaves = LEAVES if silent else LEAVES[:-1]
        leave = "" if is_last or self.often(0.2) else self.chance.choice(leaves)
        return Reading(
            ordered=self.often(0.5),
            kept=self.often(0.4),
            pause=self.chance.choice((0.0, 0.0, 0.001, 0.01)),
            leave=leave,
            after=self.chance.randint(1, tasks) if leave else 0,
        )

    # ------------------------------------------------------------------ trouble

    def _starts(self, breaks: bool) -> tuple[tuple[Trouble, ...], ...]:
        """breaks: The first one may come to nothing."""
        match self.family:
            case "calm" if breaks or self.streams or self.journal:
                return ((),) * self.chance.choice((2, 2, 3))
            case "calm":
                return ((),) * self.chance.choice((1, 1, 2, 3))
            case "stop":
                return *(self._halt() for _ in range(self.chance.choice((1, 1, 2)))), ()
            case "line" | "moment":
                return *((self._signal(),) for _ in range(self.chance.choice((1, 1, 2)))), ()
            case "kill":
                return (self._kills(), ())
            case "freeze":
                return (self._freezes(), ())
            case _:
                return ((self._end(),),)

    def _signal(self) -> Trouble:
        name = self.chance.choice(list(SIGNALS))
        if self.family == "line":
            return Trouble(name, float(int(self._around(20, 4000))), line=True)
        return Trouble(name, self._around(0.002, 1.0), group=name == "int" and self.often(0.3))

    def _kills(self) -> tuple[Trouble, ...]:
        if "forkserver" in self.ways and self.often(0.2):
            return (Trouble("kill server", self._around(0.01, 0.8)),)
        most = max(1, 3 - self.dead_stages) if self.chain == "process" else 8
        kills = [Trouble("kill", self._around(0.005, 1.0)) for _ in range(self.chance.randint(1, most))]
        if self.often(0.2) and self.begin != "thread":
            kills.append(self._signal())
        return tuple(sorted(kills, key=lambda kill: kill.moment))

    def _halt(self) -> tuple[Trouble, ...]:
        if self.halter in ("hook", "function"):
            return ()
        twice = self.ends_at_once or self.often(0.3)
        lasting = self._around(0.001, 0.2) if twice else 0.0
        return (Trouble("stop()", self._around(0.001, 0.5), lasting=lasting, by=self.halter),)

    def _freezes(self) -> tuple[Trouble, ...]:
        what = self.chance.choice(("freeze", "freeze script"))
        freezes = [
            Trouble(what, self._around(0.005, 0.5), lasting=self._around(0.02, 0.5)) for _ in range(3)
        ]
        return tuple(sorted(freezes, key=lambda freeze: freeze.moment))

    def _end(self) -> Trouble:
        what = self.chance.choice((*SIGNALS, "kill script", "term script"))
        return Trouble(what, self._around(0.002, 0.6))

    def _around(self, least: float, most: float) -> float:
        """Small ones as often as big ones."""
        return round(math.exp(self.chance.uniform(math.log(least), math.log(most))), 5)
