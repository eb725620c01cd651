"""Keeps attempts in flight: gives batches to a runner, and outcomes to the run. It looks into neither.

It decides when to wait, and the run how long; the waiting itself is done by the runner, in `collect`,
and by the source where nothing is in flight: in `read`, or in an event loop in `wait`.
"""

from __future__ import annotations

import asyncio
import contextlib
import math

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
        turn(run, runner, signals, stop, home)
    run.end()


def turn(
    run: Run,
    runner: Runner,
    signals: HeldSignals,
    stop: Stop,
    home: object,
    longest: float = math.inf,
) -> bool:
    """Give out what there is room for, and take in what comes. Whether there was anything.

    home: The process of the run. longest: Seconds that may be spent on waiting.
    """
    stop.check()
    room, moved = _give_out(run, runner, home)
    patience = min(longest, run.patience(full=not room))
    if runner.calls_here:
        answers = signals.through(runner.collect, patience)
    else:  # it waits some tenths of a second at most
        signals.deliver()
        answers = runner.collect(patience)
    _take_in(run, answers, home)
    moved = moved or bool(answers)
    # Errors hold the frames that they came through, in CPython 3.13 this one as well.
    answers = None  # type: ignore[assignment]
    return moved


def _give_out(run: Run, runner: Runner | AwaitedRunner, home: object) -> tuple[bool, bool]:
    """Give the runner what there is room for. Whether room is left, and whether it was given any."""
    if run.gate.limits:
        run.gate.begun(runner.begins())
    moved = False
    while room := runner.room(run.depth):
        batch = run.next_batch()
        end_a_copy(home)
        if batch is None:
            break
        runner.submit(batch)
        moved = True
    return room, moved


def _take_in(run: Run, answers: list[Answer], home: object) -> None:
    """Tell the run what has come, or that nothing has."""
    end_a_copy(home)
    for batch, outcomes in answers:
        run.finish(batch, outcomes)
        end_a_copy(home)
    if not answers:
        run.idle()


async def pump_awaiting(run: Run, runner: AwaitedRunner, signals: HeldSignals, stop: Stop) -> None:
    """The same, in an event loop that others use as well."""
    home = this_process()
    while not run.over:
        await turn_awaiting(run, runner, signals, stop, home)
    run.end()


async def turn_awaiting(
    run: Run,
    runner: AwaitedRunner,
    signals: HeldSignals,
    stop: Stop,
    home: object,
    longest: float = math.inf,
) -> bool:
    """As `turn`."""
    try:
        stop.check()
        room, moved = _give_out(run, runner, home)
        signals.deliver()
        beside = room and run.dry and runner.wakes
        patience = min(longest, run.patience(full=not room, beside=beside))
        answers: list[Answer] = []
        if run.waits_for_input:
            if longest:
                await run.input(patience)
        elif beside and longest:
            answers = await _collect_beside_input(run, runner, patience)
        else:
            answers = await runner.collect(patience)
        _take_in(run, answers, home)
        return moved or bool(answers)
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
