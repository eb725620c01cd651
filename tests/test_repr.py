"""How a task is shown in the log."""

from __future__ import annotations

from array import array
from collections import deque
from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from task_manager._repr import LONGEST, error_name, error_text, short_repr, text_of


class BrokenRepr:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class NoText:
    def __repr__(self) -> str:
        return None  # type: ignore[return-value]


class Long:
    def __init__(self, length: int = 10_000) -> None:
        self.length = length

    def __repr__(self) -> str:
        return "x" * self.length


class Lines:
    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


class Text(str):
    __slots__ = ()


def endless() -> list[Any]:
    inside: list[Any] = ["a"]
    inside.append(inside)
    return inside


def deep(levels: int) -> list[Any]:
    inside: list[Any] = []
    for _ in range(levels):
        inside = [inside]
    return inside


ODD = [
    "x" * 10_000,
    b"x" * 10_000,
    Text("x" * 10_000),
    list(range(10_000)),
    tuple(range(10_000)),
    set(range(10_000)),
    dict.fromkeys(range(10_000)),
    deque(range(10_000)),
    [["x" * 1000] * 1000] * 1000,
    {("x" * 1000, n): ["y" * 1000] * 20 for n in range(20)},
    numpy.arange(1_000_000).reshape(1000, 1000),
    10**3000,
    10**5000,
    Long(),
    [Long()] * 20,
    BrokenRepr(),
    [BrokenRepr()] * 1000,
    endless(),
    deep(900),
    Lines("a\nb"),
    ValueError("x" * 10_000),
]


@pytest.mark.parametrize("value", [*ODD, [ODD], tuple(ODD)], ids=lambda value: type(value).__name__)
def test_anything_is_shown_in_one_line_of_a_bounded_length(value: Any) -> None:
    """F15: a task in the log takes one line, and not a long one."""
    text = short_repr(value)

    assert 0 < len(text) <= 4 * LONGEST
    assert [text] == text.splitlines()


@pytest.mark.parametrize(
    "value",
    [
        0,
        -7,
        True,
        None,
        2.5,
        float("inf"),
        "text",
        'it\'s "so"',
        b"bytes",
        (),
        (1,),
        [1, "a"],
        {"a": [1, 2]},
        (1, ("two", [3, {4}])),
        {1},
        frozenset([1]),
        deque([1]),
        Path("a/b"),
        ValueError("no"),
        range(3),
    ],
    ids=repr,
)
def test_short_values_are_shown_as_they_are(value: Any) -> None:
    """What is short has its own repr, whole."""
    assert repr(value) == short_repr(value)


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.integers(-999, 999) | st.text(max_size=8),
        lambda inside: st.lists(inside, max_size=3),
        max_leaves=6,
    )
)
def test_any_short_value_is_shown_as_it_is(value: Any) -> None:
    """Also nested, up to some levels, and one line always."""
    text = short_repr(value)

    assert "..." in text or repr(value) == text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (BrokenRepr(), "<unreprable BrokenRepr>"),
        (NoText(), "<unreprable NoText>"),
        ([1, BrokenRepr(), 2], "[1, <unreprable BrokenRepr>, 2]"),
        ({"a": BrokenRepr()}, "{'a': <unreprable BrokenRepr>}"),
        ((BrokenRepr(),), "(<unreprable BrokenRepr>,)"),
        (10**5000, "<unreprable int>"),
    ],
    ids=["object", "no text", "list", "dict", "tuple", "int"],
)
def test_what_has_no_repr_is_named_by_its_type(value: Any, text: str) -> None:
    """F15: a broken __repr__ shows as <unreprable T>, and what is around it as usual."""
    assert text == short_repr(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Long(), "x" * (LONGEST - 3) + "..."),
        (Text("y" * 1000), "'" + "y" * (LONGEST - 4) + "..."),
        (b"z" * 1000, f"{b'z' * LONGEST!r}..."),
        (list(range(12)), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ...]"),
        (deque(range(12)), "deque([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ...])"),
        (array("i", range(12)), "array('i', [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ...])"),
        (deep(6), "[[[[[...]]]]]"),
    ],
    ids=["object", "str subclass", "bytes", "list", "deque", "array", "nested"],
)
def test_what_is_long_is_cut(value: Any, text: str) -> None:
    """The beginning is shown, and dots for the rest."""
    assert text == short_repr(value)


@pytest.mark.parametrize(
    "value",
    [Long(LONGEST), b"x" * LONGEST, ["x" * (4 * LONGEST // 5 - 4)] * 5],
    ids=["object", "bytes", "list"],
)
def test_what_just_fits_is_not_cut(value: Any) -> None:
    """The longest that is shown whole."""
    assert repr(value) == short_repr(value)


@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: [value]])
def test_an_interrupt_is_no_broken_repr(wrap: Any) -> None:
    """A Ctrl-C while a task is shown is raised."""

    class Interrupted:
        def __repr__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        short_repr(wrap(Interrupted()))


def test_the_whole_is_cut_where_many_parts_are_long() -> None:
    """Also ten parts of two hundred characters are cut to one bounded line."""
    text = short_repr(["x" * 150] * 10)

    assert 4 * LONGEST == len(text)
    assert text.endswith("...")


@pytest.mark.parametrize("text", ["one\ntwo", "one\r\ntwo", "one\rtwo"])
def test_lines_are_joined(text: str) -> None:
    """A repr of several lines is shown in one."""
    assert "one two" == short_repr(Lines(text))


class Bare(Exception):
    pass


class OwnRepr(Exception):
    def __repr__(self) -> str:
        return "<no luck>"


def foreign(kind: type[Exception], module: Any = "client.errors") -> type[Exception]:
    return type(kind.__name__, (kind,), {"__module__": module})


ERRORS = [
    (ValueError("no"), "ValueError", "ValueError: no", "ValueError('no')"),
    (
        foreign(ConnectionError)("no"),
        "client.errors.ConnectionError",
        "client.errors.ConnectionError: no",
        "client.errors.ConnectionError('no')",
    ),
    (foreign(Bare, "__main__")("no"), "Bare", "Bare: no", "Bare('no')"),
    (foreign(Bare, "__mp_main__")("no"), "Bare", "Bare: no", "Bare('no')"),
    (foreign(Bare, None)("no"), "Bare", "Bare: no", "Bare('no')"),
    (foreign(Bare, "a\nb")("no"), "a b.Bare", "a b.Bare: no", "a b.Bare('no')"),
    (foreign(OwnRepr)("no"), "client.errors.OwnRepr", "client.errors.OwnRepr: no",
     "client.errors.OwnRepr: <no luck>"),
]  # fmt: skip


@pytest.mark.parametrize(("error", "name", "text", "shown"), ERRORS, ids=range(len(ERRORS)))
def test_an_error_is_shown_by_its_qualified_name(
    error: Exception, name: str, text: str, shown: str
) -> None:
    """As a traceback does: those of Python and of the script by their bare name."""
    assert (name, text, shown) == (error_name(type(error)), text_of(error), error_text(error))


def test_a_name_inside_a_function_is_shown_once() -> None:
    """The qualified name takes the place of the bare one at the head of the repr."""

    class Inner(Exception):
        pass

    assert (f"{__name__}.test_a_name_inside_a_function_is_shown_once.<locals>.Inner(7)") == error_text(
        Inner(7)
    )
