"""What a scenario is made of: frozen values, drawn once and known to the script and to its driver."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

START_METHODS = ("fork", "forkserver", "spawn")
WAYS = ("serial", "thread", "async", *START_METHODS)
MODES = ("serial", "thread", "process", "async", "chain")

SIGNALS = {"int": signal.SIGINT, "alarm": signal.SIGALRM, "term": signal.SIGTERM}
"""What a script is told to stop with: a Ctrl-C, a time limit, and a handler that calls sys.exit."""

EXIT_CODE = 3  # of the script's own handler of SIGTERM


class Deed(NamedTuple):
    """What the function does with one task. how: a number of calls, seconds, or a name."""

    what: str
    how: float | str = 0


GOOD = Deed("good")


@dataclass(frozen=True, slots=True)
class Stage:
    """One manager.

    deeds: By the number of a task; all others are good.
    form: Of the results.
    bad_args, bad_results: Numbers of the tasks for which a hook raises. complains: handle_error does.
    retries_deaths: WorkerDiedError is among the retry_exceptions.
    state: What worker_state is: "plain", "generator", "coroutine", "async generator"; "": there is none.
    slow_state: Seconds that the set-up takes. state_breaks: The first set-up raises.
    most: Attempts of one worker.
    rate: Attempts, and the seconds in which no more may begin. keyed: It holds for each of some keys.
    max_failures, deadline: As the options.
    halts: Numbers of the tasks for which process_result says stop(), the first time that it sees them,
        and how often.
    """

    way: str
    workers: int
    retries: int
    timeout: float | None
    deeds: Mapping[int, Deed]
    form: str = "int"
    bad_args: frozenset[int] = frozenset()
    bad_results: frozenset[int] = frozenset()
    complains: bool = False
    retries_deaths: bool = False
    deduplicate: bool = True
    keep_results: bool = True
    log: bool = False
    state: str = ""
    slow_state: float = 0.0
    state_breaks: bool = False
    most: int | None = None
    rate: tuple[int, float] | None = None
    keyed: bool = False
    max_failures: int | None = None
    deadline: float | None = None
    halts: Mapping[int, int] = field(default_factory=dict)

    @property
    def cleans_up(self) -> bool:
        return self.state in ("generator", "async generator")

    @property
    def limited(self) -> bool:
        """A rule may end the run."""
        return self.max_failures is not None or self.deadline is not None

    @property
    def kinds(self) -> set[str]:
        """For people."""
        kinds = {f"state {self.state}"} if self.state else set()
        kinds |= {"state that breaks"} if self.state_breaks else set()
        named = ("most", "rate", "max_failures", "deadline")
        kinds |= {f"limit {name}" for name in named if getattr(self, name) is not None}
        kinds |= {"limit rate_key"} if self.keyed else set()
        kinds |= {"stop() in a hook"} if self.halts else set()
        kinds |= {"stop() in a function" for deed in self.deeds.values() if deed.what == "stops"}
        return kinds | {"RetryAfter" for deed in self.deeds.values() if deed.what == "comes back"}

    @property
    def in_process(self) -> bool:
        return self.way in START_METHODS

    def _has(self, option: str) -> bool:
        value = getattr(self, option)
        return bool(value) or (value == 0 and option == "max_failures")

    def deed(self, number: int) -> Deed:
        return self.deeds.get(number, GOOD)

    def __str__(self) -> str:
        options = f"workers={self.workers} retries={self.retries} timeout={self.timeout}"
        flags = " ".join(name for name in FLAGS if getattr(self, name))
        flags += "".join(f" {name}={getattr(self, name)}" for name in MORE if self._has(name))
        hooks = f"bad_args={sorted(self.bad_args)} bad_results={sorted(self.bad_results)}"
        slow = sum(deed.what == "slow" for deed in self.deeds.values())
        deeds = " ".join(f"{n}:{d.what}({d.how})" for n, d in self.deeds.items() if d.what != "slow")
        return f"{self.way}[{options} {flags} form={self.form} {hooks} {slow} slow; {deeds}]"


class Trouble(NamedTuple):
    """Something that happens to a start.

    what: "int", "alarm", "term": a signal to the script; "kill", "freeze": a worker or stage process;
        "freeze script"; "kill server": the fork server; "kill script", "term script": its end;
        "stop()": somebody calls that.
    moment: Seconds after the beginning of the start; of a signal, if `line`, the line of the library at
        which it comes, as counted in the main thread.
    lasting: Seconds of a freeze; of a stop(), until it is said again, 0: never.
    by: Who says stop(): a "thread", or the "handler" of a signal.
    group: The signal goes to the whole process group, as from a terminal.
    """

    what: str
    moment: float
    line: bool = False
    lasting: float = 0.0
    group: bool = False
    by: str = ""


class Reading(NamedTuple):
    """How the outcomes of one start are read, where it is a stream.

    ordered, kept: What `stream` is asked for. pause: Seconds that the body of the loop takes at times.
    leave: How the loop is left: "break", "raise", "throw" into it, or "drop"; "": it is read to the end.
    after: At which outcome.
    """

    ordered: bool
    kept: bool
    pause: float
    leave: str = ""
    after: int = 0

    @property
    def kinds(self) -> tuple[str, ...]:
        """For people."""
        return (
            f"stream {'ordered' if self.ordered else 'as it comes'}",
            f"stream {'kept' if self.kept else 'not kept'}",
            f"stream left by {self.leave}" if self.leave else "stream read to the end",
        )


@dataclass(frozen=True, slots=True)
class Scenario:
    """One script's worth.

    chain: The mode of the chain, None for a manager alone.
    begin: "start"; "run", "loop": start_async under asyncio.run or run_until_complete; "thread": in a
        thread that is not the main one.
    numbers: Of the tasks, with repeats. kind: Of the tasks. feed: The kind of input.
    broken_at: After how many tasks the input raises.
    journal: What it notes: "outcomes", "started" or "in doubt", so that nothing is called twice; "":
        there is none. With one, each start is that of new managers, without limits at the last one.
    starts: For each start what happens to it. Nothing happens to the last one.
    readings: For each start how it is read; None: it is no stream. The last one is never left.
    fatal: The script does not catch what is raised, or is killed: its first start is its end.
    ending: How the manager is let go of: "with", "shutdown" or "drop".
    sigpipe: The script has SIGPIPE at its default.
    """

    seed: int
    index: int
    family: str
    chain: str | None
    stages: tuple[Stage, ...]
    begin: str
    numbers: tuple[int, ...]
    kind: str
    feed: str
    broken_at: int | None
    journal: str
    starts: tuple[tuple[Trouble, ...], ...]
    readings: tuple[Reading | None, ...]
    fatal: bool
    ending: str
    sigpipe: bool

    @property
    def kinds(self) -> set[str]:
        """For people: what it is made of."""
        kinds = {f"family {self.family}", f"input {self.feed}", f"tasks {self.kind}"}
        kinds |= {f"begun by {self.begin}", "managers" if self.chain is None else f"{self.chain} chains"}
        kinds |= {f"mode {stage.way}" for stage in self.stages}
        kinds = kinds.union(*(stage.kinds for stage in self.stages))
        kinds = kinds.union(*(reading.kinds for reading in self.readings if reading is not None))
        if self.journal:
            kinds.add(f"journal, {self.journal}")
            kinds |= {"journal of a script that ends"} if self.fatal else set()
        for trouble in (trouble for troubles in self.starts for trouble in troubles if trouble.by):
            kinds |= {f"stop() by a {trouble.by}", *(["stop() twice"] if trouble.lasting else [])}
        return kinds

    @property
    def outside(self) -> bool:
        """The driver makes the trouble, so that the script has this scenario alone."""
        troubles = [trouble for troubles in self.starts for trouble in troubles]
        return any(not (trouble.line or trouble.by) for trouble in troubles)

    @property
    def server_killed(self) -> bool:
        """The fork server dies, and another takes its place."""
        return any(trouble.what == "kill server" for troubles in self.starts for trouble in troubles)

    @property
    def killed_with_locks(self) -> bool:
        """The script may be killed while it has queues that are not inherited by a fork."""
        ends = {trouble.what for troubles in self.starts for trouble in troubles}
        born = any(stage.way in ("spawn", "forkserver") for stage in self.stages)
        return self.chain == "process" and born and bool(ends & {"kill script", "term script"})

    @property
    def may_lose_an_alarm(self) -> bool:
        """asyncio takes an Exception out of one of its callbacks for an error of the callback."""
        return self.begin in ("run", "loop") or any(stage.way == "async" for stage in self.stages)

    @property
    def streams(self) -> bool:
        return any(self.readings)

    @property
    def distinct(self) -> bool:
        return self.stages[0].deduplicate

    @property
    def peaceful(self) -> bool:
        """Nobody dies or is given up, and nothing is broken off: workers end when they are told to."""
        violent = ("dies", "dies once", "closes", "forks", "hang", "late")
        return (
            self.family == "calm"
            and not any(deed.what in violent for stage in self.stages for deed in stage.deeds.values())
            and not any(stage.state_breaks or stage.timeout for stage in self.stages)
        )

    @property
    def may_stop(self) -> bool:
        """Somebody says stop()."""
        inside = any({"stop() in a hook", "stop() in a function"} & stage.kinds for stage in self.stages)
        return inside or any(trouble.by for troubles in self.starts for trouble in troubles)

    @property
    def remembers(self) -> bool:
        """What has succeeded in one start is not run by the next."""
        return self.distinct and (self.chain is None or bool(self.journal))

    @property
    def way(self) -> str:
        """For people: how it runs."""
        ways = "+".join(stage.way for stage in self.stages)
        return ways if self.chain is None else f"{self.chain} chain {ways}"

    def __str__(self) -> str:
        parts = [f"{self.family}: {self.way} by {self.begin}"]
        distinct = f"{len(set(self.numbers))} distinct"
        parts.append(f"{len(self.numbers)} {self.kind} tasks ({distinct}), {self.feed}")
        parts += map(str, self.stages)
        if self.broken_at is not None:
            parts.append(f"input raises after {self.broken_at}")
        if self.journal:
            parts.append(f"journal of {self.journal}")
        for number, troubles in enumerate(self.starts):
            if troubles:
                parts.append(f"start {number}: " + ", ".join(map(str, map(tuple, troubles))))
            if reading := self.readings[number]:
                parts.append(f"start {number} is a stream: {tuple(reading)}")
        parts.append(
            f"{len(self.starts)} starts, fatal={self.fatal}, {self.ending}, sigpipe={self.sigpipe}"
        )
        return "; ".join(parts)


FLAGS = ("complains", "retries_deaths", "deduplicate", "keep_results", "log")
MORE = (
    "state",
    "slow_state",
    "state_breaks",
    "most",
    "rate",
    "keyed",
    "max_failures",
    "deadline",
    "halts",
)
