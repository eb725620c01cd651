"""A scenario from a seed and an index: the same pair always gives the same scenario."""

from __future__ import annotations

import math
import random

from .plan import MODES, SIGNALS, START_METHODS, Deed, Reading, Scenario, Stage, Trouble

FAMILIES = {"calm": 32, "line": 26, "moment": 14, "kill": 18, "freeze": 5, "fatal": 5}
"""What happens to a scenario from outside its function, and how often.

calm: nothing. line: a signal at a certain line of the library. moment: a signal at a random moment.
kill, freeze: of workers. fatal: a signal that the script does not catch.
"""

KINDS = ("int", "tuple", "dict", "list", "thing", "equal", "mixed", "text", "unkeyed", "odd", "silent")
FEEDS = ("list", "tuple", "generator", "deque", "endless", "broken", "slow", "frontier", "no length")
QUEUES = ("queue", "simple queue")
AWAITED = ("async generator", "asyncio queue")  # for managers that are awaited
LEAVES = ("", "break", "raise", "throw", "drop")  # how a stream is left
FORMS = ("int", "tuple", "list", "dict", "big", "none", "same")

IN_PROCESS_KINDS = ("odd",)  # nobody can pickle them

BASES = ("KeyboardInterrupt", "SystemExit", "GeneratorExit", "StopIteration", "CancelledError", "Custom")
DEATHS = ("exit", "sigkill", "sigsegv")


def draw(seed: int, index: int, mode: str | None = None) -> Scenario:
    """mode: Of `plan.MODES`, if all are to be in that mode."""
    chance = random.Random(f"{seed} {index}")
    return Draw(chance, seed, index, mode).scenario()


