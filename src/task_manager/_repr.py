"""How what is the user's is shown in log, bar and warnings: harmless, bounded, and in one line.

A repr, a name or a message is text from anywhere.  A line break in it would forge a line of the
log, an escape sequence would colour or clear the terminal, and a bidirectional control would turn
the line round.
"""

from __future__ import annotations

import reprlib
from array import array
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any

from ._signals import let_through

LONGEST = 200
SORTED = 1000  # elements of a set; of a larger one, some are shown

_EXACT = frozenset(map(id, (int, float, bool, type(None))))  # short by nature, and most tasks
_BREAKS = ("\r\n", "\n", "\r")
# Spaces of several widths, and the joiners that some scripts and emoji are written with.
_HARMLESS = frozenset("\xa0\u1680\u202f\u205f\u3000\u200c\u200d").union(map(chr, range(0x2000, 0x200B)))
_NAME: Any = vars(type)["__name__"]  # whatever a metaclass makes of it
_QUALNAME: Any = vars(type)["__qualname__"]
_MODULE: Any = vars(type)["__module__"]
_BARE = frozenset({"builtins", "__main__", "__mp_main__"})  # whose types are shown without their module


def one_line(text: str) -> str:
    """Any text as one line that changes nothing around it: breaks are spaces, controls are escapes."""
    if type(text) is not str:
        text = str.__str__(text)  # a subclass has methods of its own
    if text.isprintable():
        return text
    for line_break in _BREAKS:
        text = text.replace(line_break, " ")
    return "".join(
        char if char.isprintable() or char in _HARMLESS else char.encode("unicode_escape").decode()
        for char in text
    )


def type_name(kind: type) -> str:
    """The qualified name of a type, without its module. Never raises."""
    return one_line(_cut(_QUALNAME.__get__(kind), LONGEST))


def error_name(kind: type) -> str:
    """The name of a type of errors, with its module unless that is the script or Python's own.

    So a traceback shows it: `ConnectionError`, `requests.exceptions.ConnectionError`. Never raises.
    """
    try:
        module = _MODULE.__get__(kind)
    except BaseException as error:  # a class body may have deleted the name, or made anything of it
        let_through(error)
        module = None
    if not issubclass(type(module), str):
        return type_name(kind)
    module = one_line(_cut(module, LONGEST))
    return type_name(kind) if module in _BARE else f"{module}.{type_name(kind)}"


def name_of(func: Any) -> str:
    """What a callable calls itself, or the name of its type. Never raises."""
    try:
        return one_line(_cut(str(func.__name__), LONGEST))
    except BaseException as error:
        let_through(error)
        return one_line(_cut(_NAME.__get__(type(func)), LONGEST))


def text_of(error: BaseException) -> str:
    """An error for a line of text, `client.Busy: no`; never raises, also where its __str__ is broken."""
    name = error_name(type(error))
    try:
        text = str.__str__(str(error))
    except BaseException as broken:
        let_through(broken)
        return name
    return one_line(f"{name}: {_cut(text, 4 * LONGEST)}")


def error_text(error: BaseException) -> str:
    """The repr of an error, bounded, with the qualified name of its type. Never raises.

    `ValueError('no')`, but `requests.exceptions.ConnectionError('refused')`.
    """
    text, name, bare = short_repr(error), error_name(type(error)), type_name(type(error))
    if name == bare or text.startswith((f"{name}(", "<unreprable ")):
        return text
    for own in (bare, bare.rpartition(".")[2]):
        if text.startswith(f"{own}("):
            return f"{name}{text.removeprefix(own)}"
    return f"{name}: {text}"


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxtuple = self.maxlist = self.maxdict = self.maxset = self.maxfrozenset = 10
        self.maxdeque = self.maxarray = 10
        self.maxstring = self.maxother = LONGEST

    def repr1(self, x: Any, level: int) -> str:
        """By the type itself. reprlib goes by its name, and others may have made a type of that name."""
        show: Callable[[_Short, Any, int], str] = _SHOWN.get(id(type(x)), _Short.repr_instance)
        return show(self, x, level)

    def repr_dict(self, x: dict[Any, Any], level: int) -> str:
        """In the order in which it was filled, as every dict is shown; reprlib sorts the whole of it."""
        if x and level <= 0:
            return "{...}"
        pieces = [
            f"{self.repr1(key, level - 1)}: {self.repr1(value, level - 1)}"
            for key, value in islice(x.items(), self.maxdict)
        ]
        if len(x) > self.maxdict:
            pieces.append("...")
        return f"{{{', '.join(pieces)}}}"

    def repr_set(self, x: set[Any], level: int) -> str:
        return super().repr_set(x if len(x) <= SORTED else set(islice(x, SORTED)), level)

    def repr_frozenset(self, x: frozenset[Any], level: int) -> str:
        return super().repr_frozenset(x if len(x) <= SORTED else frozenset(islice(x, SORTED)), level)

    def repr_bytes(self, x: bytes, level: int) -> str:
        return repr(x) if len(x) <= LONGEST else f"{x[:LONGEST]!r}..."

    def repr_instance(self, x: Any, level: int) -> str:
        try:
            text = repr(x)
        except BaseException as error:  # extensions in Rust panic with what is no Exception
            let_through(error)
            return f"<unreprable {type_name(type(x))}>"
        return _cut(text, LONGEST)


_SHOWN: dict[int, Callable[..., str]] = {
    id(kind): getattr(_Short, f"repr_{kind.__name__}")
    for kind in (tuple, list, dict, set, frozenset, deque, array, str, bytes, int)
}
_short = _Short().repr


def short_repr(value: Any) -> str:
    """The repr of a value, cut and on one line; `<unreprable T>` where it has none. Never raises."""
    try:
        if id(type(value)) in _EXACT:
            text = repr(value)
            return text if len(text) <= LONGEST else _cut(text, 4 * LONGEST)
        return _cut(one_line(_cut(_short(value), 4 * LONGEST)), 4 * LONGEST)
    except BaseException as error:
        let_through(error)
        return f"<unreprable {type_name(type(value))}>"


def _cut(text: str, length: int) -> str:
    if type(text) is not str:
        text = str.__str__(text)  # a subclass has methods of its own
    return text if len(text) <= length else f"{text[: length - 3]}..."
