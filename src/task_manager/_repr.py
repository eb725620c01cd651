"""How what is the user's is shown in log, bar and warnings: harmless, bounded, and in one line.

A repr, a name or a message is text from anywhere.  A line break in it would forge a line of the
log, an escape sequence would colour or clear the terminal, and a bidirectional control would turn
the line round.

What is shown of an object has bounds of length and of time: see `short_repr`.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from ._costly import Shapes, SlowTypes, clock
from ._signals import let_through
from .errors import TaskManagerError, TransportError

LONGEST = 200
WHOLE = 4 * LONGEST  # characters of an object, at most
SHOWN = 10  # elements of a container
LARGE = 1000  # elements of one that is shown by its type and length
SORTED = 100  # elements of a set that is shown in order
DEEPEST = 4  # containers within each other
ENOUGH = 0.001  # seconds for one object; what is inside and comes later is shown by its type
LEAST = 20  # characters of a text in a container

NUMBERS = frozenset((int, float, bool, type(None)))  # short by nature, and most tasks
_EXACT = frozenset(map(id, NUMBERS))
_BREAKS = ("\r\n", "\n", "\r")
# Spaces of several widths, and the joiners that some scripts and emoji are written with.
_HARMLESS = frozenset("\xa0\u1680\u202f\u205f\u3000\u200c\u200d").union(map(chr, range(0x2000, 0x200B)))
_NAME: Any = vars(type)["__name__"]  # whatever a metaclass makes of it
_QUALNAME: Any = vars(type)["__qualname__"]
_MODULE: Any = vars(type)["__module__"]
_BARE = frozenset({"builtins", "__main__", "__mp_main__"})  # whose types are shown without their module

_shapes = Shapes()
_slow = SlowTypes()


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
        if type(error) is TransportError:
            text = text.removesuffix(error.traceback).rstrip()  # the lines of another process
    except BaseException as broken:
        let_through(broken)
        return name
    return one_line(f"{name}: {_cut(text, 4 * LONGEST)}")


def error_text(error: BaseException) -> str:
    """The repr of an error, bounded, with the qualified name of its type. Never raises.

    `ValueError('no')`, but `requests.exceptions.ConnectionError('refused')`. Our own say more as a text:
    `task_manager.errors.WorkerDiedError: killed by SIGSEGV: worker process 8205, ...`.
    """
    if issubclass(type(error), TaskManagerError):
        return text_of(error)
    text, name, bare = short_repr(error), error_name(type(error)), type_name(type(error))
    if name == bare or text.startswith((f"{name}(", "<unreprable ")):
        return text
    for own in (bare, bare.rpartition(".")[2]):
        if text.startswith(f"{own}("):
            return f"{name}{text.removeprefix(own)}"
    return f"{name}: {text}"


def short_repr(value: Any, room: int = WHOLE) -> str:
    """A value as its repr, cut and on one line; `<unreprable T>` where it has none. Never raises.

    room: Characters at most.

    Arrays, frames and tensors are shown by type and shape, containers of more than LARGE elements by
    type and length, `<list of 5000>`, and objects of a type whose repr has turned out to be slow by
    their type, `<T>`.
    """
    try:
        kind = id(type(value))
        if kind in _EXACT:
            text = repr(value)
            return text if len(text) <= room and len(text) <= LONGEST else _cut(text, room)
        text = _Showing(room).show(value, DEEPEST)
        if type(text) is str and len(text) <= room and text.isprintable():
            return text
        return _cut(one_line(_cut(text, room)), room)
    except BaseException as error:
        let_through(error)
        return _cut(f"<unreprable {type_name(type(value))}>", room)


def shown_text(x: str, most: int) -> str:
    """A text, cut in its middle where it is too long."""
    if len(x) <= most - 2:
        text = repr(x)
        if len(text) <= most:
            return text
    head = max(0, (most - 3) // 2)
    text = repr(x[: most // 2] + x[-(most // 2) :]) if len(x) > most else repr(x)
    return f"{text[:head]}...{text[len(text) - max(0, most - 3 - head) :]}"


class _Showing:
    """Shows one object, as far as there is room and time."""

    __slots__ = ("_room", "_text", "_until")

    def __init__(self, room: int) -> None:
        self._room = room
        self._text = min(LONGEST, room)  # characters of one part
        self._until = 0.0

    def show(self, x: Any, level: int) -> str:
        """By the type itself: others may have made a type of the name of one that is known."""
        if type(x) is str:
            return shown_text(x, self._text)
        kind = id(type(x))
        if kind in _EXACT:
            return repr(x)
        shown = _SHOWN.get(kind)
        return self._instance(x) if shown is None else shown(self, x, level)

    def _pieces(self, x: Iterable[Any], length: int, level: int) -> str:
        self._text = min(LONGEST, max(LEAST, self._room // 2))
        pieces = []
        for element in islice(x, SHOWN):
            if self._room <= 0:
                break
            piece = self.show(element, level - 1)
            self._room -= len(piece) + 2
            pieces.append(piece)
        if len(pieces) < length:
            pieces.append("...")
        return ", ".join(pieces)

    def show_list(self, x: Any, level: int) -> str:
        return self._within("[", x, "]", level)

    def show_tuple(self, x: Any, level: int) -> str:
        return self._within("(", x, ",)" if len(x) == 1 and level > 0 else ")", level)

    def show_deque(self, x: Any, level: int) -> str:
        return self._within("deque([", x, "])", level)

    def show_array(self, x: Any, level: int) -> str:
        if not x:
            return f"array({x.typecode!r})"
        return self._within(f"array({x.typecode!r}, [", x, "])", level)

    def show_set(self, x: Any, level: int) -> str:
        return self._within("{", _in_order(x), "}", level, x) if x else "set()"

    def show_frozenset(self, x: Any, level: int) -> str:
        return self._within("frozenset({", _in_order(x), "})", level, x) if x else "frozenset()"

    def _within(self, left: str, x: Any, right: str, level: int, whole: Any = None) -> str:
        if len(x) > LARGE:
            return _large(x if whole is None else whole)
        if level <= 0 and x:
            return f"{left}...{right}"
        return f"{left}{self._pieces(x, len(x), level)}{right}"

    def show_dict(self, x: dict[Any, Any], level: int) -> str:
        """In the order in which it was filled, as every dict is shown."""
        if len(x) > LARGE:
            return _large(x)
        if x and level <= 0:
            return "{...}"
        self._text = min(LONGEST, max(LEAST, self._room // 2))
        pieces = []
        for key, value in islice(x.items(), SHOWN):
            if self._room <= 0:
                break
            piece = f"{self.show(key, level - 1)}: {self.show(value, level - 1)}"
            self._room -= len(piece) + 2
            pieces.append(piece)
        if len(x) > len(pieces):
            pieces.append("...")
        return f"{{{', '.join(pieces)}}}"

    def show_bytes(self, x: bytes, level: int) -> str:
        return repr(x) if len(x) <= self._text else f"{x[: self._text]!r}..."

    def _instance(self, x: Any) -> str:
        kind = type(x)
        try:
            if issubclass(kind, BaseException):  # what an error says is what the log is for
                return _cut(repr(x), LONGEST)
            if _slow.has(kind):
                return f"<{type_name(kind)}>"
            shape = _shapes.of(x)
            if shape is not None:
                return f"<{shape}>"
            began = clock()
            if self._until and began >= self._until:
                return f"<{type_name(kind)}>"
            self._until = self._until or began + ENOUGH
            try:
                text = repr(x)
            finally:
                _slow.took(kind, clock() - began)
        except BaseException as error:  # extensions in Rust panic with what is no Exception
            let_through(error)
            return f"<unreprable {type_name(kind)}>"
        return _cut(text, LONGEST)


def _large(x: Any) -> str:
    return f"<{type_name(type(x))} of {len(x)}>"


def _in_order(x: Any) -> Any:
    """The elements of a set, sorted where there are few of them that can be."""
    if len(x) > SORTED:
        return x
    try:
        return sorted(x)
    except Exception:
        return x


def _cut(text: str, length: int) -> str:
    if type(text) is not str:
        text = str.__str__(text)  # a subclass has methods of its own
    return text if len(text) <= length else f"{text[: length - 3]}..."


_SHOWN: dict[int, Callable[[_Showing, Any, int], str]] = {
    id(tuple): _Showing.show_tuple,
    id(list): _Showing.show_list,
    id(dict): _Showing.show_dict,
    id(set): _Showing.show_set,
    id(frozenset): _Showing.show_frozenset,
    id(deque): _Showing.show_deque,
    id(array): _Showing.show_array,
    id(bytes): _Showing.show_bytes,
}