class Draw:
    """Draws one scenario; what is drawn first limits what comes later."""

    def __init__(self, chance: random.Random, seed: int, index: int, mode: str | None) -> None:
        self.chance = chance
        self.seed = seed
        self.index = index
        mode = mode or chance.choices(MODES, (20, 20, 25, 20, 15))[0]
        self.chain = chance.choice(("serial", "process")) if mode == "chain" else None
        self.ways = self._ways(mode)
        self.family = self._family()
        self.stops = self.family in ("line", "moment", "fatal")
        self.streams = self.often(0.35)
        self.dead_stages = 0
        self.begin = "start"

    def often(self, probability: float) -> bool:
        return self.chance.random() < probability

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

    # ------------------------------------------------------------------ the whole

    def scenario(self) -> Scenario:
        chance = self.chance
        count = 0 if self.often(0.02) else int(2 ** chance.uniform(0, 6.5))
        slow = self.family in ("moment", "kill", "freeze", "fatal")
        if slow:
            count = chance.randint(20, 80)
        numbers = list(range(1, count + 1))
        if self.often(0.4) and numbers:
            numbers += chance.choices(numbers, k=chance.randint(1, 10))
        if self.often(0.5):
            chance.shuffle(numbers)
        kind = chance.choice(KINDS)
        if kind in IN_PROCESS_KINDS and (self.chain == "process" or set(self.ways) & set(START_METHODS)):
            kind = "int"
        feed = self._feed()
        self.begin = self._begin(feed)
        stages = tuple(self._stage(place, numbers, kind, slow) for place in range(len(self.ways)))
        starts = self._starts()
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
            starts=starts,
            readings=self._readings(len(starts), len(set(numbers)), complains),
            fatal=self.family == "fatal",
            ending=chance.choice(("with", "shutdown", "drop")),
            sigpipe=self.often(0.1),
        )

    def _feed(self) -> str:
        feeds = [*FEEDS, *QUEUES, *(AWAITED if self.chain is None else ())]
        if self.chain is not None or self.stops:
            feeds.remove("frontier")
        return self.chance.choice(feeds)

    def _begin(self, feed: str) -> str:
        if feed in AWAITED or self.often(0.3):
            return self.chance.choice(("run", "loop"))
        if self.often(0.1) and not self.stops:
            return "thread"
        return "start"

    # ------------------------------------------------------------------ one stage

    def _stage(self, place: int, numbers: list[int], kind: str, slow: bool) -> Stage:
        chance, way = self.chance, self.ways[place]
        last = place == len(self.ways) - 1
        timeout = chance.choice((1.5, 2.0)) if way != "serial" and self.often(0.15) else None
        retries = chance.choice((0, 1, 2, 3)) if timeout is None else chance.choice((0, 1))
        distinct = sorted(set(numbers))
        deeds: dict[int, Deed] = {}
        if slow:
            longest = chance.choice((0.002, 0.01, 0.03))
            for number in chance.sample(distinct, chance.randint(0, len(distinct))):
                deeds[number] = Deed("slow", round(chance.uniform(0.0005, longest), 4))
        single = [number for number in distinct if numbers.count(number) == 1]
        some = chance.choice((0, 1, 3, 8, len(distinct) // 2))
        for number in chance.sample(single, min(some, len(single))):
            deed = self._deed(place, kind, timeout, retries)
            taken = [other.what for other in deeds.values()]
            if deed.what in ("hang", "late") and deed.what in taken:
                continue
            deeds[number] = deed
        # What was changed has no number any more that a hook could read.
        hooks = self.often(0.3) and Deed("changes") not in deeds.values()

        def hooked() -> frozenset[int]:
            count = min(chance.randint(0, 3), len(distinct)) if hooks else 0
            return frozenset(chance.sample(distinct, count))

        return Stage(
            way=way,
            workers=chance.choice((1, 2, 2, 3, 4)),
            retries=retries,
            timeout=timeout,
            deeds=deeds,
            form=chance.choice(FORMS if last else FORMS[:5]) if self.often(0.5) else "int",
            bad_args=hooked(),
            bad_results=hooked(),
            complains=hooks and self.often(0.15),
            retries_deaths=self.often(0.2),
            deduplicate=self.often(0.85),
            keep_results=self.often(0.95),
            log=self.often(0.2),
        )

    def _deed(self, place: int, kind: str, timeout: float | None, retries: int) -> Deed:
        chance, way = self.chance, self.ways[place]
        names = ["good", "slow", "flaky", "bad", "down", "base", "remembered", "odd error"]
        names += ["unpicklable", "unloadable", "odd result"]
        if timeout is not None:
            names += ["hang", "late"]
        elif self.family in ("moment", "fatal") and self._ends_long_calls(way):
            names += ["long"] * (3 if self.family == "fatal" else 1)
        if kind in ("dict", "list") and place == 0:
            names += ["changes"]
        stage_may_die = self.chain == "process" and self.dead_stages < 2
        if way in START_METHODS or (stage_may_die and way != "async"):
            names += ["dies", "dies once"]
        if way in START_METHODS:
            names += ["closes"]
        if timeout is None and (self.chain == "process" or way not in ("serial", "async")):
            names += ["forks"]
        match chance.choice(names):
            case "slow":
                return Deed("slow", round(chance.uniform(0.0005, 0.03), 4))
            case "flaky":
                return Deed("flaky", chance.randint(0, retries))
            case "base":
                return Deed("base", chance.choice(BASES if self._may_interrupt(way) else BASES[1:]))
            case "dies" | "dies once" | "closes" as name:
                if way not in START_METHODS:
                    self.dead_stages += 1
                return Deed(name, chance.choice(DEATHS) if name != "closes" else 0)
            case name:
                return Deed(name)

    def _ends_long_calls(self, way: str) -> bool:
        """A signal does, at once. asyncio.run makes of a Ctrl-C a cancellation, for the next await.

        In the body of a reader it does not: the calls that run are finished then.
        """
        if self.streams:
            return False
        under_a_loop = way == "async" or (way == "serial" and self.begin == "run")
        return self.chain != "serial" and not under_a_loop

    def _may_interrupt(self, way: str) -> bool:
        """In the main thread it is taken for a real Ctrl-C."""
        return way != "serial" and not self.stops

    # ------------------------------------------------------------------ how it is read

    def _readings(self, starts: int, tasks: int, complains: bool) -> tuple[Reading | None, ...]:
        """Of the last start all is read, or it is none that is read: what is left over is seen then."""
        if not self.streams:
            return (None,) * starts
        return tuple(
            None
            if number and self.often(0.25)
            else self._reading(max(1, tasks), complains, is_last=number == starts - 1)
            for number in range(starts)
        )

    def _reading(self, tasks: int, complains: bool, is_last: bool) -> Reading:
        # Of what is dropped nobody hears what it raises, but on stderr.
        silent = not complains and self.family in ("calm", "freeze")
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

    def _starts(self) -> tuple[tuple[Trouble, ...], ...]:
        match self.family:
            case "calm":
                return ((),) * self.chance.choice((1, 2, 2, 3) if self.streams else (1, 1, 2, 3))
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
