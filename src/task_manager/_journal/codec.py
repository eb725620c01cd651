"""Tasks and results as cells of the file, and back: equal, and of the same type.

plain str, int, float, None    ─▶ the value itself, whatever the codec: no pickle to open
all else                       ─▶ a BLOB: a pickle, or JSON

By exact type: True is no 1, and what derives from str is no string. What SQLite would not give
back as it came is no plain value either: nan, -0.0, whole numbers of more than 64 bits, half a
surrogate pair.
"""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from .._repr import text_of, type_name
from .._signals import let_through

Place = tuple[Any, int | str] | None  # where within a value: the place around it, and the key there
Cell = None | int | float | str | bytes

LARGEST = 450_000_000  # bytes of a cell; a row of SQLite has 1,000,000,000 at most
DEEPEST = 200  # containers within each other that the JSON codec follows
INT_BITS = 63
DIGITS = 2000  # bits of a number that Python writes and reads in digits, whatever limit a script sets
TUPLE = "__tuple__"  # the one key of a dict that stands for a tuple in JSON

_TEXT = frozenset({str})
_INT = frozenset({int})
_FLOAT = frozenset({float})
_NATIVE = frozenset({str, int, float, type(None)})
_BYTES = frozenset({bytes})
_JSON_SCALARS = frozenset({str, int, float, bool, type(None)})

_dumps = pickle.dumps  # as they are now, whatever a test of other code makes of them
_loads = pickle.loads


class CodecError(ValueError):
    """A value that the file cannot hold, or a BLOB that is no value any more; says what and why."""


class Codec(Protocol):
    """How values stand in the file."""

    name: str

    def encode(self, value: Any) -> Cell:
        """The cell of a value. Raises CodecError where it would not come back."""
        ...

    def decode(self, cell: Cell) -> Any:
        """The value of a cell. Raises CodecError where that cannot be made any more."""
        ...

    def encode_all(self, values: Sequence[Any]) -> list[Cell | CodecError]:
        """The cells of many, which cost less together; for one that cannot be had, why."""
        ...

    def decode_all(self, cells: Sequence[Cell]) -> list[Any]:
        """The values of many; a CodecError in the place of one that cannot be made any more."""
        ...


class _Codec:
    """A codec out of two functions for what is no plain value; both may raise anything."""

    def __init__(
        self, name: str, pack: Callable[[Any], bytes], unpack: Callable[[bytes], Any], refuses: str
    ) -> None:
        self.name = name
        self._pack = pack
        self._unpack = unpack
        self._refuses = refuses

    def encode(self, value: Any) -> Cell:
        if is_plain(value):
            return value  # type: ignore[no-any-return]
        try:
            packed = self._pack(value)
        except BaseException as error:
            let_through(error)
            why = str(error) if type(error) is CodecError else text_of(error)
            what = f"{self._refuses} a value of type {type_name(type(value))}"
            raise CodecError(f"{what}: {why}" if why else what) from error
        if len(packed) > LARGEST:
            raise CodecError(
                f"a value of type {type_name(type(value))} takes {len(packed):,} bytes, and a journal "
                f"holds {LARGEST:,} of one"
            )
        return packed

    def decode(self, cell: Cell) -> Any:
        if type(cell) is not bytes:
            return cell
        try:
            return self._unpack(cell)
        except BaseException as error:
            let_through(error)
            raise CodecError(text_of(error)) from error

    def encode_all(self, values: Sequence[Any]) -> list[Cell | CodecError]:
        return list(values) if all_plain(values) else [self._encoded(value) for value in values]

    def decode_all(self, cells: Sequence[Cell]) -> list[Any]:
        if _BYTES.isdisjoint(map(type, cells)):
            return list(cells)
        return [self._decoded(cell) if type(cell) is bytes else cell for cell in cells]

    def _encoded(self, value: Any) -> Cell | CodecError:
        try:
            return self.encode(value)
        except CodecError as error:
            return error.with_traceback(None)  # whose frames hold the value

    def _decoded(self, cell: bytes) -> Any:
        try:
            return self.decode(cell)
        except CodecError as error:
            return error


