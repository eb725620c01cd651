"""The user's call, and what comes of it."""

from __future__ import annotations

import asyncio
import traceback
import weakref
from concurrent.futures import Future
from typing import Any

import pytest

import functions as f
from task_manager import _call
from task_manager._call import IDLE, NEVER, PROMPT, call_batch, failure_of, invoker
from task_manager._task import Outcomes, Unrun
from task_manager.errors import CoroutineReturnedError

START = 10.0


class Clock:
    """The clock of the calls; a call takes the seconds that it turns it by."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now

    def turn(self, seconds: float) -> float:
        self.now += seconds
        return seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(_call, "clock", clock)
    return clock


class Thing:
    """Something that can be weakly referred to."""


class Custom(BaseException):
    """An exception that derives from no Exception."""


def slot() -> list[float]:
    return [IDLE, NEVER]


def columns(outcomes: Outcomes) -> Any:
    kinds = {position: failure.kind for position, failure in outcomes.failures.items()}
    return list(outcomes.positions), outcomes.values, kinds, outcomes.seconds


def test_fast_calls_have_their_outcomes_together() -> None:
    """In the order of the calls, at the end of the batch."""
    (outcomes,) = call_batch(lambda x: x * 2, [1, 2, 3], slot())

    assert ([0, 1, 2], [2, 4, 6], {}, [0.0, 0.0, 0.0]) == columns(outcomes)


def test_no_calls_have_no_outcomes() -> None:
    """An empty batch yields nothing."""
    assert [] == list(call_batch(abs, [], slot()))


def test_arguments_are_positional() -> None:
    """Where calls are unpacked, each gets the arguments of its own tuple, also none."""
    invoke = invoker(lambda *args: args, unpack=True)
    (outcomes,) = call_batch(invoke, [(), (1,), (1, [2])], slot())

    assert [(), (1,), (1, [2])] == outcomes.values


def test_a_slow_call_has_its_outcome_sent_before_the_next_one_begins(clock: Clock) -> None:
    """A task of a millisecond or more never waits for its batch, and takes the fast ones along."""
    called = []

    def call(seconds: float) -> float:
        called.append(seconds)
        return clock.turn(seconds)

    seen = []
    for outcomes in call_batch(call, [0.0, 0.0005, 0.25, 0.0, 0.5, 0.0], slot()):
        seen.append((len(called), *columns(outcomes)[:2]))

    assert [
        (3, [0, 1, 2], [0.0, 0.0005, 0.25]),
        (5, [3, 4], [0.0, 0.5]),
        (6, [5], [0.0]),
    ] == seen


def test_a_slow_call_at_the_end_is_sent_once(clock: Clock) -> None:
    """No empty outcomes follow it, and slow begins at the limit."""
    clock.now = 0.0
    sent = [columns(outcomes)[:2] for outcomes in call_batch(clock.turn, [PROMPT, 0.25], slot())]

    assert [([0], [PROMPT]), ([1], [0.25])] == sent


def test_a_slow_failure_is_sent_at_once_as_well(clock: Clock) -> None:
    """Failures are known by their positions in the batch."""

    def fail(seconds: float) -> None:
        clock.turn(seconds)
        raise ValueError

    sent = [columns(o)[:3] for o in call_batch(fail, [0.25, 0.0, 0.25], slot())]

    assert [
        ([0], [None], {0: ValueError}),
        ([1, 2], [None, None], {1: ValueError, 2: ValueError}),
    ] == sent


def test_a_batch_that_has_become_long_is_given_back(clock: Clock) -> None:
    """After a slow call, when its time is up, and if anything is left of it."""
    batch = [0.0, 0.0625, 0.0625, 0.0, 0.0, 0.25, 0.0]
    *sent, rest = call_batch(clock.turn, batch, slot(), patience=0.25)
    nothing_left = list(call_batch(clock.turn, [0.5], slot(), patience=0.25))

    assert [0, 1, 2, 3, 4, 5] == [place for outcomes in sent for place in outcomes.positions]
    assert isinstance(rest, Unrun)
    assert [6] == list(rest.positions)
    assert [Outcomes] == list(map(type, nothing_left))


def test_each_call_is_measured_by_itself(clock: Clock) -> None:
    """The time in which outcomes are sent belongs to no call."""
    seconds = []
    for outcomes in call_batch(clock.turn, [0.25, 0.0, 0.5, 0.125], slot()):
        seconds += outcomes.seconds
        clock.turn(100.0)

    assert [0.25, 0.0, 0.5, 0.125] == seconds


def test_the_slot_says_what_is_in_hand(clock: Clock) -> None:
    """The number of the call and when it began, for whom to charge if the worker dies in it."""
    cells = slot()
    seen = []

    def look(seconds: float) -> None:
        seen.append(tuple(cells))
        clock.turn(seconds)

    list(call_batch(look, [0.25, 0.0, 0.5, 0.0], cells, range(7, 11)))

    assert [(7, 10.0), (8, 10.25), (9, 10.25), (10, 10.75)] == seen


def test_a_number_stands_until_the_next_call_and_its_time_does_not(clock: Clock) -> None:
    """On the way home a worker is still known by its task, but no time limit applies any more."""
    cells = slot()
    seen = [tuple(cells) for _ in call_batch(clock.turn, [0.25, 0.0], cells)]

    assert [(0, NEVER), (1, NEVER)] == seen


@pytest.mark.parametrize(
    "error",
    [
        ValueError,
        StopIteration,
        SystemExit,
        KeyboardInterrupt,
        GeneratorExit,
        asyncio.CancelledError,
        Custom,
    ],
)
def test_whatever_is_raised_is_an_outcome(error: type[BaseException]) -> None:
    """F3: it comes home as the failure of its call, and the others are made."""

    def call(x: int) -> int:
        if x == 2:
            raise error("out of the function")
        return x

    (outcomes,) = call_batch(call, [1, 2, 3], slot())

    assert ([0, 1, 2], [1, None, 3], {1: error}) == columns(outcomes)[:3]
    assert ("out of the function",) == outcomes.failures[1].error.args


def test_a_call_with_wrong_arguments_is_a_failure() -> None:
    """As any other."""
    (outcomes,) = call_batch(invoker(lambda x: x, unpack=True), [(1, 2), (3,)], slot())

    assert ([None, 3], {0: TypeError}) == columns(outcomes)[1:3]


def test_what_passes_is_raised_after_the_outcomes_so_far() -> None:
    """F9: a Ctrl-C ends the batch, and what was done before it is kept."""

    def call(x: int) -> int:
        if x == 3:
            raise KeyboardInterrupt
        if x == 1:
            raise SystemExit
        return x

    calling = call_batch(
        call, [1, 2, 3, 4], slot(), passing=lambda error: isinstance(error, KeyboardInterrupt)
    )
    outcomes = next(calling)

    assert ([0, 1], [None, 2], {0: SystemExit}) == columns(outcomes)[:3]
    with pytest.raises(KeyboardInterrupt):
        next(calling)
    assert [] == list(calling)


def test_what_passes_at_the_first_call_is_raised_at_once() -> None:
    """There are no outcomes before it."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    calling = call_batch(
        invoker(interrupt, True),
        [(), ()],
        slot(),
        passing=lambda error: isinstance(error, KeyboardInterrupt),
    )
    with pytest.raises(KeyboardInterrupt):
        next(calling)


