"""Big content as 20 bytes that equal values share, whatever they are built of and in whatever order.

What is digested must be the same for all that is equal: `1 == 1.0 == True`, and the order of a dict or
a set means nothing.  Built-in hashes would not do: that of a str has 64 bits, and hash(-1) is hash(-2).
So the value is written down in one canonical form: numbers by their value, the elements of dicts and
sets in an order of their own.

It is written breadth first, in columns: all children of one kind of all containers of one level are one
column.  So the work on each element is done in C.
"""

from __future__ import annotations

import dataclasses
import marshal
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from itertools import chain
from typing import Any

DEEPEST = 1000  # levels; what has more contains itself, or might as well
MOST_ELEMENTS = 1 << 24  # elements
MANY = 1 << 16  # elements of one column, below which nobody asks whether they are different objects
PLAIN = frozenset([int, float, complex, bool, str, bytes, type(None)])

_REAL = frozenset([int, float, bool])
_SHORT = _REAL | {complex, type(None)}
# Where two types can be equal, they have one code. "o" is an object with fields, "x" anything else.
_CODES: dict[Any, str] = {
    **dict.fromkeys([int, float, complex, bool], "n"),
    **dict.fromkeys([set, frozenset], "s"),
    **dict.fromkeys([bytes, bytearray], "b"),
    type(None): "0",
    str: "u",
    list: "l",
    tuple: "t",
    dict: "d",
}

Elements = list[Any]
Other = Callable[[Any], tuple[Hashable, bytes]]


def is_big(value: Any, elements: int) -> bool:
    """Whether a value holds more than so many elements, 16 characters of text being one.

    Equal values are of the same size.
    """
    seen = [value]
    room = elements
    for one in seen:  # which grows meanwhile
        kind = type(one)
        if kind in _SHORT:
            continue
        if kind is str or kind is bytes or kind is bytearray:
            room -= len(one) >> 4
        elif kind is dict:
            room -= len(one)
            if room >= 0:
                seen += one
                seen += one.values()
        elif kind is list or kind is tuple or kind is set or kind is frozenset:
            room -= len(one)
            if room >= 0:
                seen += one
        elif compared := compared_fields(kind):
            room -= len(compared)
            if room >= 0:
                seen += [getattr(one, name) for name in compared]
        if room < 0:
            return True
    return False


def compared_fields(kind: type) -> tuple[str, ...]:
    """The fields by which two objects of a dataclass are equal, if it has made them unhashable."""
    if vars(kind).get("__hash__", kind) is not None or not dataclasses.is_dataclass(kind):
        return ()
    return tuple(field.name for field in dataclasses.fields(kind) if field.compare)


def digest_of(value: Any, other: Other) -> tuple[Hashable, ...]:
    """20 bytes, and what has no canonical form beside them; equal if and only if the values are.

    other: What to keep of a value of another type, each once, and what to write.
    Raises ValueError for what contains itself, and whatever the value raises.
    """
    writing = _Writing(other)
    writing.write(value)
    return (writing.digest.digest(), *writing.not_numbers, *writing.kept)


