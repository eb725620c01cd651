"""A run that flows: how it is made of a plan and of what its manager keeps, and its open journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from .._call import clock
from .._journal.known import Known
from .._journal.no_record import NoRecord
from .._journal.record import Record
from .._rules.batch_size import BatchSize
from .._rules.limits import Limit
from .._runners import AwaitedRunner, Runner
from .._signals import HeldSignals
from .._stop import Stop
from .._summary import Summary
from .failing import failing_of
from .ledger import Ledger
from .plan import Plan
from .recorder import Recorder
from .run import Run
from .source import Source
from .untold import Enter, Untold


class Flow(NamedTuple):
    """A run that goes on, and what it needs to be pumped. runner: An AwaitedRunner in a loop."""

    run: Run
    runner: Any
    stop: Stop
    record: NoRecord

    def rest(self) -> None:
        """Nothing is done for a while: what is to be written is."""
        self.record.resting()
        self.run.idle()


@contextmanager
def recording(plan: Plan, known: Known, summary: Callable[[], Summary]) -> Iterator[NoRecord]:
    """The time in which the journal is open, if there is one. summary: Of the last run."""
    if plan.journal is None:
        yield plan.record or NoRecord()
        return
    record = Record(plan.journal, [plan.func], False, known)
    try:
        yield record
    finally:
        record.close(summary())  # where no run has begun; otherwise that is done


def new_run(
    plan: Plan,
    source: Source,
    ledger: Ledger,
    recorder: Recorder,
    runner: Runner | AwaitedRunner,
    signals: HeldSignals,
    record: NoRecord,
    stop: Stop,
    limit: Limit | None,
    in_loop: bool,
    told: Untold | None,
) -> Run:
    """told: What its reader is told, if there is one: it says how far the input may be read."""
    enter: Enter = ledger.enter_new if plan.distinct else ledger.enter_all
    if told is not None:
        source, enter = told.source(source, runner.workers), told.enter(enter)
    return Run(
        source,
        ledger,
        enter,
        failing_of(plan, signals),
        recorder,
        BatchSize(
            runner.workers,
            runner.sharing,
            plan.mode.worth_of_batch(runner.workers),
            plan.orders.most_calls,
        ),
        get_args=plan.get_args,
        process_result=plan.process_result,
        ends=plan.ends,
        clock=clock,
        task_timeout=plan.orders.task_timeout,
        signals=signals,
        stop=stop,
        slot=plan.orders.slot,
        limit=limit,
        rate_key=plan.rate_key,
        stage=plan.stage,
        in_loop=in_loop,
        record=record,
    )
