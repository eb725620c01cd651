"""What one run decides, by the rules in `_rules`; and no waiting but where its input is read.

    source -> next_batch() -> the pump and its runner -> finish() -> recorder
                  ^                                         |
                  '-------- waiting retries <---------------'

What may start now, what an outcome means, whether and when to try again: it is decided here, the
same for every mode.  A Run never sleeps and knows no thread; its clock and its chance are handed in,
so that tests turn them by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from .._call import IDLE, NEVER, Slot
from .._journal.no_record import NoRecord
from .._rules.batch_size import BatchSize
from .._rules.ends import Ends
from .._rules.limits import Limit
from .._rules.timeouts import too_late
from .._runners import NotBegun
from .._signals import HeldSignals
from .._stop import Stop
from .._summary import Summary
from .._task import Attempt, Batch, Failure, Outcomes, Unrun
from ..events import Failed, Repeated, Retrying, Succeeded, Waiting
from .attempted import attempted, is_whole, succeeded
from .begun import Begun, not_begun_of
from .failing import Failing
from .first import FirstAttempts
from .gate import Gate
from .hooks import process_results
from .in_flight import InFlight
from .ledger import Entered, Ledger
from .notes import annotate
from .reading import Reading
from .recorder import Recorder
from .source import Source

MOST_WAITING = 10_000  # attempts; no more is read while so many wait, as where everything fails for long
TICK = 0.2  # seconds after which observers are told that nothing happens


class Run:
    """One start-to-end of a manager.

    enter: The ledger's way in: all tasks, or the new ones only.
    task_timeout: Seconds that a call may take; None: no limit. Runners end calls that take longer, where
        they can; one whose outcome comes late all the same is late.
    failing: Decides what a failure means.
    get_args, process_result: The hooks, or None where nobody overrode them.
    clock: Seconds, from anywhere.
    signals: Let through while the input is read and a hook is called, held back by the caller otherwise.
    stop: Says when the run is to end before its input does, and why.
    slot: Told for which task a hook is called, as the hook may end this process.
    limit: Says when attempts may start, and how many; None: whenever there is room.
    rate_key: Says of which key a task is, where the limit is a `KeyedLimit`.
    ends: When to end it early. stage: Where this run stands in a chain, from 1; None: in none.
    in_loop: The run flows in an event loop: a read may not wait. gate: What asks the limit.
    dry: The source had nothing at the last look, and has not ended.
    record: The open journal, told of tasks before their calls; outcomes come to it as to an observer.

    From the moment a task is entered it is in one of three places, whatever raises: between two places,
    in flight, or waiting. It leaves one only when it is in the next, or its outcome is recorded.
    """

    def __init__(
        self,
        source: Source,
        ledger: Ledger,
        enter: Callable[[list[Any]], Entered],
        failing: Failing,
        recorder: Recorder,
        size: BatchSize,
        *,
        get_args: Callable[[Any], Any] | None,
        process_result: Callable[[Any, Any], Any] | None,
        clock: Callable[[], float],
        task_timeout: float | None = None,
        signals: HeldSignals,
        stop: Stop | None = None,
        slot: Slot | None = None,
        limit: Limit | None = None,
        rate_key: Callable[[Any], Any] | None = None,
        ends: Ends = Ends(),  # noqa: B008 - frozen
        stage: int | None = None,
        in_loop: bool = False,
        record: NoRecord = NoRecord(),  # noqa: B008 - it holds nothing
    ) -> None:
        self._source = source
        self._ledger = ledger
        self._enter = enter
        self._recorder = recorder
        self._size = size
        self._process_result = process_result
        self._clock = clock
        self._task_timeout = task_timeout
        self._signals = signals
        self._stop = Stop() if stop is None else stop
        self._slot: Slot = [IDLE, NEVER] if slot is None else slot
        self.gate: Gate = Gate(limit, clock)
        self._first = FirstAttempts(get_args, rate_key, self._slot, signals, self._stop, self._fail)
        self._ends = ends
        self._failing = failing
        self._stage = stage
        self._in_loop = in_loop
        self._record = record

        self._began = self._ticked = clock()
        self._in_flight = InFlight()
        self._between: list[int] = []  # indices: entered, or due again, and not yet in a batch
        self._waiting = self.gate.waiting()
        self._look_again: float | None = None
        self._reading = Reading(source, signals)
        self.dry: bool = False
        self._begun = Begun()
        self._interrupted = 0
        self._broken_off: str | None = None  # why it was broken off, or what a stop has left undone

    @property
    def over(self) -> bool:
        """Nothing is in flight, and nothing more is to come: it is stopped, or all is done."""
        if self._in_flight:
            return False
        return self._stop.asked or (self._source.ended and not self._waiting)

    @property
    def depth(self) -> int:
        """Batches that one worker may hold. Where begins are limited, none waits for its begin."""
        return 1 if self.gate.limits else self._size.depth

    def next_batch(self) -> Batch | None:
        """What may start now, or None: `patience` then says when to ask again."""
        self.dry = False
        self._stop.ask_for(self._ends.after(self._clock() - self._began))
        if self._stop.asked:
            return None
        most, self._look_again = self.gate.most(lambda: self._in_flight.count)
        batch = (self._due(most) or self._fresh(most)) if most else None
        if self._stop.asked:  # as by a hook: what was taken stays between two places
            return None
        if batch is not None:
            self._record.leaving(batch.indices)
            self._in_flight.add(batch)
            self._between = []
            self.gate.leaving(batch)
        return batch

    def patience(self, full: bool, beside: bool = False) -> float:
        """Seconds that may be spent on waiting for outcomes.

        full: No worker has room, so that only an outcome can change anything.
        beside: A source that had nothing is waited for at the same time.
        """
        longest = 0.0 if self.over else TICK
        if not full and not self._stop.asked:
            if self._look_again is not None and not beside:
                longest = min(longest, self._look_again)
            if self._waiting:
                longest = min(longest, max(0.0, self._waiting.earliest - self._clock()))
        return longest

    @property
    def waits_for_input(self) -> bool:
        """Nothing is in flight, and the source had nothing."""
        return self.dry and not self._in_flight

    async def input(self, seconds: float) -> None:
        """In an event loop: wait for the source, so many seconds at most."""
        await self._source.wait(seconds)

    def idle(self) -> None:
        """Nothing came for a while: tell the observers so, but not too often."""
        now = self._clock()
        if now - self._ticked >= TICK:
            self._ticked = now
            self._recorder.record(Waiting(self._stage))

    def _due(self, most: int) -> Batch | None:
        """The retries whose time has come, and what waits for its key no more; so many at most."""
        most = min(most, self._size.size(None))
        due = self._waiting.take(self._clock(), most, self._between)
        if not due:
            return None
        batch = self._first.batch_of_due(due)
        self._look_again = 0.0  # where `get_args` has refused all
        return batch if len(batch) else None

    def _fresh(self, most: int) -> Batch | None:
        """New tasks from the source; so many at most."""
        if self._source.ended or len(self._waiting) >= MOST_WAITING:
            return None
        wait = 0.0 if self._in_flight or self._in_loop else self.patience(full=False)
        if wait:
            self._record.resting()
        size = min(most, self._size.size(self._source.remaining))
        limit = self._reading.limit(size)
        read = self._reading.read(limit, wait)
        if not read:
            self.dry = self._reading.dry
            if not (self.waits_for_input and self._in_loop):
                self._look_again = self._reading.pause if self._in_flight and self.dry else 0.0
            return None
        indices, tasks, repeats = self._enter(read)
        self._between = indices
        if repeats:
            self._recorder.record(Repeated(repeats, self._stage))
        indices, tasks = self._record.taken(indices, tasks, self._fail)
        if self._first.queue(indices, tasks, self.gate, self._waiting.queue):
            self._between = self._between if self._stop.asked else []
            self._look_again = 0.0
            due = self._due(most)
            self._reading.came_to(len(read), 0 if due is None else len(due))
            return due
        batch = self._first.batch(indices, tasks)
        self._reading.came_to(len(read), len(batch))
        if not len(batch):
            self._look_again = 0.0
            return None
        if limit == size or len(batch) <= size:
            return batch
        for position in range(size, len(batch)):  # they were read as those before them were repeats
            self._waiting.add(batch.attempt(position), due=0.0)
        return batch.part(range(size))

    def finish(self, batch: Batch, outcomes: Outcomes | Unrun) -> None:
        """Take in what came of some attempts of this batch."""
        positions = outcomes.positions
        self.gate.home(batch, outcomes)
        match outcomes:
            case Unrun():
                self._begun.add(batch.indices[position] for position in outcomes.begun)
                for position in self._record.returned(batch, outcomes, self._fail):
                    self._waiting.add(batch.attempt(position), due=0.0)
                self._in_flight.remove(batch, positions)
            case Outcomes(_, values, failures, seconds):
                if seconds:
                    self._size.learn(len(seconds), sum(seconds) + outcomes.aside, outcomes.weight)
                    if self._task_timeout is not None and max(seconds) > self._task_timeout:
                        failures = failures | too_late(outcomes, self._task_timeout)
                    self._recorder.record(attempted(batch, outcomes, failures, self._stage))
                spent = dict(zip(positions, seconds)) if failures else {}  # noqa: B905 - seconds may be unknown
                if failures:
                    positions, values, seconds = succeeded(outcomes, failures)
                if positions:
                    self._succeed(batch, positions, values, seconds)
                for position, failure in failures.items():
                    self._judge(batch.attempt(position), failure, spent.get(position))
                    self._in_flight.remove(batch, [position])

    def _succeed(
        self, batch: Batch, positions: Sequence[int], values: list[Any], seconds: list[float]
    ) -> None:
        if self._process_result is None:
            self._keep(batch, positions, values, seconds)
            return
        process_results(
            self._process_result,
            batch,
            zip(positions, values, seconds, strict=True),
            self._slot,
            self._signals,
            fail=self._fail_in_hook,
            keep=self._keep,
        )

    def _fail_in_hook(self, batch: Batch, position: int, error: BaseException, took: float) -> None:
        attempt = batch.attempt(position)
        self._fail(attempt.index, attempt.task, error, attempt.number, took)
        self._in_flight.remove(batch, [position])

    def _keep(
        self, batch: Batch, positions: Sequence[int], results: list[Any], seconds: list[float]
    ) -> None:
        done = batch if is_whole(batch, positions) else batch.part(positions)
        self._recorder.record(
            Succeeded(done.indices, done.tasks, results, seconds, done.numbers, self._stage)
        )
        self._settle(done.indices)
        self._in_flight.remove(batch, positions)

    def _judge(self, attempt: Attempt, failure: Failure, took: float | None) -> None:
        """Again, after a delay, or failed for good. took: Seconds of the call, where there was one."""
        index, task, number = attempt.index, attempt.task, attempt.number
        self.gate.hold(index, self._failing.pause(failure))
        delay, error = self._failing.verdict(attempt, failure)
        if delay is None:
            self._fail(index, task, error, number, took)
            return
        self._begun.add([index])
        self._recorder.record(Retrying(index, task, failure.error, number, delay, self._stage))
        self._waiting.add(replace(attempt, number=number + 1), due=self._clock() + delay)

    def _fail(
        self, index: int, task: Any, error: BaseException, attempts: int, took: float | None = None
    ) -> None:
        self._ledger.fail(index)
        failed = Failed(index, task, error, attempts, took, self._stage)
        annotate(error, f"task_manager: failed {failed.when}")
        self._recorder.record(failed)
        self._settle([index])
        self._failing.failed(index, task, error)
        self._stop.ask_for(self._ends.after_failure(*self._recorder.tally.outcomes))

    def _settle(self, indices: list[int]) -> None:
        """These have an outcome."""
        self._begun.settle(indices)
        self.gate.settle(indices)

    def end(self) -> None:
        """It is over. What a stop has left may be run again by the next run."""
        all_read = self._source.ended or self._source.remaining == 0
        if self._stop.reason is not None and (self._between or self._waiting or not all_read):
            self.break_off(self._stop.reason, ())

    def break_off(self, reason: str, not_begun: NotBegun | None = None) -> None:
        """The run ends here, for this reason: what has no outcome may be run again by the next run.

        not_begun: As a runner says it.
        """
        self._broken_off = reason
        in_flight = self._in_flight.indices
        others = [*self._between, *(attempt.index for attempt in self._waiting)]
        for index in [*others, *in_flight]:
            self._ledger.fail(index)
        surely_not = not_begun_of(not_begun)
        self._interrupted = self._begun.count(in_flight, others, surely_not)
        self._record.not_begun(surely_not)
        self._between = []
        self._in_flight.clear()
        self._waiting.clear()

    @property
    def error(self) -> Exception | None:
        """What the input raised at its end."""
        return self._source.error

    @property
    def summary(self) -> Summary:
        """The counts up to now. What has no outcome when a run was broken off is not started."""
        return self._recorder.tally.so_far(
            self._clock() - self._began,
            self._reading.taken + self._source.dropped,
            self._interrupted,
            self._broken_off,
            self._source.error,
        )
