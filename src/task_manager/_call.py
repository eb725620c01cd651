"""The user's call, and what comes of it: the only code of ours that runs in a worker."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from ._task import Failure, Outcomes, Unrun

PROMPT = 0.001  # a call of so many seconds has its outcome sent home before the next call begins
TOO_LONG = 0.15  # seconds; a batch of short calls that has turned into one of long ones is broken off
IDLE = -1.0  # the number in a slot before the first call
NEVER = math.inf  # the beginning of a call that is over: no time limit applies to what follows

clock = time.perf_counter  # one clock for all processes of a machine


class Slot(Protocol):
    """What a worker has in hand, for others to read: [number of the call, begun at].

    A number stands until the next call begins, so that a worker that dies on its way home with an
    outcome is known by its task.
    """

    def __setitem__(self, cell: int, value: float, /) -> None: ...


def invoker(func: Callable[..., Any], unpack: bool) -> Callable[[Any], Any]:
    """The function as `call_batch` takes it: called with one object, a tuple unpacked into arguments."""
    return (lambda args: func(*args)) if unpack else func


def call_batch(
    invoke: Callable[[Any], Any],
    calls: Sequence[Any],
    slot: Slot,
    numbers: Sequence[int] | None = None,
    passing: Callable[[BaseException], bool] | None = None,
    patience: float = math.inf,
) -> Iterator[Outcomes | Unrun]:
    """Make the calls in turn; yield outcomes after each slow call, and at the end.

    numbers: Those of the calls, for the slot; None: the positions.
    patience: Seconds after which a slow call is the last one; the others are given back, so that
        workers with nothing to do may have them.
    passing: Tells what is no outcome but is raised, after the outcomes so far were yielded.
    """
    first = 0
    values: list[Any] = []
    failures: dict[int, Failure] = {}
    seconds: list[float] = []
    interrupt: BaseException | None = None
    begun = clock()
    too_late = begun + patience
    positions = range(len(calls))
    for position, number, call in zip(positions, numbers or positions, calls, strict=True):
        slot[1] = begun
        slot[0] = number
        try:
            value = invoke(call)
        except BaseException as error:
            if passing is not None and passing(error):
                interrupt = error
                break
            failures[position] = failure_of(error)
            value = None
        values.append(value)
        ended = clock()
        seconds.append(ended - begun)
        if ended - begun >= PROMPT:
            slot[1] = NEVER
            del value
            yield Outcomes(range(first, position + 1), values, failures, seconds)
            first, values, failures, seconds = position + 1, [], {}, []
            ended = clock()
            if ended >= too_late and first < len(calls):
                yield Unrun(range(first, len(calls)))
                return
        begun = ended
    slot[1] = NEVER
    if values:
        yield Outcomes(range(first, first + len(values)), values, failures, seconds)
    if interrupt is not None:
        raise interrupt


def failure_of(error: BaseException) -> Failure:
    """The error of a call, without the frames of ours at the head of its traceback."""
    head = BaseException.__dict__["__traceback__"].__get__(error)  # whatever its class makes of the name
    while head is not None and head.tb_frame.f_globals.get("__package__") in _OURS:
        head = head.tb_next
    BaseException.with_traceback(error, head)  # works on a frozen error, and on one that overrides it
    return Failure(error, type(error))


_OURS = frozenset([__package__, f"{__package__}._runners"])
