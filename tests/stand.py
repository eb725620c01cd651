"""A run with all that it is given, its clock turned by hand."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from task_manager._call import Slot
from task_manager._rules.batch_size import BatchSize
from task_manager._rules.ends import Ends
from task_manager._rules.limits import Limit
from task_manager._rules.retry import RetryPolicy
from task_manager._run.failing import Failing
from task_manager._run.ledger import Ledger
from task_manager._run.recorder import Recorder
from task_manager._run.run import Run
from task_manager._signals import HeldSignals
from task_manager._task import Batch, Failure, Outcomes
from task_manager.events import Event, Failed, Repeated, Retrying, Succeeded, Waiting


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class FakeSource:
    """Gives what it was loaded with, one read after the other; [] means that nothing is there yet."""

    def __init__(self, *reads: Sequence[Any], remaining: int | None = None) -> None:
        self._reads = deque(reads)
        self.remaining = remaining
        self.error: Exception | None = None
        self.dropped = 0
        self.asked: list[tuple[int, float]] = []

    @property
    def ended(self) -> bool:
        return not self._reads

    def read(self, limit: int, wait: float, signals: HeldSignals) -> list[Any]:
        self.asked.append((limit, wait))
        return list(self._reads.popleft()) if self._reads else []


class Diary:
    """An observer that writes down every event as a tuple."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.errors: list[BaseException] = []
        self.ticks = 0

    def observe(self, event: Event) -> None:
        match event:
            case Waiting():
                self.ticks += 1
            case Succeeded(indices, tasks, results):
                self.events.append(("succeeded", indices, tasks, results))
            case Failed(index, task, error, attempts):
                self.events.append(("failed", index, task, type(error), attempts))
                self.errors.append(error)
            case Retrying(index, task, error, number, delay):
                self.events.append(("retrying", index, task, type(error), number, delay))
            case Repeated(tasks):
                self.events.append(("repeated", tasks))


class Stand:
    """A run and all that it was given."""

    def __init__(
        self,
        *reads: Sequence[Any],
        ledger: Ledger | None = None,
        distinct: bool = True,
        remaining: int | None = None,
        max_retries: int = 3,
        retry: tuple[type[Exception], ...] = (ConnectionError,),
        get_args: Callable[[Any], Any] | None = None,
        process_result: Callable[[Any, Any], Any] | None = None,
        chances: Sequence[float] = (0.5,) * 100,
        slot: Slot | None = None,
        limit: Limit | None = None,
        rate_key: Callable[[Any], Any] | None = None,
        ends: Ends = Ends(),
        get_retry_delay: Callable[[Any, Any, int], Any] | None = None,
        process_error: Callable[[Any, BaseException], Any] | None = None,
    ) -> None:
        self.clock = Clock()
        self.diary = Diary()
        self.source = FakeSource(*reads, remaining=remaining)
        self.ledger = ledger or Ledger()
        self.ledger.begin_run()
        self.size = BatchSize(workers=1)
        self.run = Run(
            self.source,
            self.ledger,
            self.ledger.enter_new if distinct else self.ledger.enter_all,
            Failing(
                RetryPolicy(max_retries, retry, base=2.0, cap=100.0),
                get_retry_delay,
                process_error,
                deque(chances).popleft,
                HeldSignals(),
            ),
            Recorder([], [self.diary]),
            self.size,
            get_args=get_args,
            process_result=process_result,
            clock=self.clock,
            signals=HeldSignals(),
            slot=slot,
            limit=limit,
            rate_key=rate_key,
            ends=ends,
        )

    @property
    def events(self) -> list[Any]:
        return self.diary.events

    def next(self) -> Batch:
        batch = self.run.next_batch()
        assert batch is not None
        return batch

    def finish(self, batch: Batch, *answers: Any, positions: Sequence[int] | None = None) -> None:
        """Answer for these attempts, or all: an exception was raised, anything else returned."""
        where = range(len(answers)) if positions is None else positions
        failures = {
            position: Failure(answer, type(answer))
            for position, answer in zip(where, answers, strict=True)
            if isinstance(answer, BaseException)
        }
        values = [None if isinstance(answer, BaseException) else answer for answer in answers]
        self.run.finish(batch, Outcomes(where, values, failures, [0.002] * len(answers)))

    def fail_first(self, error: Exception | None = None) -> None:
        """The next batch, of one attempt, fails so that it is retried."""
        self.finish(self.next(), error or ConnectionError())


def columns(batch: Batch | None) -> Any:
    """What is in a batch; the calls as tuples of arguments, however the batch has them."""
    if batch is None:
        return None
    calls = batch.calls if batch.unpack else [(call,) for call in batch.calls]
    return batch.indices, batch.tasks, calls, batch.numbers
