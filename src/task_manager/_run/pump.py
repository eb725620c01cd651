"""Keeps attempts in flight: gives batches to a runner, and outcomes to the run. It looks into neither.

It decides when to wait, and the run how long; the waiting itself is done by the runner, in `collect`,
and by the source where nothing is in flight: in `read`, or in an event loop in `wait`.
"""

from __future__ import annotations

import asyncio
import contextlib

from .._platform import end_a_copy, this_process
from .._runners import Answer, AwaitedRunner, Runner
from .._signals import HeldSignals
from .._stop import Stop
from ..errors import ConfigurationError
from .run import Run


def pump(run: Run, runner: Runner, signals: HeldSignals, stop: Stop) -> None:
    """Let the run flow through the runner until it is over. Raises StoppedAtOnce if that is wanted."""
    home = this_process()
    while not run.over:
        stop.check()
        if run.gate.limits:
            run.gate.begun(runner.begins())
        while room := runner.room(run.depth):
            batch = run.next_batch()
            end_a_copy(home)
            if batch is None:
                break
            runner.submit(batch)
        patience = run.patience(full=not room)
        if runner.calls_here:
            answers = signals.through(runner.collect, patience)
        else:  # it waits some tenths of a second at most
            signals.deliver()
            answers = runner.collect(patience)
        end_a_copy(home)
        for batch, outcomes in answers:
            run.finish(batch, outcomes)
            end_a_copy(home)
        if not answers:
            run.idle()
    run.end()


async def pump_awaiting(run: Run, runner: AwaitedRunner, signals: HeldSignals, stop: Stop) -> None:
    """The same, in an event loop that others use as well."""
    home = this_process()
    try:
        while not run.over:
            stop.check()
            if run.gate.limits:
                run.gate.begun(runner.begins())
            while room := runner.room(run.depth):
                batch = run.next_batch()
                end_a_copy(home)
                if batch is None:
                    break
                runner.submit(batch)
            signals.deliver()
            beside = bool(room) and run.dry and runner.wakes
            patience = run.patience(full=not room, beside=beside)
            if run.waits_for_input:
                answers: list[Answer] = []
                await run.input(patience)
            elif beside:
                answers = await _collect_beside_input(run, runner, patience)
            else:
                answers = await runner.collect(patience)
            end_a_copy(home)
            for batch, outcomes in answers:
                run.finish(batch, outcomes)
                end_a_copy(home)
            if not answers:
                run.idle()
        run.end()
    except BaseException as error:
        # A copy must not come to the end of the loop: asyncio takes the loop's wake-up pipe out of the
        # selector there, which the copy shares with its parent.
        end_a_copy(home, error)
        raise


async def _collect_beside_input(run: Run, runner: AwaitedRunner, patience: float) -> list[Answer]:
    """Wait for outcomes, or until the source has something: a look at each in turn costs much more."""

    def wake(waiting: asyncio.Future[None]) -> None:
        runner.wake()

    waiting = asyncio.ensure_future(run.input(patience))
    waiting.add_done_callback(wake)
    try:
        return await runner.collect(patience)
    finally:
        waiting.remove_done_callback(wake)
        waiting.cancel()
        await asyncio.wait([waiting])
        if not waiting.cancelled():
            waiting.result()


def refuse_running_loop(what: str, instead: str) -> None:
    """Async mode needs a loop of its own where it is started without await.

    what: What is started. instead: The code that does it inside a running loop.
    """
    with contextlib.suppress(RuntimeError):
        asyncio.get_running_loop()
        raise ConfigurationError(
            f"{what} cannot start inside a running event loop: use `{instead}` there"
        )
