"""What is shown by its type: what has a shape, what is large, and what was slow to show."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

import task_manager._costly as module
import task_manager._repr as shown
from task_manager._costly import MOST_SHAPED, MOST_TYPES, SLOW, Shapes, SlowTypes
from task_manager._repr import short_repr
from task_manager._reprs import short_reprs


class Frame:
    """As pandas' and polars': a shape and columns."""

    shape = (3, 2)
    columns = ("a", "b")


class Tensor:
    """As torch's: its size is a tuple of its own."""

    class Size(tuple[int, ...]):
        __slots__ = ()

    shape = Size((2, 3))
    dtype = "torch.float32"


class Unshaped:
    """It has a shape of its own kind."""

    shape = "round"
    dtype = None

    def __repr__(self) -> str:
        return "round"


class Slow:
    """Its repr takes as long as it says, by a clock that is turned by hand."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.clock, self.seconds = clock, seconds

    def __repr__(self) -> str:
        self.clock.now += self.seconds
        return "shown"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(shown, "clock", clock)
    monkeypatch.setattr(shown, "_slow", SlowTypes())
    return clock


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (numpy.zeros(50), "<ndarray (50,) float64>"),
        (numpy.zeros((3, 4), "int8"), "<ndarray (3, 4) int8>"),
        ([numpy.zeros(50), 1], "[<ndarray (50,) float64>, 1]"),
        (numpy.float64(1.5), repr(numpy.float64(1.5))),
        (Frame(), "<Frame (3, 2)>"),
        (Tensor(), "<Tensor (2, 3) torch.float32>"),
        (Unshaped(), "round"),
        (list(range(1001)), "<list of 1001>"),
        (set(range(1001)), "<set of 1001>"),
        (dict.fromkeys(range(5000)), "<dict of 5000>"),
    ],
    ids=["array", "matrix", "inside", "number", "frame", "tensor", "other", "list", "set", "dict"],
)
def test_what_is_large_is_shown_by_type_and_shape(value: Any, text: str) -> None:
    """Nothing of it is imported, and nothing of it is looked at."""
    assert text == short_repr(value)


def test_what_is_slow_twice_is_shown_by_its_type(clock: Clock) -> None:
    """From then on, alone and inside of others."""
    value = Slow(clock, 10 * SLOW)

    assert ["shown", "shown", "<Slow>", "[<Slow>]"] == [
        short_repr(one) for one in (value, value, value, [value])
    ]


def test_one_accident_is_none(clock: Clock) -> None:
    """A pause for garbage, or a machine that was busy, now and then."""
    for _ in range(10):
        for seconds in (1.0, *[SLOW / 10] * 5):
            assert "shown" == short_repr(Slow(clock, seconds))


def test_one_object_has_a_thousandth_of_a_second(clock: Clock) -> None:
    """A container of slow things shows as many as there is time for, and the rest by their type."""
    kinds = [type(f"Slow{n}", (Slow,), {}) for n in range(9)]
    text = short_repr([kind(clock, 0.0006) for kind in kinds])

    assert f"[{', '.join(['shown'] * 2 + [f'<Slow{n}>' for n in range(2, 9)])}]" == text


def test_types_that_are_made_on_the_fly_are_forgotten() -> None:
    """However many there are, what is kept of them is bounded; those of one name are one."""
    slow, shapes = SlowTypes(), Shapes()
    for n in range(3 * MOST_TYPES):
        kind = type(f"T{n}", (), {"shape": (1,), "dtype": n})
        slow.took(kind, 1.0)
        shapes.of(kind())
    alike = SlowTypes()
    for _ in range(100):
        alike.took(type("Row", (), {}), 1.0)

    assert (MOST_TYPES, MOST_SHAPED, 1) == (len(slow), len(shapes), len(alike))
    assert alike.has(type("Row", (), {}))


@pytest.mark.parametrize(
    "value",
    ["x" * 500, {"id": 1, "text": "y" * 500}, ("z" * 500, "good", 0), list(range(900)), b"b" * 99],
    ids=["text", "row", "tuple", "list", "bytes"],
)
@pytest.mark.parametrize("room", [40, 100, 800])
def test_there_is_as_much_room_as_there_is(value: Any, room: int) -> None:
    """What many tasks that share a record have."""
    assert len(short_repr(value, room)) <= room
    assert [short_repr(value, room)] == short_reprs([value], room)


def test_the_end_of_a_text_is_shown() -> None:
    """URLs and paths differ there."""
    text = short_repr("https://example.org/a/long/path/to/files/index.html?17", 40)

    assert text.startswith("'https://example.o")
    assert text.endswith("...iles/index.html?17'")


def test_an_error_is_never_shown_by_its_type(clock: Clock) -> None:
    """However long what it says is."""

    class SlowError(Exception):
        def __repr__(self) -> str:
            clock.now += 1.0
            return "said"

    assert ["said"] * 9 == [short_repr(SlowError()) for _ in range(9)]


def test_numbers_of_any_length_are_shown() -> None:
    """Together as alone."""
    values = [1, 2.5, None, True, 10**60, 10**5000]

    assert [short_repr(value, 40) for value in values] == short_reprs(values, 40)
    assert module.clock() > 0
