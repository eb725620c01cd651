"""Big content as a digest: the same for all that is equal, and for nothing else."""

from __future__ import annotations

import copy
import datetime
import enum
import random
import sys
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from task_manager._run.digest import digest_of, is_big
from task_manager._run.keys import FEW, ContentKey, IdentityKey, _other, key_of

NAN = float("nan")
NUMBERS = [0, 1, -1, -2, 2**70, True, False, 0.0, -0.0, 1.0, -1.0, 0.5, 1e300, int(1e300)]
NUMBERS += [float(2**70), float("inf"), 1 + 0j, 1j, 1 + 2j, 1.5 + 0j]
SCALARS = [*NUMBERS, None, "", "a", "b", "1", b"", b"a", "\udcff", "x" * 40]
DAY = datetime.date(2020, 1, 1)


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


@dataclass
class Point:
    x: Any
    y: Any = None


scalars = st.sampled_from(SCALARS)
keys = st.recursive(
    scalars | st.sampled_from([DAY, Colour.RED, Colour.BLUE]),
    lambda inside: st.lists(inside, max_size=2).map(tuple) | st.frozensets(inside, max_size=2),
    max_leaves=3,
)
contents = st.recursive(
    scalars | st.sampled_from([DAY, Colour.RED, bytearray(b"a")]),
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.lists(inside, max_size=2).map(tuple)
        | st.dictionaries(keys, inside, max_size=3)
        | st.sets(keys, max_size=3)
        | st.builds(Point, inside)
    ),
    max_leaves=8,
)


def variant(value: Any, chance: random.Random) -> Any:
    """An equal value, built of other types and in another order."""
    match value:
        case bool() | int() | float() | complex():
            return chance.choice([one for one in NUMBERS if one == value] or [value])
        case list() | tuple() | frozenset() | set():
            inside = [variant(one, chance) for one in value]
            if isinstance(value, set | frozenset):
                chance.shuffle(inside)
            return type(value)(inside)
        case dict():
            pairs = [(variant(k, chance), variant(v, chance)) for k, v in value.items()]
            chance.shuffle(pairs)
            return dict(pairs)
        case Point():
            return Point(variant(value.x, chance), variant(value.y, chance))
    return copy.deepcopy(value)


def digest(value: Any) -> tuple[Any, ...]:
    return digest_of(value, _other)


@settings(deadline=None, max_examples=200)
@given(contents, contents)
def test_digests_are_equal_if_and_only_if_the_values_are(one: Any, other: Any) -> None:
    """However they are nested: a false repeat would lose a task, a false new one run it twice."""
    assert (one == other) == (digest(one) == digest(other))


@settings(deadline=None, max_examples=200)
@given(contents, st.randoms(use_true_random=False))
def test_what_is_equal_has_one_digest(value: Any, chance: random.Random) -> None:
    """1 == 1.0 == True, and the order of a dict or a set means nothing."""
    assert digest(value) == digest(variant(value, chance))


@settings(deadline=None)
@given(contents, contents, st.randoms(use_true_random=False))
def test_big_tasks_have_equal_keys_if_and_only_if_they_are_equal(
    one: Any, other: Any, chance: random.Random
) -> None:
    """What is too big to be kept is known as what is kept."""
    big, same, different = ([*range(2 * FEW), end] for end in (one, variant(one, chance), other))

    assert (key_of(big), key_of(big)) == (key_of(same), key_of(copy.copy(big)))
    assert (one == other) == (key_of(big) == key_of(different))


