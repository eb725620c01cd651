"""Whether a failed attempt is made again, and after what delay."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from task_manager._rules.retry import RetryPolicy
from task_manager._task import Failure


def policy(**changes: Any) -> RetryPolicy:
    options: dict[str, Any] = {
        "max_retries": 3,
        "exceptions": (ConnectionError,),
        "base": 0.1,
        "cap": 30.0,
    }
    return RetryPolicy(**{**options, **changes})


def failed(kind: type[BaseException] = ConnectionError) -> Failure:
    return Failure(kind(), kind)


def never() -> float:
    raise AssertionError("an error that stands draws no delay")


@pytest.mark.parametrize("max_retries", [0, 1, 3])
def test_max_retries_are_the_attempts_after_the_first(max_retries: int) -> None:
    """max_retries=3 makes another attempt after the first, the second and the third, and no more."""
    retries = policy(max_retries=max_retries)
    again = [n for n in range(1, 10) if retries.delay(failed(), n, lambda: 0.5) is not None]

    assert list(range(1, max_retries + 1)) == again


@pytest.mark.parametrize(
    ("exceptions", "kind", "retried"),
    [
        ((ConnectionError,), ConnectionError, True),
        ((ConnectionError,), ConnectionResetError, True),
        ((ConnectionError,), OSError, False),
        ((ConnectionError, KeyError), KeyError, True),
        ((ConnectionError, KeyError), LookupError, False),
        ((Exception,), ValueError, True),
        ((), ValueError, False),
    ],
)
def test_the_listed_types_are_retried(
    exceptions: tuple[type[Exception], ...], kind: type[Exception], retried: bool
) -> None:
    """What is of a listed type is retried, subclasses included; what is of none is not."""
    delay = policy(exceptions=exceptions).delay(failed(kind), 1, lambda: 0.5)

    assert retried == (delay is not None)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, BaseException])
@pytest.mark.parametrize("exceptions", [(Exception,), (BaseException,)])
def test_what_is_no_exception_is_never_retried(kind: type[BaseException], exceptions: Any) -> None:
    """An exit or an interrupt stands, even where somebody lists BaseException."""
    assert policy(exceptions=exceptions).delay(failed(kind), 1, never) is None


def test_the_longest_delay_doubles_up_to_the_cap() -> None:
    """The delay is at most base, 2 base, 4 base ..., and never above the cap."""
    retries = policy(max_retries=9, base=0.25, cap=3.0)
    longest = [retries.delay(failed(), n, lambda: 1.0) for n in range(1, 8)]

    assert [0.25, 0.5, 1.0, 2.0, 3.0, 3.0, 3.0] == longest


@pytest.mark.parametrize("chance", [0.0, 0.25, 0.75])
def test_the_delay_is_drawn_evenly_from_zero(chance: float) -> None:
    """Full jitter: the chance, from 0 up to 1, is the part of the longest delay that is waited."""
    delay = policy(base=2.0).delay(failed(), 3, lambda: chance)

    assert chance * 8.0 == delay


def test_a_delay_of_zero_is_a_retry() -> None:
    """base=0 tries again at once; it does not mean that the error stands."""
    assert policy(base=0.0).delay(failed(), 1, lambda: 0.5) == 0.0


@settings(deadline=None)
@given(
    number=st.integers(1, 100_000),
    base=st.just(0.0) | st.floats(1e-6, 1e6),
    cap=st.floats(0.0, 1e6),
    chance=st.floats(0.0, 1.0, exclude_max=True),
)
def test_no_attempt_overflows(number: int, base: float, cap: float, chance: float) -> None:
    """Up to attempt 100,000 the delay is the chance's part of min(cap, base * 2**(attempt - 1))."""
    longest = float(min(Fraction(cap), Fraction(base) * 2 ** (number - 1)))
    retries = policy(max_retries=100_000, base=base, cap=cap)

    assert chance * longest == retries.delay(failed(), number, lambda: chance)


@pytest.mark.parametrize(
    ("exceptions", "retried"),
    [((ConnectionError,), True), ((TimeoutError,), False), ((OSError,), True), ((), False)],
)
def test_what_stands_for_a_listed_type_is_retried(exceptions: Any, retried: bool) -> None:
    """An error of a client is what Python would have raised in its place."""
    kind = type("NetworkError", (Exception,), {"__module__": "httpx"})
    delay = policy(exceptions=exceptions).delay(failed(kind), 1, lambda: 0.5)

    assert retried == (delay is not None)
