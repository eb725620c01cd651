"""One process of ours, seen from its parent: a worker, or the process of a chain's stage.

     start ──▶ coming up ──▶ ready ──▶ dead ──▶ end: its exit code, and what its slot said last
                  └── dies, or hangs: FailedStarts counts it

Its death is told by its sentinel, by the end of its pipe, or by a Glance: one of its own children may
hold copies of the other ends of both, and then neither says anything.
"""

from __future__ import annotations

import multiprocessing
import os
import selectors
from collections.abc import Callable, Iterable
from contextlib import suppress
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

from .._call import IDLE, NEVER, clock
from .._platform import CAN_POLL, KILLED_CODES, has_died
from ..errors import WorkerStartError
from .channel import Channel
from .files import standard_files_taken
from .life import end_process, live, start_process
from .script import script_file
from .slot import SharedSlot
from .unguarded import UNGUARDED, unguarded_error

TIME_TO_END = 1.0  # seconds that a process gets to end by itself before it is killed
TIME_TO_COME_UP = 20.0  # the least that it gets to be ready, where its calls have a time limit
GLANCE = 0.5  # seconds between two looks at whether processes live
FAILED = 3  # processes in a row that die before they are ready; then the next one will, too
FAILED_KILLED = 50  # the same, if they were killed from outside, which may come to an end
FAILED_HANGING = 2  # the same, if they were not ready in time, or said that they cannot work


class Child:
    """Owns a process, our end of its pipe, and its slot.

    began: When it was started. ready: It has come up, as its owner has heard.
    up: It runs, but may have to make its state before it is ready, for which no time limit holds.
    refusal: Why it cannot work, in its own words or in ours; "" while it may.
    pid: Also when it is dead; None before it has started, and has a channel.
    exitcode: When it has ended; None where it cannot be known.
    told: What its slot said last, when it has ended: the number of the call, and when that began.
    last_begun: Then as well: the greatest number of a call that it had begun.
    """

    process: BaseProcess
    channel: Channel

    def __init__(self) -> None:
        self.began = clock()
        self.ready = False
        self.up = False
        self.refusal = ""
        self.pid: int | None = None
        self.exitcode: int | None = None
        self.told = IDLE, NEVER
        self.last_begun = IDLE
        self._slot: SharedSlot | None = None  # as long as the process has not ended
        self._channels: list[Channel] = []  # none, or the one that is open

    def start(self, context: BaseContext, target: Callable[..., None], *args: Any, name: str) -> None:
        """Start a process that runs target(pipe, slot, *args).

        To be called inside `uninterrupted`. Whatever this raises, `close` takes away what was begun.
        """
        self.began = clock()
        with standard_files_taken():
            shared = SharedSlot.argument()
            self.process, pipe = start_process(context, live, shared, target, *args, name=name)
            try:
                self._slot = SharedSlot.share(shared, pipe)
                self.channel = Channel(pipe)
                self.pid = self.process.pid
                self._channels = [self.channel]
            except BaseException:
                pipe.close()
                if self._slot is None:  # then `end` would not know of it
                    self.process.kill()
                    end_process(self.process, TIME_TO_END)
                raise

    @property
    def slot(self) -> SharedSlot:
        """Its current call. Raises RuntimeError when it has ended: then it is in `told`."""
        if self._slot is None:
            raise RuntimeError(f"the process {self.pid} has ended")
        return self._slot

    def stop(self, run: int) -> None:
        """No call of this run is to begin there. Any thread may say so, at any time."""
        slot = self._slot
        if slot is not None:
            slot.stop(run)

    @property
    def busy_or_ended(self) -> bool:
        """A call goes on in it, by its slot, or there is no such slot any more."""
        return self._slot is None or self._slot[1] != NEVER

    @property
    def has_died(self) -> bool:
        """Whether it has, as the system says."""
        return has_died(self.process)

    def listen(self, selector: selectors.BaseSelector, tells: bool) -> None:
        """Have the selector say what it sends, and its death, with this object as data.

        tells: Its sentinel says so, as `tells_of_death` knows.
        """
        selector.register(self.channel, selectors.EVENT_READ, self)
        if tells:
            try:
                selector.register(self.process.sentinel, selectors.EVENT_READ, self)
            except BaseException:
                selector.unregister(self.channel)
                raise

    def kill(self) -> None:
        """Where it runs."""
        if self._slot is not None:
            self.process.kill()

    def end(self, patience: float = TIME_TO_END) -> None:
        """Wait for its end, kill it after so many seconds; take in what is known of it then.

        Its pipe stays open, as there may be something in it. Ending twice is ending once.
        """
        slot, self._slot = self._slot, None
        if slot is None:
            return
        try:
            self.exitcode = end_process(self.process, patience)
        except BaseException:  # as out of a handler of a signal; what was begun is ended nevertheless
            with suppress(ValueError):  # it has been
                self.process.kill()
                end_process(self.process, TIME_TO_END)
            raise
        finally:
            self.told = slot[0], slot[1]
            self.last_begun = max(slot[0], slot[2])
            slot.close()

    def close(self) -> None:
        """End it, and close its pipe."""
        try:
            self.end()
        finally:
            while self._channels:
                self._channels.pop().close()