@settings(deadline=None)
@given(contents, st.randoms(use_true_random=False))
def test_equal_values_are_of_one_size(value: Any, chance: random.Random) -> None:
    """Otherwise one would be kept, and the other digested."""
    same = variant(value, chance)

    assert [is_big(value, size) for size in range(40)] == [is_big(same, size) for size in range(40)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([-1] * 99, [-2] * 99),  # whose hashes are equal
        ([[1, 2], [3]] * 50, [[1], [2, 3]] * 50),
        ([[1], []] * 50, [[], [1]] * 50),
        (["ab", "c"] * 50, ["a", "bc"] * 50),
        ([b"a"] * 99, ["a"] * 99),
        ([(1,)] * 99, [[1]] * 99),
        ([{1}] * 99, [[1]] * 99),
        ([{1: 2}] * 99, [{2: 1}] * 99),
        ([None] * 99, [0] * 99),
        (["1"] * 99, [1] * 99),
        ([0.5] * 99, [0.5000000000000001] * 99),
        ([2**53] * 99, [float(2**53), *[2**53 + 1] * 98]),
        ([[]] * 99, [()] * 99),
        ([DAY] * 99, [DAY.toordinal()] * 99),
        ([Point(1, 2)] * 99, [(1, 2)] * 99),
        ([Point(1, 2)] * 99, [Point(2, 1)] * 99),
        ([Colour.RED] * 99, [1] * 99),
        ([float("nan")] * 99, [float("nan")] * 99),
        (bytearray(b"a" * 9999), bytearray(b"b" * 9999)),
    ],
    ids=repr,
)
def test_what_differs_a_little_has_another_key(one: Any, other: Any) -> None:
    """Lengths, types and places are in the digest as well."""
    assert one != other
    assert key_of(one) != key_of(other)


@pytest.mark.parametrize(
    "value",
    [
        list(range(20_000)),
        dict.fromkeys(range(20_000)),
        {str(n): n / 3 for n in range(20_000)},
        set(map(str, range(20_000))),
        {"rows": [[n, "x"] for n in range(5000)]},
        [{"id": n, "name": str(n), "tags": ["a", "b"]} for n in range(1000)],
        [Point(n, [n]) for n in range(1000)],
        {(n, n): n for n in range(5000)},
        {"text": "x" * 100_000},
        bytearray(100_000),
        [bytearray(9)] * 1000,
        [float("inf")] * 5000,
        [DAY] * 5000,
        [{(1, None): [n]} for n in range(1000)],
    ],
    ids=lambda value: f"{type(value).__name__} {str(value)[:20] if type(value) is not set else ''}",
)
def test_f31_the_key_of_a_big_task_is_small(value: Any) -> None:
    """Its content is not kept a second time, but 20 bytes of it."""
    key = key_of(value)

    assert ContentKey is type(key)
    assert (
        sys.getsizeof(key) + sum(sys.getsizeof(one) for one in key if not isinstance(one, type)) < 1000
    )
    assert key == key_of(copy.deepcopy(value))


@pytest.mark.parametrize("value", [{"id": 7}, [1, 2], {"a": [1, {"b": None}]}, bytearray(b"abc")])
def test_small_content_is_kept_as_it_is(value: Any) -> None:
    """A digest would be no smaller, and takes longer."""
    assert "digest" not in key_of(value)  # type: ignore[operator]


def nested(levels: int) -> list[Any]:
    inside: list[Any] = list(range(100))
    for _ in range(levels):
        inside = [inside]
    return inside


def endless() -> list[Any]:
    inside: list[Any] = list(range(100))
    inside.append(inside)
    return inside


def exploding() -> list[Any]:
    """Small in memory, and without an end to whoever walks through it."""
    inside: list[Any] = list(range(100))
    for _ in range(60):
        inside = [inside, inside]
    return inside


@pytest.mark.parametrize("make", [endless, exploding, lambda: nested(3000)])
def test_content_without_an_end_is_known_by_the_object(make: Any) -> None:
    """Nobody waits for it, and the very object is the same task."""
    value = make()

    assert IdentityKey is type(key_of(value))
    assert key_of(value) == key_of(value)


def test_nan_is_equal_to_itself_alone() -> None:
    """As in a list: the very object is the same."""
    assert key_of([NAN] * 99) == key_of([NAN] * 99)
    assert key_of([NAN] * 99) != key_of([float("nan")] * 99)
    assert key_of([complex(NAN, 1), NAN] * 99) != key_of([complex(NAN, 1), NAN] * 99)


def test_deep_content_is_digested() -> None:
    """Deeper than Python could go into it."""
    assert key_of(nested(900)) == key_of(nested(900))
    assert key_of(nested(900)) != key_of(nested(901))


def test_equal_numbers_of_other_kinds_are_kept_by_their_own_equality() -> None:
    """A Decimal in a big task is compared as Decimals are."""
    one, other = [Decimal(1)] * 200, [Decimal("1.0")] * 200

    assert key_of(one) == key_of(other)
    assert key_of(one) != key_of([Decimal(2)] * 200)