@pytest.mark.parametrize("unpack", [False, True])
def test_a_traceback_begins_in_the_users_function(unpack: bool) -> None:
    """F5: no frame of ours stands above it, and the chain of causes is whole."""

    def call(x: Any) -> None:
        try:
            {}["the cause"]
        except KeyError as error:
            raise ValueError("the effect") from error

    (outcomes,) = call_batch(invoker(call, unpack), [(1,)], slot())
    error = outcomes.failures[0].error
    frames = traceback.extract_tb(error.__traceback__)

    assert ["call"] == [frame.name for frame in frames]
    assert 'raise ValueError("the effect") from error' == frames[0].line
    assert KeyError is type(error.__cause__)


def test_an_error_without_a_traceback_is_a_failure() -> None:
    """One that was never raised."""
    error = ValueError()
    failure = failure_of(error)

    assert (error, ValueError, None) == (failure.error, failure.kind, error.__traceback__)


def test_a_frozen_error_has_its_traceback_cut_as_well() -> None:
    """F4: an exception that refuses every assignment is the failure of its call, and no other."""

    def call(x: int) -> None:
        raise f.Frozen(x)

    (outcomes,) = call_batch(call, [7], slot())
    error = outcomes.failures[0].error

    assert f.Frozen(7) == error
    assert ["call"] == [frame.name for frame in traceback.extract_tb(error.__traceback__)]


