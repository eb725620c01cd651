"""One stage of a scenario, drawn after what limits it: its mode, the family, how it is begun."""

from __future__ import annotations

import random
from typing import Any

from .plan import START_METHODS, Deed, Stage

FORMS = ("int", "tuple", "list", "dict", "big", "none", "same")
BASES = ("KeyboardInterrupt", "SystemExit", "GeneratorExit", "StopIteration", "CancelledError", "Custom")
DEATHS = ("exit", "sigkill", "sigsegv")
STATES = ("plain", "generator")
AWAITED_STATES = (*STATES, "coroutine", "async generator")  # for stages in async mode
RATES = ((5, 0.02), (15, 0.05), (30, 0.1))  # 250 to 300 a second: half a second for a scenario
FEWEST = {"thread": 1, "fork": 5}  # calls of a worker that is replaced: to start one costs time


class StageDraw:
    """Draws the stages. chain, ways, family, streams, begin: Of the whole, drawn before."""

    chain: str | None
    ways: list[str]
    family: str
    begin: str
    streams: bool
    journal: str
    ends_at_once: bool  # stop() is always said twice
    halter: str  # who says stop(), in this family: "thread", "handler", "hook" or "function"

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.dead_stages = 0

    def often(self, probability: float) -> bool:
        return self.chance.random() < probability

    @property
    def stops(self) -> bool:
        """The script is told to stop by a signal."""
        return self.family in ("line", "moment", "fatal")

    def stage(self, place: int, numbers: list[int], kind: str, slow: bool) -> Stage:
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
            deduplicate=self.often(0.85) or bool(self.journal and place == 0),
            keep_results=self.often(0.95) or bool(self.journal),
            log=self.often(0.2),
            halts=self._halts([] if Deed("changes") in deeds.values() else distinct),
            **self._state(way),
            **self._limits(),
        )

    def _state(self, way: str) -> dict[str, Any]:
        """What its workers have, and how long they live."""
        options: dict[str, Any] = {}
        if self.often(0.25):
            options["state"] = self.chance.choice(AWAITED_STATES if way == "async" else STATES)
            options["slow_state"] = self.chance.choice((0.0, 0.0, 0.01, 0.05))
            options["state_breaks"] = self.family != "fatal" and self.often(0.1)
        if way not in ("serial", "async") and self.often(0.2):
            fewest = FEWEST.get(way, 25)
            options["most"] = self.chance.randint(fewest, 4 * fewest + 5)
        return options

    def _limits(self) -> dict[str, Any]:
        """What slows it down, or ends it."""
        options: dict[str, Any] = {}
        if self.often(0.15):
            options["rate"] = self.chance.choice(RATES)
            options["keyed"] = self.often(0.3)
        if self.often(0.06):
            options["max_failures"] = self.chance.randint(0, 4)
        if self.often(0.06):
            options["deadline"] = round(self.chance.uniform(0.01, 0.5), 3)
        return options

    def _halts(self, distinct: list[int]) -> dict[int, int]:
        if self.family != "stop" or self.halter != "hook" or not distinct:
            return {}
        return {number: self._times() for number in self.chance.sample(distinct, 1)}

    def _times(self) -> int:
        """How often stop() is said."""
        return self.chance.choice((1, 1, 2))

    def _deed(self, place: int, kind: str, timeout: float | None, retries: int) -> Deed:
        chance, way = self.chance, self.ways[place]
        names = ["good", "slow", "flaky", "bad", "down", "base", "remembered", "odd error"]
        names += ["comes back"]
        if not self.journal:  # which could not hold them
            names += ["unpicklable", "unloadable", "odd result"]
        if self.family == "stop" and self.halter == "function":
            names += ["stops"] * 6
        if timeout is not None:
            names += ["hang", "late"]
        elif self.family == "stop" and self.halter in ("thread", "handler") and self.ends_at_once:
            names += ["long"] if way != "serial" or self.halter == "handler" else []
        elif self.family in ("moment", "fatal") and self._ends_long_calls(way):
            names += ["long"] * (3 if self.family == "fatal" else 1)
        if kind in ("dict", "list") and place == 0:
            names += ["changes"]
        stage_may_die = self.chain == "process" and self.dead_stages < 2
        doubted = self.journal == "in doubt"  # what dies leaves others in doubt
        if not doubted and (way in START_METHODS or (stage_may_die and way != "async")):
            names += ["dies", "dies once"]
        if not doubted and way in START_METHODS:
            names += ["closes"]
        if timeout is None and (self.chain == "process" or way not in ("serial", "async")):
            names += ["forks"]
        match chance.choice(names):
            case "slow":
                return Deed("slow", round(chance.uniform(0.0005, 0.03), 4))
            case "flaky" | "comes back" as name:
                return Deed(name, chance.randint(0, retries))
            case "stops":
                return Deed("stops", self._times())
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
