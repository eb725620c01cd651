"""What a manager keeps from run to run, and how one run is made of it.

Plan, source ──▶ Runs.start ──▶ Run, pump, runner ──▶ recorder
│
└── kept: the tasks taken, their results, the last summary, the workers; what is known of the journal
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

from .._call import clock
from .._journal.known import Known
from .._journal.no_record import NoRecord
from .._notice import Unsaid
from .._rules.limits import Limit
from .._runners import AwaitedRunner, NotBegun, Runner
from .._runners.awaited import Awaited
from .._runners.kept import KeptRunner
from .._runners.looped import LoopedRunner
from .._signals import HeldSignals
from .._stop import Stop, StoppedAtOnce
from .._summary import Summary, why
from ..errors import ConfigurationError
from ..events import Observer, RunBegan, next_run
from .flow import Flow, new_run, recording
from .gate import limit_of
from .ledger import Ledger
from .plan import Plan
from .pump import pump, pump_awaiting, refuse_running_loop
from .recorder import Recorder
from .results import Results
from .run import Run
from .source import Source
from .untold import Untold


class Runs:
    """Owns what a manager keeps, and lets one run at a time flow.

    results: Of all runs. summary, limit: Of the last one. unsaid: Of failures, as the script ends.
    """

    def __init__(self) -> None:
        self._ledger = Ledger()
        self.results: Results = Results(self._ledger.keys)
        self.summary: Summary = Summary()
        self._known = Known()
        self.unsaid: Unsaid = Unsaid()
        self._runner = KeptRunner()
        self._stop: Stop | None = None  # of the run that is going on
        self.limit: Limit | None = None

    def start(
        self,
        plan: Plan,
        source: Source,
        signals: HeldSignals,
        recorder: Recorder | None = None,
        stop: Stop | None = None,
    ) -> Summary:
        """Make one run, in this thread.

        signals: Held back by the caller, from before it looked at anything of the user's: what a
            handler raises in that look must not be taken for a fault of what is looked at.
        recorder: As `recorder` makes it; None: a new one.
        stop: Of the chain that this run belongs to; None: it has one of its own.
        """
        if plan.mode.awaits:  # the signals are held before the loop is made: it has no safe places
            refuse_running_loop("a manager in async mode", "await manager.start_async(tasks)")
            return asyncio.run(self._start_in_own_loop(plan, source, signals, recorder, stop))
        with self.flowing(plan, source, signals, recorder, stop) as flow:
            pump(flow.run, flow.runner, signals, flow.stop)
        return signals.through(self.conclude, flow.run, plan)

    @contextlib.contextmanager
    def flowing(
        self,
        plan: Plan,
        source: Source,
        signals: HeldSignals,
        recorder: Recorder | None = None,
        stop: Stop | None = None,
        told: Untold | None = None,
        in_loop: bool = False,
        apart: bool = False,
    ) -> Iterator[Flow]:
        """The time of a run, which the caller pumps. However it ends, its counts are kept.

        told: What its reader is told, where `recorder` is None. in_loop: It is pumped in an event loop,
            and the caller closes the runner. apart: A loop that is needed has a thread of its own.
        """
        with self._one_run(plan, stop, signals, in_loop) as (one, record):
            essential = record.observers if told is None else (*record.observers, told)
            recorder = recorder or self.recorder(plan, *essential)
            with contextlib.ExitStack() as at_the_end:
                runner: Any
                if in_loop:
                    runner = self._awaited_runner(plan, signals)
                    record.calls_here = not plan.mode.awaits and self._kept_runner(plan).calls_here
                elif apart and plan.mode.awaits:
                    runner = LoopedRunner(plan.func, plan.orders)
                    at_the_end.callback(runner.close)
                else:
                    runner = self._kept_runner(plan)
                    record.calls_here = runner.calls_here
                run = self._new_run(plan, source, recorder, runner, signals, record, one, in_loop, told)
                with self._ending(run, plan, recorder, runner, record, own=stop is None):
                    yield Flow(run, runner, one, record)

    async def start_async(
        self,
        plan: Plan,
        source: Source,
        signals: HeldSignals,
        recorder: Recorder | None = None,
        stop: Stop | None = None,
    ) -> Summary:
        """The same, in the running event loop."""
        with self.flowing(plan, source, signals, recorder, stop, in_loop=True) as flow:
            try:
                await pump_awaiting(flow.run, flow.runner, signals, flow.stop)
            finally:
                try:
                    await source.close()  # first: what it has read until then is counted
                finally:
                    await flow.runner.close()
        return signals.through(self.conclude, flow.run, plan)

    def stop(self) -> bool:
        """As `TaskManager.stop`."""
        stop = self._stop
        return stop is not None and stop.stop()

    def failed(self, plan: Plan) -> list[Any]:
        """The tasks that have failed in earlier runs; with a journal, also those of other processes.

        Raises ConfigurationError where nobody knows them, JournalError where the journal is refused.
        """
        if plan.journal is None:
            if not plan.keeps:
                raise ConfigurationError(
                    f"{plan.owner} does not know what failed, as keep_results=False keeps no errors: "
                    "make it with keep_results='errors', or with a journal"
                )
            return list(self.results.errors())
        with (
            self._runner.one_run(plan.owner),
            recording(plan, self._known, lambda: self.summary) as record,
        ):
            self._restore(plan, record)
            return list(self.results.errors()) if plan.keeps else record.failed_tasks()

    @contextlib.contextmanager
    def made_elsewhere(
        self, plan: Plan, recorder: Recorder, total: int | None, stop: Stop
    ) -> Iterator[None]:
        """The time of a run whose calls are made in another process: in that of a chain's stage.

        stop: Of the chain.
        """
        began = clock()
        ended_early: str | None = None
        with self._runner.one_run(plan.owner), self._stopped_by(stop):
            self.limit = limit_of(plan, self.limit)
            self.results.begin_run(repeats=True, keeps=plan.keeps)
            workers = plan.orders.workers
            recorder.record(RunBegan(total, plan.stage, plan.mode.name, workers, next_run()))
            try:
                yield
            except BaseException as error:
                ended_early = why(error)
                raise
            finally:
                seconds = clock() - began
                ended_early = ended_early or stop.reason
                self.summary = recorder.tally.summary(seconds, 0, ended_early=ended_early)
                recorder.close(self.summary, plan.stage)

    def recorder(self, plan: Plan, *essential: Observer) -> Recorder:
        """Who is told of one run: what keeps its results, then these, then those of the plan.

        essential: What they raise ends the run.
        """
        kept: tuple[Observer, ...] = (self.results, self._ledger) if plan.keeps else ()
        return Recorder([*kept, *essential], plan.observers, keeps_errors=bool(plan.keeps))

    def number(self, count: int) -> range:
        """The indices of the next so many tasks, which are taken elsewhere."""
        return self._ledger.number(count)

    @property
    def following(self) -> int:
        """The index that the next new task gets."""
        return self._ledger.following

    def shutdown(self) -> None:
        """End the workers; in the middle of a run, at its end."""
        self._runner.shutdown()

    @contextlib.contextmanager
    def at_rest(self, owner: str) -> Iterator[None]:
        """A time without a run. RuntimeError in the middle of one. owner: For people."""
        with self._runner.one_run(owner):
            yield

    def reset(self) -> None:
        """Forget what was done; to be called `at_rest`. The numbers go on: none means two tasks ever."""
        self._ledger = Ledger(self._ledger.following)
        self.results = Results(self._ledger.keys)
        self.summary = Summary()
        self._known = Known(self._ledger.following)

    async def _start_in_own_loop(
        self,
        plan: Plan,
        source: Source,
        signals: HeldSignals,
        recorder: Recorder | None,
        stop: Stop | None,
    ) -> Summary:
        """In an event loop that ends with the run."""
        try:
            return await self.start_async(plan, source, signals, recorder, stop)
        finally:
            signals.ends_allowed = True

    @contextlib.contextmanager
    def _one_run(
        self, plan: Plan, stop: Stop | None, signals: HeldSignals, in_loop: bool = False
    ) -> Iterator[tuple[Stop, NoRecord]]:
        """The time of a run: what stops it, and its journal."""
        with (
            self._runner.one_run(plan.owner),
            self._stopped_by(stop, signals, in_loop) as one,
            recording(plan, self._known, lambda: self.summary) as record,
        ):
            yield one, record

    @contextlib.contextmanager
    def _stopped_by(
        self, given: Stop | None, signals: HeldSignals | None = None, in_loop: bool = False
    ) -> Iterator[Stop]:
        """The time in which a run can be stopped.

        given: Of a chain; None: the run has one of its own. in_loop: As of `Stop`.
        """
        self._stop = stop = Stop(signals, in_loop) if given is None else given
        try:
            yield stop
        finally:
            self._stop = None
            if given is None:
                stop.over()

    def _restore(self, plan: Plan, record: NoRecord) -> None:
        self._ledger.keeps_keys = bool(plan.keeps)
        self.results.begin_run(repeats=not plan.distinct, keeps=plan.keeps)
        record.restore(self._ledger, self.results, plan.keeps)

    def _new_run(
        self,
        plan: Plan,
        source: Source,
        recorder: Recorder,
        runner: Runner | AwaitedRunner,
        signals: HeldSignals,
        record: NoRecord,
        stop: Stop,
        in_loop: bool,
        told: Untold | None,
    ) -> Run:
        runner.follow(stop)
        self.limit = limit_of(plan, self.limit)
        self._restore(plan, record)
        self._ledger.begin_run()
        began = RunBegan(source.remaining, plan.stage, plan.mode.name, runner.workers, next_run())
        recorder.record(began)
        return new_run(
            plan,
            source,
            self._ledger,
            recorder,
            runner,
            signals,
            record,
            stop,
            self.limit,
            in_loop,
            told,
        )

    @contextlib.contextmanager
    def _ending(
        self,
        run: Run,
        plan: Plan,
        recorder: Recorder,
        runner: Runner | AwaitedRunner,
        record: NoRecord,
        own: bool,
    ) -> Iterator[None]:
        """However the run ends, its counts are kept and its observers told.

        A run that is broken off leaves its runner in the middle of things; the runner goes with it.
        own: What stops it at once is its own, and no error for those who started it.
        """
        try:
            yield
        except BaseException as error:
            not_begun: NotBegun | None = None
            try:
                self._runner.close()
                if isinstance(runner, LoopedRunner):
                    runner.close()
                not_begun = runner.not_begun()
            finally:
                run.break_off(why(error), not_begun)
            if not (own and isinstance(error, StoppedAtOnce) and error.stop is self._stop):
                raise
        finally:
            run.gate.close()
            self.summary = record.close(run.summary)
            recorder.close(self.summary, plan.stage)

    def give_back(self, indices: list[int]) -> None:
        """These have an outcome that nobody has been told and nobody keeps: they may be run again."""
        for index in indices:
            self._ledger.fail(index)

    def conclude(self, run: Run, plan: Plan) -> Summary:
        """What follows a run that has come to its end; raises what the hook or the input has raised."""
        summary = self.summary  # which the hook may reset
        plan.handle_error()
        if run.error is not None:
            raise run.error
        return summary

    def _kept_runner(self, plan: Plan) -> Runner:
        return self._runner.runner(lambda: plan.mode.load()(plan.func, plan.orders))

    def _awaited_runner(self, plan: Plan, signals: HeldSignals) -> AwaitedRunner:
        """A runner for the running loop: one that lives as long as the run, or the kept one."""
        if plan.mode.awaits:
            runner: AwaitedRunner = plan.mode.load()(plan.func, plan.orders)
            return runner
        return Awaited(self._kept_runner(plan), signals)