def test_results_are_not_held_longer_than_they_travel(clock: Clock) -> None:
    """F14: what was sent home can be collected while the next call runs."""
    results: list[weakref.ref[Thing]] = []
    alive = []

    def call(seconds: float) -> Thing:
        alive.append([ref() is not None for ref in results])
        clock.turn(seconds)
        thing = Thing()
        results.append(weakref.ref(thing))
        return thing

    for outcomes in call_batch(call, [0.25, 0.25, 0.25], slot()):
        del outcomes

    assert [[], [False], [False, False]] == alive


def test_an_error_that_hides_its_traceback_is_a_failure() -> None:
    """Whatever its class makes of the name."""

    class Hides(Exception):
        @property
        def __traceback__(self) -> Any:
            raise AttributeError("not for you")

    def call(x: int) -> None:
        raise Hides

    (outcomes,) = call_batch(call, [1, 2], slot())

    assert {0: Hides, 1: Hides} == columns(outcomes)[2]


async def fetch(x: int) -> int:
    return x


def test_a_coroutine_is_no_result() -> None:
    """It is the error of its call, is closed without a warning, and the others have their results."""
    (outcomes,) = call_batch(lambda x: fetch(x) if x == 2 else x, [1, 2, 3], slot())

    assert ([0, 1, 2], [1, None, 3], {1: CoroutineReturnedError}) == columns(outcomes)[:3]
    assert "fetch" == outcomes.failures[1].error.coroutine


def test_a_coroutine_of_a_slow_call_is_no_result(clock: Clock) -> None:
    """Where outcomes are sent one by one, each is known by its position in the batch."""

    def call(x: int) -> Any:
        clock.turn(0.25)
        return fetch(x)

    sent = [columns(outcomes)[:3] for outcomes in call_batch(call, [1, 2], slot())]

    assert [
        ([0], [None], {0: CoroutineReturnedError}),
        ([1], [None], {1: CoroutineReturnedError}),
    ] == sent


def test_a_coroutine_that_was_begun_is_left_alone() -> None:
    """Somebody else goes on with it."""
    waiting = fetch_after_a_turn()
    waiting.send(None)
    (outcomes,) = call_batch(lambda x: waiting, [1], slot())

    assert {0: CoroutineReturnedError} == columns(outcomes)[2]
    with pytest.raises(StopIteration, match="7"):
        waiting.send(None)


async def fetch_after_a_turn() -> int:
    await asyncio.sleep(0)
    return 7


class Later:
    """Can be awaited, and is a result as any other."""

    def __await__(self) -> Any:
        raise AssertionError("nobody asked for it")


def test_what_can_be_awaited_is_a_result() -> None:
    """A future, an object with `__await__`, a generator: only a coroutine is lost unawaited."""
    results = [Later(), Future(), (x for x in "abc")]
    (outcomes,) = call_batch(lambda x: results[x], [0, 1, 2], slot())

    assert (results, {}) == columns(outcomes)[1:3]
