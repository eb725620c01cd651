"""A Run is made: of a plan, and of what its manager keeps."""

from __future__ import annotations

import random
from time import monotonic  # bound here, as tests of other code stop the clock

from .._journal.no_record import NoRecord
from .._rules.batch_size import BatchSize
from .._runners import AwaitedRunner, Runner
from .._signals import HeldSignals
from .._stop import Stop
from .ledger import Ledger
from .plan import Plan
from .recorder import Recorder
from .run import Run
from .source import Source
from .untold import Enter, Untold


def new_run(
    plan: Plan,
    source: Source,
    ledger: Ledger,
    recorder: Recorder,
    runner: Runner | AwaitedRunner,
    signals: HeldSignals,
    record: NoRecord,
    stop: Stop,
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
        plan.retry,
        recorder,
        BatchSize(runner.workers, runner.sharing),
        get_args=plan.get_args,
        process_result=plan.process_result,
        clock=monotonic,
        chance=random.random,
        task_timeout=plan.orders.task_timeout,
        signals=signals,
        stop=stop,
        slot=plan.orders.slot,
        limit=plan.limit,
        stage=plan.stage,
        in_loop=in_loop,
        record=record,
    )