def is_plain(value: Any) -> bool:
    """Whether SQLite gives this value back as it is."""
    kind: Any = type(value)
    if kind is str:
        return len(value) < LARGEST // 4 and _is_utf8(value)
    if kind is int:
        return bool(value.bit_length() <= INT_BITS)
    if kind is float:
        return not math.isnan(value) and (value != 0.0 or math.copysign(1.0, value) > 0)
    return value is None


def all_plain(values: Sequence[Any]) -> bool:
    """Whether certainly all are plain. Asked of many of one type at once, it costs next to nothing."""
    try:
        kinds = set(map(type, values))
    except BaseException as error:  # a class that cannot be hashed
        let_through(error)
        return False
    if not kinds <= _NATIVE:
        return False
    if kinds <= _TEXT:
        text = "".join(values)
        return len(text) < LARGEST // 4 and _is_utf8(text)
    if kinds <= _INT:
        return all(value.bit_length() <= INT_BITS for value in (min(values), max(values)))
    return all(map(is_plain, values))


def _is_utf8(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair, as of a file name that is no UTF-8
        return False
    return True


def storable(text: str) -> str:
    """A text for people, as the file can hold it: half surrogate pairs as escapes."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


# ----------------------------------------------------------------------- pickle


def _pickled(value: Any) -> bytes:
    return _dumps(value, pickle.HIGHEST_PROTOCOL)


# ------------------------------------------------------------------------- JSON


def _as_json(value: Any) -> bytes:
    """As JSON text in ASCII. Raises CodecError for what would not come back equal."""
    return _to_text(_json_ready(value, None, 0)).encode("ascii")


def _json_ready(value: Any, place: Place, depth: int) -> Any:
    """The same, with its tuples marked, or a CodecError that says what is in the way, and where."""
    kind: Any = type(value)
    if kind is str and value.isascii():
        return value
    if kind in _JSON_SCALARS:
        return value if value is None or kind is bool else _json_scalar(kind, value, place)
    if depth > DEEPEST:
        raise CodecError(f"what lies more than {DEEPEST} deep in it")
    if kind is dict:
        for key in value:
            if type(key) is not str:
                raise CodecError(f"a dict with a key that is no string, {_short(key)}{_at(place)}")
            if not key.isascii():
                _json_scalar(str, key, place)
        if TUPLE in value and len(value) == 1:
            raise CodecError(f"a dict with the one key {TUPLE!r}, which stands for a tuple{_at(place)}")
        return {key: _json_ready(one, (place, key), depth + 1) for key, one in value.items()}
    if kind is list or kind is tuple:
        ready = [_json_ready(one, (place, i), depth + 1) for i, one in enumerate(value)]
        return ready if kind is list else {TUPLE: ready}
    raise CodecError(f"a value of type {type_name(kind)}{_at(place)}" if place else "")


def _json_scalar(kind: type, value: Any, place: Place) -> Any:
    if kind is str:
        if not _is_utf8(value):
            raise CodecError(f"a string that is no valid text (half a surrogate pair){_at(place)}")
    elif kind is float:
        if not math.isfinite(value):
            raise CodecError(f"{value!r}{_at(place)}")
    elif value.bit_length() > DIGITS:
        raise CodecError(f"a whole number of {value.bit_length():,} bits{_at(place)}")
    return value


def _at(place: Place) -> str:
    way = ""
    while place is not None:
        place, key = place
        way = f"[{key!r}]{way}"
    return f" at {way}" if way else ""


def _short(value: Any) -> str:
    from .._repr import short_repr

    return short_repr(value, 80)


def _tuple_or_dict(found: dict[str, Any]) -> Any:
    return tuple(found[TUPLE]) if found.keys() == {TUPLE} else found


# Made once, as `json.dumps` and `json.loads` would make them for each value.
_to_text = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode
_to_value = json.JSONDecoder(object_hook=_tuple_or_dict).decode


def _from_json(cell: bytes) -> Any:
    return _to_value(cell.decode("ascii"))


PICKLE: Codec = _Codec("pickle", _pickled, _loads, "pickle refuses")
JSON: Codec = _Codec("json", _as_json, _from_json, "JSON cannot hold")

BY_NAME: dict[str, Codec] = {codec.name: codec for codec in (PICKLE, JSON)}
