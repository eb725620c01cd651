"""Starts the script of a scenario, makes the trouble from outside, and looks at what is left."""

from __future__ import annotations

import json
import os
import random
import selectors
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from .plan import EXIT_CODE, SIGNALS, Scenario, Trouble
from .stderr import unexpected

ROOT = Path(__file__).parents[2]
DEADLY = (signal.SIGKILL, signal.SIGTERM)  # not what a worker might do itself while it starts
LOOK = 0.2  # seconds between two looks at a script that says nothing
PROMPT = 10.0  # seconds in which a start that is told to stop must end, on the busiest machine
AFTERLIFE = 10.0  # seconds that the processes of a script may outlive it


@dataclass
class Verdict:
    """What came of one scenario. mates: All scenarios of its script."""

    scenario: Scenario
    faults: list[str] = field(default_factory=list)
    kills: int = 0
    signals: int = 0
    mates: list[int] = field(default_factory=list)


class Child:
    """One script, in a process group of its own; its processes are known by a mark."""

    def __init__(self, scenarios: Sequence[Scenario], mode: str | None, limit: float) -> None:
        self._scenarios = {scenario.index: scenario for scenario in scenarios}
        self._limit = limit
        self._mark = uuid.uuid4().hex
        self._mode = mode
        self._now = Verdict(scenarios[0])
        self._verdicts = {scenarios[0].index: self._now}
        self._told = b""
        self._sent: list[str] = []
        self._kills = 0
        self._again = False  # a new script goes on where the first one has ended
        self._frozen: list[tuple[float, int]] = []  # when to let go on, and who

    def run(self) -> list[Verdict]:
        """The verdicts on all scenarios that it came to."""
        with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as folder:
            self._run_script(folder)
            scenario = self._now.scenario
            if scenario.fatal and scenario.journal and not self._now.faults:
                self._again = True
                self._run_script(folder)
        for verdict in self._verdicts.values():
            verdict.mates = list(self._scenarios)
        return list(self._verdicts.values())

    def _run_script(self, folder: str) -> None:
        stderr = Path(folder) / "stderr"
        seed = next(iter(self._scenarios.values())).seed
        with stderr.open("ab") as errors:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", f"{__package__}.child", folder, str(seed)),
                    *(self._mode or "", "again" if self._again else "", *map(str, self._scenarios)),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=folder,
                env={
                    **os.environ,
                    "TASK_MANAGER_TEST": self._mark,
                    "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
                    "PYTHONDONTWRITEBYTECODE": "1",
                },
                start_new_session=True,
            )
            with self._process:
                try:
                    self._listen(stderr)
                finally:
                    self._clean_up(stderr)

    @property
    def _fatal(self) -> bool:
        """The end of the scenario is that of its script."""
        return self._now.scenario.fatal and not self._again

    # ------------------------------------------------------------------ what it says

    def _lines(self) -> Iterator[dict[str, Any] | None]:
        """What the script tells; None whenever it is time to look around."""
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while True:
                if selector.select(min(LOOK, self._pause())):
                    piece = os.read(self._process.stdout.fileno(), 1 << 16)
                    *lines, self._told = (self._told + piece).split(b"\n")
                    yield from map(json.loads, lines)
                    if not piece:
                        return
                elif self._process.poll() is not None and not selector.select(0):
                    return  # it has ended, what it said last is read, and somebody else holds its stdout
                yield None

    def _listen(self, stderr: Path) -> None:
        deadline = time.monotonic() + self._limit
        for news in self._lines():
            match news:
                case None:
                    self._go_on()
                    self._make_trouble()
                    if time.monotonic() > deadline:
                        self._end_hang(stderr)
                        return
                case {"what": "begin", "index": index}:
                    if not self._again:
                        self._now = self._verdicts[index] = Verdict(self._scenarios[index])
                    self._finished = False
                    deadline = time.monotonic() + self._limit
                case {"what": "start", "number": number}:
                    self._begin_start(number)
                case {"what": "end"}:
                    self._end_start()
                case {"what": "verdict", "faults": faults}:
                    self._now.faults += faults
                    self._finished = True
                    self._look_at_stderr(stderr)

    def _look_at_stderr(self, stderr: Path) -> None:
        """What a script says there belongs to the scenario that it is at."""
        text = stderr.read_text(errors="replace")
        os.truncate(stderr, 0)
        if text := unexpected(text, self._now.scenario, self._fatal, self._sent):
            self._now.faults.append(f"on stderr:\n{text[-6000:]}")

    # ------------------------------------------------------------------ trouble

    def _begin_start(self, number: int) -> None:
        scenario = self._now.scenario
        self._chance = random.Random(f"{scenario.seed} {scenario.index} {number}")
        self._began = time.monotonic()
        self._due = [trouble for trouble in scenario.starts[number] if not trouble.line]
        self._sent, self._kills, self._in_start = [], 0, True
        self._stop_sent = 0.0

    _in_start = False
    _due: list[Trouble] = []  # noqa: RUF012
    _finished = False

    def _pause(self) -> float:
        """Seconds until the next trouble."""
        times = [when for when, _ in self._frozen]
        if self._in_start and self._due:
            times.append(self._began + self._due[0].moment)
        return max(0.0, min(times, default=time.monotonic() + LOOK) - time.monotonic())

    def _make_trouble(self) -> None:
        while self._in_start and self._due and time.monotonic() >= self._began + self._due[0].moment:
            trouble = self._due.pop(0)
            match trouble.what:
                case "kill":
                    self._kill(self._workers(), DEADLY)
                case "kill server":
                    self._kill(self._servers(), (signal.SIGKILL,))
                case "freeze":
                    self._freeze(self._workers(), trouble.lasting)
                case "freeze script":
                    self._freeze([self._process.pid], trouble.lasting)
                case "kill script":
                    self._signal(signal.SIGKILL, trouble)
                case "term script":
                    self._signal(signal.SIGTERM, trouble)
                case _:
                    self._signal(SIGNALS[trouble.what], trouble)

    def _signal(self, number: int, trouble: Trouble) -> None:
        if self._process.poll() is None:
            self._sent.append(trouble.what)
            self._stop_sent = self._stop_sent or time.monotonic()
            (os.killpg if trouble.group else os.kill)(self._process.pid, number)

    def _kill(self, victims: list[int], ways: Sequence[int]) -> None:
        if victims:
            self._kills += 1
            hit(self._chance.choice(victims), self._chance.choice(ways))

    def _freeze(self, victims: list[int], seconds: float) -> None:
        if victims:
            victim = self._chance.choice(victims)
            hit(victim, signal.SIGSTOP)
            self._frozen.append((time.monotonic() + seconds, victim))
            self._frozen.sort()

    def _go_on(self, all_of_them: bool = False) -> None:
        while self._frozen and (all_of_them or time.monotonic() >= self._frozen[0][0]):
            hit(self._frozen.pop(0)[1], signal.SIGCONT)

    def _end_start(self) -> None:
        self._in_start = False
        self._go_on(all_of_them=True)
        took = time.monotonic() - self._stop_sent
        if self._stop_sent and took > PROMPT:
            self._now.faults.append(f"the start went on for {took:.1f} s after {self._sent}")
        self._now.kills += self._kills
        self._now.signals += len(self._sent)
        assert self._process.stdin is not None
        made = json.dumps({"kills": self._kills, "sent": self._sent})
        try:
            self._process.stdin.write(f"{made}\n".encode())
            self._process.stdin.flush()
        except BrokenPipeError:  # it has ended since
            pass

    def _family(self) -> list[tuple[psutil.Process, str]]:
        """All processes that the script has started, with their command lines."""
        family = []
        try:
            for process in psutil.Process(self._process.pid).children(recursive=True):
                try:
                    family.append((process, " ".join(process.cmdline())))
                except psutil.Error:
                    continue
        except psutil.Error:
            pass
        return sorted(family, key=lambda one: one[0].pid)

    def _servers(self) -> list[int]:
        return [one.pid for one, line in self._family() if "forkserver" in line and self._is_mine(one)]

    def _workers(self) -> list[int]:
        """Workers and stages: all but the servants of multiprocessing."""
        family = self._family()
        servants = {one.pid for one, line in family if "resource_tracker" in line}
        servants |= {one.pid for one, line in family if "forkserver" in line and self._is_mine(one)}
        return [one.pid for one, line in family if line and one.pid not in servants]

    def _is_mine(self, process: psutil.Process) -> bool:
        try:
            return process.ppid() == self._process.pid
        except psutil.Error:
            return False

    # ------------------------------------------------------------------ the end

    def _end_hang(self, stderr: Path) -> None:
        """Have all stacks on stderr, and end it."""
        self._go_on(all_of_them=True)
        state = "\n".join(self._alive())
        for pid in [one.pid for one, _ in self._family()] + [self._process.pid]:
            hit(pid, signal.SIGUSR1)
        time.sleep(1.0)
        text = f"{state}\n{stderr.read_text(errors='replace')[-20000:]}"
        self._now.faults.append(f"hangs: no end after {self._limit:.0f} s. Alive:\n{text}")
        os.truncate(stderr, 0)
        self._finished = True
        self._process.kill()

    def _clean_up(self, stderr: Path) -> None:
        self._go_on(all_of_them=True)
        try:
            code: int | None = self._process.wait(AFTERLIFE)
        except subprocess.TimeoutExpired:
            self._end_hang(stderr)
            code = self._process.wait()
        else:
            self._look_at_exit(code, stderr)
        deadline = time.monotonic() + AFTERLIFE
        while (alive := self._alive()) and time.monotonic() < deadline:
            time.sleep(0.05)
        if alive:
            self._now.faults.append("alive after the end of the script:\n" + "\n".join(alive))
            for line in alive:
                hit(int(line.split()[0]), signal.SIGKILL)

    def _look_at_exit(self, code: int | None, stderr: Path) -> None:
        expected = 0
        if self._fatal:
            self._now.signals = len(self._sent)
            ends = {"int": -signal.SIGINT, "alarm": 1, "term": EXIT_CODE}
            ends |= {"kill script": -signal.SIGKILL, "term script": -signal.SIGTERM}
            if self._sent:
                expected = ends[self._sent[0]]
        elif not self._finished:
            self._now.faults.append("the script ended in the middle of the scenario")
        if self._sent == ["alarm"] and self._now.scenario.may_lose_an_alarm and code == 0:
            expected = 0
        if code != expected and not any(fault.startswith("hangs") for fault in self._now.faults):
            self._now.faults.append(f"exit code {code} instead of {expected}")
        self._look_at_stderr(stderr)

    def _alive(self) -> list[str]:
        """Everything of this script that is alive."""
        alive = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("TASK_MANAGER_TEST") == self._mark:
                    alive.append(f"{process.pid} {process.status()} {' '.join(process.cmdline())}")
            except psutil.Error:
                continue
        return alive


def hit(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
