"""The user's call, and what comes of it: a value or a failure. In async mode the runner calls."""

from __future__ import annotations

import contextlib
import gc
import inspect
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from operator import is_
from types import CoroutineType, FrameType, TracebackType
from typing import Any, Protocol

from ._repr import one_line
from ._task import Failure, InTurn, Outcomes, Unrun
from .errors import CoroutineReturnedError

PROMPT = 0.001  # a call of so many seconds has its outcome sent before the next call begins
TOO_LONG = 0.15  # seconds; a batch of short calls that has turned into one of long ones is broken off
IDLE = -1.0  # the number in a slot before the first call
NEVER = math.inf  # the beginning of a call that is over: no time limit applies to what follows

LOOK_AGAIN = 0.005  # seconds between two looks for calls that are overdue, where calls end just in time
LONGEST_NAME = 200  # characters of a coroutine's
MOST_LINKED = 50  # generations of causes that an error keeps

clock = time.perf_counter  # one clock for all processes of a machine


class Slot(Protocol):
    """The current call of a worker, for others to read: [number of the call, begun at].

    A number stands until the next call begins: of a worker that dies between two calls it is known
    which was the last.
    """

    def __setitem__(self, cell: int, value: float, /) -> None: ...

    def __getitem__(self, cell: int, /) -> float: ...


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
    worker: int = 0,
    taking: Iterator[Any] | None = None,
) -> Iterator[Outcomes | Unrun]:
    """Make the calls in turn; yield outcomes after each slow call, and at the end.

    taking: The calls as they are taken, one by one: where it ends early, the others are given back.

    numbers: Those of the calls, for the slot; None: the positions.
    patience: Seconds after which a slow call is the last one; the others are given back, so that
        workers with nothing to do may have them.
    worker: The number of the one that makes them.
    passing: Tells what is no outcome but is raised, after the outcomes so far were yielded.
    """
    first = 0
    values: list[Any] = []
    failures: dict[int, Failure] = {}
    seconds: list[float] = []
    interrupt: BaseException | None = None
    first_began = begun = clock()
    too_late = begun + patience
    positions = range(len(calls))
    going = iter(calls) if taking is None else taking
    for call, position, number in zip(going, positions, numbers or positions):  # noqa: B905 - it may end early
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
            _refuse_coroutines(values, failures, first)
            yield Outcomes(
                range(first, position + 1),
                values,
                failures,
                seconds,
                InTurn(first_began, seconds),
                [worker] * len(seconds),
            )
            first, values, failures, seconds = position + 1, [], {}, []
            first_began = ended = clock()
            if ended >= too_late:
                deque(going, maxlen=0)  # what is not taken is let go of
                break
        begun = ended
    slot[1] = NEVER
    made = first + len(values)
    if values:
        _refuse_coroutines(values, failures, first)
        yield Outcomes(
            range(first, made),
            values,
            failures,
            seconds,
            InTurn(first_began, seconds),
            [worker] * len(seconds),
        )
    if interrupt is None and made < len(positions):
        yield Unrun(range(made, len(positions)))
    # Errors hold the frames that they came through, and with them this one: it is to hold nothing.
    calls = going = taking = values = failures = seconds = call = value = None  # type: ignore[assignment]
    if interrupt is not None:
        raise interrupt


def _refuse_coroutines(values: list[Any], failures: dict[int, Failure], first: int) -> None:
    """What is a coroutine becomes a failure. One look at all: no call pays more than 20 ns.

    first: The position of the first value.
    """
    if any(map(is_, map(type, values), repeat(CoroutineType))):
        for place, value in enumerate(values):
            if type(value) is CoroutineType:
                failures[first + place] = refuse_coroutine(value)
                values[place] = None