def tells_of_death(context: BaseContext) -> bool:
    """Whether a selector takes a sentinel, and that tells of the death of its process alone.

    The one of a process from a fork server tells of the death of that as well.
    """
    return CAN_POLL and context.get_start_method() != "forkserver"


C = TypeVar("C", bound=Child)


class Glance:
    """Looks now and then whether processes have died whose pipe and sentinel look alive."""

    def __init__(self) -> None:
        self._last = monotonic()

    def dead(self, children: Iterable[C]) -> list[C]:
        """Those whose process has died; none where the last look was not GLANCE seconds ago."""
        now = monotonic()
        if now - self._last < GLANCE:
            return []
        self._last = now
        return [child for child in children if child.has_died]


# ---------------------------------------------------------------------- those that do not come up


def time_to_come_up(timeout: float, coming: int) -> float:
    """Seconds after which a process that is not ready hangs, as in an import that never ends.

    A slow import is no fault: each has TIME_TO_COME_UP, or the time limit of a call if that is more, and
    in proportion more where so many come up at once that they wait for each other's processors.
    """
    return max(timeout, TIME_TO_COME_UP) * max(1.0, coming / (os.cpu_count() or 1))


def not_ready(what: str, seconds: float) -> str:
    """What to tell of a process, which `what` names, that hangs as it comes up."""
    return (
        f"{what} was not ready after {seconds:g} s. If it needs longer, as for its imports, set a "
        "larger task_timeout: that holds for this as well"
    )


class FailedStarts:
    """Counts processes in a row that end before they are ready: the next one may fare better, or not."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """One is ready."""
        self._died = self._hanging = 0

    def too_many(self, child: Child) -> bool:
        """Count this one, which has ended; whether there is no hope for another one."""
        if child.ready:
            self.clear()
            return False
        if child.refusal:
            self._hanging += 1
        else:
            self._died += 1
        # One that is killed as it makes its state, as where memory runs out, is not tried fifty times.
        most = FAILED_KILLED if child.exitcode in KILLED_CODES and not child.up else FAILED
        unguarded = child.exitcode == UNGUARDED  # so will the next one be
        return unguarded or self._died >= most or self._hanging >= FAILED_HANGING


def failed_starts_error(
    what: str, exitcode: int | None, start_method: str | None = None
) -> WorkerStartError:
    """What to raise when processes, which `what` names, keep dying before they are ready.

    exitcode: Of the last one. start_method: How they were started; None where that is not known.
    """
    if exitcode == UNGUARDED:
        return unguarded_error()
    script = script_file()
    advice = "stderr says what they died of, as a lack of memory"
    if start_method == "fork":
        pass
    elif script is None or Path(script).exists():
        advice = (
            'If this is a script, start under `if __name__ == "__main__":`, as other processes import '
            f"the script; otherwise {advice}"
        )
    else:
        advice = f"They import the script, and there is no file {script}: put it into one"
        if "fork" in multiprocessing.get_all_start_methods():
            advice += ", or use start_method='fork'"
    return WorkerStartError(
        f"the {what} die before they are ready, one after the other (the last one with "
        f"exit code {exitcode}). {advice}"
    )


def failed_set_ups_error(exitcode: int | None) -> WorkerStartError:
    """What to raise when workers keep dying as they make their state. exitcode: Of the last one."""
    return WorkerStartError(
        "the worker processes die while worker_state is called there, one after the other (the last one "
        f"with exit code {exitcode}). stderr may say what of, as a lack of memory"
    )