class _Writing:
    """One value on its way into a digest.

    kept: What has no canonical form, and the number of each. not_numbers: nan, equal to itself alone.
    """

    def __init__(self, other: Other) -> None:
        import hashlib  # which loads OpenSSL, for tasks that are seldom seen

        self.digest = hashlib.blake2b(digest_size=20)
        self.kept: dict[Hashable, int] = {}
        self.not_numbers: list[Hashable] = []
        self._other = other
        self._columns: deque[tuple[int, Elements]] = deque()

    def write(self, value: Any) -> None:
        self._columns.append((0, [value]))
        count = 0
        while self._columns:
            level, column = self._columns.popleft()
            count += len(column)
            if level > DEEPEST or count > MOST_ELEMENTS:
                raise ValueError("content without an end")
            if level > 8 and len(column) > MANY > 16 * len(set(map(id, column))):
                raise ValueError("a few objects in one another, over and over")
            for code, part in self._parts(column):
                _WRITE[code](self, level + 1, part)

    def _parts(self, column: Elements) -> Iterable[tuple[str, Elements]]:
        """Write the kinds of a column, and part it by them."""
        codes = {kind: _code_of(kind) for kind in set(map(type, column))}
        different = sorted(set(codes.values()))
        if len(different) == 1:
            self._put(different[0] * len(column))
            return [(different[0], column)]
        row = [codes[type(value)] for value in column]
        self._put("".join(row))
        return [
            (code, [value for value, its in zip(column, row, strict=True) if its == code])
            for code in different
        ]

    def _put(self, plain: Any) -> None:
        """Write what is of one type. Version 2 of the format: later ones write by identity as well."""
        self.digest.update(marshal.dumps(plain, 2))

    def _children(self, level: int, lengths: list[int], *columns: Elements) -> None:
        self._put(lengths)
        self._columns.extend((level, column) for column in columns if column)

    def _nothing(self, level: int, part: Elements) -> None:
        pass

    def _text(self, level: int, part: Elements) -> None:
        self._put(part)

    def _numbers(self, level: int, part: Elements) -> None:
        kinds = set(map(type, part))
        if kinds == {float} and (total := sum(part)) == total:  # no nan among them
            part = [int(x) if x.is_integer() else x for x in part]
        elif kinds == {int, bool} or kinds == {bool}:
            part = list(map(int, part))
        elif kinds != {int}:
            part = list(map(self._number, part))
        self._put(part)

    def _number(self, x: Any) -> Any:
        """One form for all that is equal to it."""
        if x != x:
            self.not_numbers.append(x)
            return None
        if type(x) is complex:
            if x.imag:
                return self._number(x.real), self._number(x.imag)
            x = x.real
        if type(x) is float and not x.is_integer():
            return x
        return int(x)

    def _sequences(self, level: int, part: Elements) -> None:
        self._children(level, list(map(len, part)), list(chain.from_iterable(part)))

    def _sets(self, level: int, part: Elements) -> None:
        self._children(level, list(map(len, part)), list(chain.from_iterable(map(self._ordered, part))))

    def _dicts(self, level: int, part: Elements) -> None:
        keys: Elements = []
        values: Elements = []
        orders: dict[Any, Elements] = {}  # rows of a table have the same keys
        for one in part:
            names = tuple(one) if len(one) <= 100 else None
            ordered = orders.get(names) or self._ordered(one)
            if names:
                orders[names] = ordered
            keys += ordered
            values += map(one.__getitem__, ordered)
        self._children(level, list(map(len, part)), keys, values)

    def _objects(self, level: int, part: Elements) -> None:
        self._keep(map(type, part))
        fields: Elements = [[getattr(one, name) for name in compared_fields(type(one))] for one in part]
        self._sequences(level, fields)

    def _others(self, level: int, part: Elements) -> None:
        others = [self._other(value) for value in part]
        self._keep(kept for kept, _ in others)
        self._put([written for _, written in others])

    def _keep(self, those: Iterable[Hashable]) -> None:
        """Keep each once, and write which is where."""
        kept = self.kept
        self._put([kept.setdefault(one, len(kept)) for one in those])

    def _ordered(self, values: Iterable[Any]) -> Elements:
        """The elements of a set or dict, in an order that equal ones share."""
        if not _comparable(values):
            return sorted(values, key=self._rank)
        try:
            return sorted(values)
        except TypeError:  # complex numbers, all of them real
            return sorted(values, key=_real)

    def _rank(self, value: Any) -> tuple[Any, ...]:
        digest, *kept = digest_of(value, self._other)
        return (digest, *map(hash, kept))


_WRITE: dict[str, Callable[[_Writing, int, Elements], None]] = {
    "0": _Writing._nothing,
    "b": _Writing._text,
    "d": _Writing._dicts,
    "l": _Writing._sequences,
    "n": _Writing._numbers,
    "o": _Writing._objects,
    "s": _Writing._sets,
    "t": _Writing._sequences,
    "u": _Writing._text,
    "x": _Writing._others,
}


def _code_of(kind: type) -> str:
    return _CODES.get(kind) or ("o" if compared_fields(kind) else "x")


def _comparable(values: Iterable[Any]) -> bool:
    """Whether these can be put in order by their values. Equal elements answer the same."""
    kinds = set(map(type, values))
    if kinds <= {str} or kinds <= {bytes}:
        return True
    if kinds <= _REAL or kinds <= _REAL | {complex}:
        return kinds <= {int, bool} or all(x == x and x.imag == 0 for x in values)
    if kinds == {tuple}:
        tuples: Any = values
        return len(set(map(len, tuples))) == 1 and all(map(_comparable, zip(*tuples, strict=True)))
    return False


def _real(value: Any) -> Any:
    """A number without its imaginary part, or a tuple of such numbers."""
    if type(value) is tuple:
        return tuple(map(_real, value))
    return value.real if type(value) is complex else value