def refuse_coroutine(coroutine: CoroutineType[Any, Any, Any], awaited: bool = False) -> Failure:
    """The failure of a call that returned a coroutine. One that was never begun is closed.

    Nobody is then warned that it was never awaited; one that was begun is somebody else's as well.
    awaited: Whether the function was an async one, and was awaited.
    """
    if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
        coroutine.close()
    name = one_line(coroutine.__name__[:LONGEST_NAME])
    return Failure(CoroutineReturnedError(name, awaited), CoroutineReturnedError)


def failure_of(error: BaseException) -> Failure:
    """The error of a call, without the frames of ours at the head of its traceback, and released."""
    head = _TRACEBACK.__get__(error)  # whatever its class makes of the name
    while head is not None and _is_ours(head):
        head = head.tb_next
    BaseException.with_traceback(error, head)  # works on a frozen error, and on one that overrides it
    release(error)
    return Failure(error, type(error))


def _is_ours(entry: TracebackType) -> bool:
    package = entry.tb_frame.f_globals.get("__package__")
    return type(package) is str and (package == __package__ or package.startswith(_WITHIN_OURS))


def release(error: BaseException) -> None:
    """Keep the lines of an error that is over, and of those that it came of, and free what they hold."""
    for relative in lineage(error):
        head = _unrepeated(_TRACEBACK.__get__(relative))
        BaseException.with_traceback(relative, head)
        while head is not None:
            _clear(head.tb_frame)
            head = head.tb_next


def lineage(error: BaseException) -> list[BaseException]:
    """The error, its causes and contexts and the members of groups: each once, the nearest first.

    MOST_LINKED generations are looked at, and what lies behind them is cut off: where each error has
    the one before it as its cause, since that was remembered, the row grows with every task.
    """
    found = {id(error): error}
    generation = [error]
    for _ in range(MOST_LINKED):
        following: list[BaseException] = []
        for one in generation:
            near = [_CAUSE.__get__(one), _CONTEXT.__get__(one)]
            if issubclass(type(one), BaseExceptionGroup):
                near += _MEMBERS.__get__(one)
            for relative in near:
                if relative is not None and id(relative) not in found:
                    found[id(relative)] = relative
                    following.append(relative)
        if not following:
            break
        generation = following
    else:
        for one in generation:
            _CAUSE.__set__(one, None)
            _CONTEXT.__set__(one, None)
    return list(found.values())


def _unrepeated(head: TracebackType | None) -> TracebackType | None:
    """The traceback as it was when this error came out of the same function before, if it did.

    Python puts the lines of a new raise before those that an error has already: with one error
    raised for a thousand tasks there would be a thousand of them.  A traceback that was seen here
    is known by its first entry, whose tb_lasti is odd.  Instructions stand at even places, and
    whoever looks one up halves the number.
    """
    if head is None or head.tb_lasti & 1:
        return head
    earlier = head.tb_next
    while earlier is not None:
        if earlier.tb_lasti & 1 and earlier.tb_frame.f_code is head.tb_frame.f_code:
            return earlier
        earlier = earlier.tb_next
    return TracebackType(head.tb_next, head.tb_frame, head.tb_lasti | 1, head.tb_lineno or -1)


def _clear(frame: FrameType) -> None:
    """Free the locals of a frame that is over.

    One in which somebody runs refuses it.  That of a generator or coroutine which only waits does so
    from 3.13 on (gh-79932); before, it would be closed.  Such a frame does not own its variables.
    """
    code = frame.f_code
    if code.co_flags & _MAY_WAIT and not any(one is code for one in gc.get_referents(frame)):
        return
    with contextlib.suppress(RuntimeError):
        frame.clear()


_WITHIN_OURS = f"{__package__}."
_MAY_WAIT = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_TRACEBACK: Any = vars(BaseException)["__traceback__"]
_CAUSE: Any = vars(BaseException)["__cause__"]
_CONTEXT: Any = vars(BaseException)["__context__"]
_MEMBERS: Any = vars(BaseExceptionGroup)["exceptions"]
