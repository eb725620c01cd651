"""How many objects of the user's are shown at a time, as `_repr` shows each: what is plain costs little.

A log names every task, and most tasks are numbers, texts, or tuples and rows of these.
"""

from __future__ import annotations

from typing import Any

from ._repr import LEAST, LONGEST, NUMBERS, SHOWN, short_repr, shown_text
from ._signals import let_through

_TEXT = frozenset({str})
_PLAIN = frozenset(map(id, NUMBERS | _TEXT))


def short_reprs(values: list[Any], room: int) -> list[str]:
    """Each as `short_repr` shows it; a tuple that fits is whole."""
    most = min(room, LONGEST)
    texts = []
    for value in values:
        kind = type(value)
        if kind is str:
            text: str | None = shown_text(value, most)
        elif kind is tuple:
            text = _shown_tuple(value, most)
        else:
            text = _shown_row(value, room) if kind is dict else None
        texts.append(short_repr(value, room) if text is None else text)
    return texts


def plain_reprs(values: list[Any], room: int) -> list[str] | None:
    """The same, where all are numbers, or all are texts; None: they are not, or one is too special.

    Numbers are whole, however long.
    """
    try:
        kinds = set(map(type, values))
        if kinds <= NUMBERS:
            return list(map(repr, values))
        if kinds != _TEXT:
            return None
        most = min(room, LONGEST)
        if max(map(len, values)) > most - 2:
            head, tail = (most - 3) // 2 - 1, most - 3 - (most - 3) // 2 - 1
            values = [x if len(x) <= most - 2 else f"{x[:head]}...{x[-tail:]}" for x in values]
        texts = list(map(repr, values))
    except BaseException as error:  # a metaclass that cannot be hashed; a number of thousands of digits
        let_through(error)
        return None
    return None if "\\" in "".join(texts) else texts  # what is escaped is longer


def _shown_tuple(x: tuple[Any, ...], most: int) -> str | None:
    """A tuple of a few numbers and texts, where it is shown whole; None: it is not that."""
    if len(x) > SHOWN:
        return None
    for part in x:
        if id(type(part)) not in _PLAIN or (type(part) is str and len(part) > most):
            return None
    text = _repr_of(x)
    return text if text is not None and len(text) <= most else None


def _shown_row(x: dict[Any, Any], room: int) -> str | None:
    """A dict of numbers and texts that are whole, as far as there is room; None: it is not that."""
    whole = max(LEAST, room // 2) - 2
    head: dict[Any, Any] = {}
    length = 0  # at least
    for key, value in x.items():
        if length >= room or len(head) >= SHOWN:
            break
        for part in (key, value):
            if type(part) is str:
                if len(part) > (whole if length < room else LONGEST):
                    return None
                length += len(part) + 4
            elif id(type(part)) in _PLAIN:
                length += 3
            else:
                return None
        head[key] = value
    text = _repr_of(head)
    if text is not None and len(text) > room:
        return f"{text[: room - 3]}..."
    return text if len(head) == len(x) else None


def _repr_of(x: object) -> str | None:
    try:
        return repr(x)
    except ValueError:  # a number of thousands of digits
        return None
