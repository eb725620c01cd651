"""What a journal holds comes back equal and of the same type, or is refused by name."""

from __future__ import annotations

import enum
import json
import math
import sqlite3
import threading
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from task_manager._journal.codec import JSON, PICKLE, Codec, CodecError, all_plain, is_plain, storable
from task_manager._signals import HeldSignals

Point = namedtuple("Point", "x y")


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    LOW = 1


class Text(str):
    pass


class Number(int):
    pass


@dataclass(frozen=True)
class Page:
    url: str
    depth: int


class Unpicklable:
    def __reduce__(self) -> Any:
        raise RuntimeError("no")


class Exits:
    def __reduce__(self) -> Any:
        raise SystemExit(3)


def gone() -> Any:
    raise LookupError("the class is gone")


class Gone:
    def __reduce__(self) -> Any:
        return gone, ()


PLAIN = (
    st.none()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(exclude_categories=()))
    | st.sampled_from(
        ["", "\0", "a\0b", "\ud800", "\ud83d\ude00", -0.0, 0.0, 1, 1.0, True, 2**63 - 1, -(2**63)]
    )
)
SCALARS = PLAIN | st.booleans()
IN_JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)
ANYTHING = (
    IN_JSON | st.binary() | st.complex_numbers() | st.sets(st.integers()) | st.decimals(allow_nan=False)
)
ODD = [
    *[Colour.RED, Level.LOW, Text("a"), Number(5), Point(1, 2), Page("u", 1), Decimal("1.5"), b"", b"a"],
    *[OrderedDict(a=1), frozenset({1}), bytearray(b"a"), datetime(2026, 1, 1), 1j, range(3), 10**5000],
]


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same types throughout; nan is the same as nan, and 0.0 is not -0.0."""
    if type(one) is not type(other):
        return False
    if type(one) is float:
        return repr(one) == repr(other)
    if type(one) in (list, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if type(one) is dict:
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    return bool(one == other) or one != one  # a nan of another class


def through_sqlite(cells: list[Any]) -> list[Any]:
    """As a file gives them back."""
    connection = sqlite3.connect("")
    try:
        connection.execute("CREATE TABLE cells(id INTEGER PRIMARY KEY, cell)")
        connection.executemany("INSERT INTO cells(cell) VALUES(?)", [(cell,) for cell in cells])
        return [cell for (cell,) in connection.execute("SELECT cell FROM cells ORDER BY id")]
    finally:
        connection.close()


@given(st.lists(ANYTHING, max_size=6))
@settings(max_examples=150, deadline=None)
def test_whatever_pickles_comes_back(values: list[Any]) -> None:
    """Equal, and of the same types: True is no 1."""
    found = PICKLE.decode_all(through_sqlite(PICKLE.encode_all(values)))

    assert same(values, found)


@pytest.mark.parametrize("value", ODD, ids=lambda value: type(value).__name__)
def test_what_derives_from_a_plain_type_is_none(value: Any) -> None:
    """It comes back as what it was."""
    (found,) = through_sqlite([PICKLE.encode(value)])

    assert same(value, PICKLE.decode(found))


@given(st.lists(IN_JSON, max_size=6))
@settings(max_examples=150, deadline=None)
def test_what_json_takes_comes_back(values: list[Any]) -> None:
    """Equal, and of the same types, tuples too; and what it does not take is named."""
    cells = JSON.encode_all(values)
    taken = [place for place, cell in enumerate(cells) if type(cell) is not CodecError]
    found = JSON.decode_all(through_sqlite([cells[place] for place in taken]))

    assert same([values[place] for place in taken], found)
    assert all(type(cell) is not CodecError or "JSON" in str(cell) for cell in cells)


@given(st.lists(SCALARS, max_size=6))
@settings(max_examples=150, deadline=None)
def test_what_is_plain_needs_no_codec(values: list[Any]) -> None:
    """SQLite gives it back as it is; asked of many at once, the answer is the same."""
    plain = [value for value in values if is_plain(value)]

    assert same(plain, through_sqlite(plain))
    assert all_plain(plain)
    assert all_plain(values) == (len(plain) == len(values))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({1, 2}, "JSON cannot hold a value of type set"),
        (Colour.RED, "JSON cannot hold a value of type Colour"),
        (Level.LOW, "JSON cannot hold a value of type Level"),
        (Text("a"), "JSON cannot hold a value of type Text"),
        (b"a", "JSON cannot hold a value of type bytes"),
        (math.nan, "JSON cannot hold a value of type float: nan"),
        (Point(1, 2), "JSON cannot hold a value of type Point"),
        ([1, {"a": b""}], "JSON cannot hold a value of type list: a value of type bytes at [1]['a']"),
        ({1: 2}, "JSON cannot hold a value of type dict: a dict with a key that is no string, 1"),
        (
            {"a": {None: 2}},
            "JSON cannot hold a value of type dict: a dict with a key that is no string, None at ['a']",
        ),
        ([math.inf], "JSON cannot hold a value of type list: inf at [0]"),
        (
            {"__tuple__": [1]},
            "JSON cannot hold a value of type dict: a dict with the one key '__tuple__', which stands "
            "for a tuple",
        ),
        (
            "\ud800",
            "JSON cannot hold a value of type str: a string that is no valid text (half a surrogate "
            "pair)",
        ),
        (10**1000, "JSON cannot hold a value of type int: a whole number of 3,322 bits"),
    ],
)
def test_what_json_cannot_hold_is_named(value: Any, message: str) -> None:
    """The type, and where it is."""
    with pytest.raises(CodecError) as caught:
        JSON.encode(value)

    assert message == str(caught.value)


def test_json_is_json() -> None:
    """For whoever reads the file with other tools: of a tuple, an object with one key."""
    assert {"a": [1, {"__tuple__": ["x", None]}]} == json.loads(JSON.encode({"a": [1, ("x", None)]}))  # type: ignore[arg-type]


def test_what_is_endless_is_refused() -> None:
    """A list that holds itself."""
    endless: list[Any] = []
    endless.append(endless)
    (deep,) = JSON.encode_all([endless])

    assert "JSON cannot hold a value of type list: what lies more than 200 deep in it" == str(deep)


@pytest.mark.parametrize("codec", [PICKLE, JSON], ids=lambda codec: codec.name)
@pytest.mark.parametrize(
    "value", [Unpicklable(), Exits(), threading.Lock()], ids=["raises", "exits", "lock"]
)
def test_what_refuses_is_one_error(codec: Codec, value: Any) -> None:
    """It costs the others nothing, and the error holds no frame that would keep the value alive."""
    with HeldSignals().held():  # as in a run: otherwise a SystemExit may be a signal's
        before, error, after = codec.encode_all([True, value, "b"])

    assert (True, "b") == (codec.decode(before), after)  # type: ignore[arg-type]
    assert CodecError is type(error)
    assert error.__traceback__ is None


def test_the_error_of_a_pickle_says_why() -> None:
    """In the words of pickle."""
    with pytest.raises(CodecError) as caught:
        PICKLE.encode(Unpicklable())

    assert "pickle refuses a value of type Unpicklable: RuntimeError: no" == str(caught.value)


def test_what_cannot_be_unpickled_is_one_error() -> None:
    """As where its class is gone since: it costs the others nothing."""
    good, bad = PICKLE.decode_all(PICKLE.encode_all([(1,), Gone()]))  # type: ignore[arg-type]

    assert ((1,), CodecError, "LookupError: the class is gone") == (good, type(bad), str(bad))


@pytest.mark.parametrize("cell", [b"", b"garbage", b"\x80\x05"])
@pytest.mark.parametrize("codec", [PICKLE, JSON], ids=lambda codec: codec.name)
def test_garbage_is_one_error(codec: Codec, cell: bytes) -> None:
    """Whatever a damaged file holds."""
    with pytest.raises(CodecError):
        codec.decode(cell)


def test_what_no_row_holds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite would refuse the whole batch."""
    monkeypatch.setattr("task_manager._journal.codec.LARGEST", 1000)
    with pytest.raises(CodecError) as caught:
        PICKLE.encode("é" * 2000)

    assert "a value of type str takes 4,018 bytes, and a journal holds 1,000 of one" == str(caught.value)
    assert 400 == len(PICKLE.encode("a" * 200)) * 2  # type: ignore[arg-type]


@given(st.text(st.characters(exclude_categories=())))
@settings(deadline=None)
def test_a_text_for_people_can_be_stored(text: str) -> None:
    """Whatever is in it, and what is stored can be read by anything."""
    (found,) = through_sqlite([storable(text)])

    assert found == storable(found)
    assert text == found or any("\ud800" <= char <= "\udfff" for char in text)


def test_a_file_name_that_is_no_text_is_kept() -> None:
    """A byte that is no UTF-8 is half a surrogate pair in Python."""
    name = Path(b"caf\xe9".decode("utf-8", "surrogateescape"))
    cell = PICKLE.encode(str(name))

    assert str(name) == PICKLE.decode(cell)
