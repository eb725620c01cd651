"""What crosses a process boundary, as bytes.

Each pickle belongs to one task, so that an object that cannot travel costs its own task a named
error and nothing else.  Only plain values (numbers, strings, bytes, None) share one pickle, for
those cannot fail.
"""

from __future__ import annotations

import functools
import pickle
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from .._call import Slot
from .._signals import let_through
from .._task import Failure
from ..errors import TransportError
from .by_value import INSTALL, dumps_by_value
from .rebuilt import pack_error, unpack_error

PLAIN: frozenset[type] = frozenset({int, float, complex, bool, str, bytes, type(None)})
TEXT: frozenset[type] = frozenset({str, bytes})
SMALL = PLAIN - TEXT
LARGEST_SHARE = 1 << 20  # bytes of a share that is more than one object
TUPLE = frozenset({tuple})
PROTOCOL = pickle.HIGHEST_PROTOCOL
_CAUSE: Any = vars(BaseException)["__cause__"]
_TRACEBACK: Any = vars(BaseException)["__traceback__"]


def all_of(kinds: frozenset[type], values: Iterable[Any]) -> bool:
    """Whether all values are of these types. A type that cannot be hashed is none of them."""
    try:
        return kinds.issuperset(map(type, values))
    except BaseException as error:  # its metaclass has an __eq__ alone, or a __hash__ that raises
        let_through(error)
        return False


class Column(NamedTuple):
    """Values of a batch, ready to be pickled as a whole.

    plain: The cells are the values themselves; otherwise each is a pickle of its own.
    """

    plain: bool
    cells: list[Any]


class Lost(NamedTuple):
    """The cell of a value that could not be packed; stands in a Column for what it held."""

    type_name: str
    message: str


class ErrorCell(NamedTuple):
    """An error ready to travel, with its text beside it for the case that it does not arrive.

    error, kind: Pickles of the error and of its type, or None where they refused.
    head: So many characters of the traceback stand before what the error itself says.
    """

    error: bytes | None
    kind: bytes | None
    type_name: str
    message: str
    traceback: str
    head: int = 0

    @property
    def weight(self) -> int:
        """Its size in bytes, about."""
        return sum(map(sys.getsizeof, self))


class WorkerTraceback(Exception):
    """The traceback of another process as text; the `__cause__` of an error that came from there."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


MOST_SHARED = 10_000  # characters of a traceback that is remembered


@functools.lru_cache(maxsize=50)
def _shared(text: str) -> WorkerTraceback:
    """One object for all errors from the same lines: where Python prints many, it prints that once."""
    return WorkerTraceback(text)


_dumps = pickle.dumps  # as they are now, whatever the user's function, or a test of it, makes of them
loads = pickle.loads


def dumps(value: Any) -> bytes:
    return _dumps(value, PROTOCOL)


def pack(value: Any) -> bytes:
    """What is the user's as bytes: a lambda or a closure, also within it, by its code.

    cloudpickle, which is slow, is tried only where pickle has failed. The other side only has to
    unpickle, whatever came of it. Raises what they raise; without cloudpickle that says what to install.
    """
    try:
        return _dumps(value, PROTOCOL)
    except (MemoryError, RecursionError):
        raise
    except Exception as error:
        let_through(error)
        return dumps_by_value(value, error)


def pack_values(values: list[Any], slot: Slot, numbers: Sequence[int]) -> Column:
    """Pack results; one that refuses becomes a Lost cell.

    slot: Told whose result is being pickled, as a pickle may kill its process; `numbers` has them.
    """
    if all_of(PLAIN, values):
        return Column(True, values)
    cells: list[Any] = []
    for number, value in zip(numbers, values, strict=True):
        slot[0] = number
        try:
            cells.append(pack(value))
        except BaseException as error:
            let_through(error)
            cells.append(Lost(qualified_name(type(value)), reason_of(error)))
    return Column(False, cells)


def shares(column: Column, beside: Mapping[int, int] | None = None) -> Iterator[slice]:
    """A column cut into shares of a bounded size: what is on its way at a time stays small.

    A cell beyond the bound has a share of its own.

    beside: How many bytes travel beside some cells, by position.
    """
    cells = column.cells
    if not beside and surely_light(cells, set(map(type, cells))):
        return iter([slice(0, len(cells))])
    sizes = list(map(sys.getsizeof, cells))
    for position, size in (beside or {}).items():
        sizes[position] += size
    return cut(sizes)


def surely_light(values: Sequence[Any], kinds: set[type]) -> bool:
    """Whether these are no more than LARGEST_SHARE bytes together, so that none need be weighed.

    kinds: Their types.
    """
    if SMALL.issuperset(kinds):
        return True
    if TEXT.issuperset(kinds) and 4 * sum(map(len, values)) <= LARGEST_SHARE:  # bytes of the widest text
        return True
    return sum(map(sys.getsizeof, values)) <= LARGEST_SHARE


def cut(sizes: Sequence[int]) -> Iterator[slice]:
    """Slices of what has these sizes, none larger than LARGEST_SHARE unless it is of one."""
    if sum(sizes) <= LARGEST_SHARE:
        yield slice(0, len(sizes))
        return
    first = weight = 0
    for position, size in enumerate(sizes):
        if weight + size > LARGEST_SHARE and position > first:
            yield slice(first, position)
            first, weight = position, 0
        weight += size
    yield slice(first, len(sizes))


def unpack_value(cell: Any, what: str = "result") -> Any:
    """One cell that is no plain one. Raises TransportError, which says what was lost.

    Of one that does not unpickle the type is not known here: the error's stands in for it.
    """
    if isinstance(cell, Lost):
        raise TransportError(what, cell.type_name, cell.message)
    try:
        return loads(cell)
    except BaseException as error:
        let_through(error)
        raise TransportError(what, qualified_name(type(error)), reason_of(error)) from error


def renamed(error: TransportError, type_name: str) -> TransportError:
    """The same error, by one who knows the type of the object."""
    better = TransportError(error.what, type_name, error.message, error.traceback)
    better.__cause__ = error.__cause__
    return better


def pack_failure(failure: Failure) -> ErrorCell:
    """Pack an error; never raises."""
    error = failure.error
    try:
        head, said = _formatted(error)
    except BaseException as broken:
        let_through(broken)
        head = said = ""
    text = head + said
    try:
        packed = pack_error(error, pack, loads)
    except BaseException as refusal:
        let_through(refusal)
        packed = None
        if text and INSTALL in (said := message_of(refusal)):
            text += f"It came as text: {said}\n"
    return ErrorCell(
        packed, _try_dumps(failure.kind), qualified_name(type(error)), message_of(error), text, len(head)
    )


def _formatted(error: BaseException) -> tuple[str, str]:
    """Its traceback with all that it came of, and then what it says, as Python prints them.

    One that came from a process behind this one, and was not raised here, has the traceback from there.
    """
    entries, cause = _TRACEBACK.__get__(error), _CAUSE.__get__(error)
    printed = traceback.TracebackException(type(error), error, entries, compact=True)
    said = "".join(printed.format_exception_only())
    if type(cause) is WorkerTraceback and entries is None:
        return cause.text, said
    text = "".join(printed.format())
    if text.endswith(said):
        return text.removesuffix(said), said
    return text, ""  # of a group, whose members come after what it says


def unpack_failure(cell: ErrorCell) -> Failure:
    """The error as it was raised; a TransportError with its text where it cannot be had."""
    text = cell.traceback[: cell.head]
    try:
        error = unpack_error(cell.error or b"", loads)
    except BaseException as broken:
        let_through(broken)
        error = TransportError("error", cell.type_name, cell.message, cell.traceback)
    else:
        if text:
            cause = _shared(text) if len(text) <= MOST_SHARED else WorkerTraceback(text)
            _CAUSE.__set__(error, cause)  # also on one that refuses assignments
    kind = _try_loads(cell.kind, type)
    if kind is None or not issubclass(kind, BaseException):
        kind = type(error)
    return Failure(error, kind)


def cannot_load(what: str, error: BaseException) -> str:
    """What to tell when a process cannot load its function or its stage."""
    return (
        f"the {what} cannot be loaded in its process: {type(error).__name__}: {message_of(error)}. "
        "Define it at the top level of a module that other processes can import"
    )


def qualified_name(kind: type) -> str:
    """The qualified name of a type; the script is `__main__` also where a worker knows it otherwise.

    Never raises, and answers an exact str, since a subclass of it might not travel.
    """
    try:
        module, name = kind.__module__, kind.__qualname__
        if not isinstance(module, str) or module == "builtins":
            return str.__str__(name)
        return f"{module.replace('__mp_main__', '__main__')}.{name}"
    except BaseException as broken:
        let_through(broken)
        return type.__repr__(kind)


def message_of(error: BaseException) -> str:
    """An error's text, also of one whose __str__ is broken; an exact str as well."""
    try:
        return str.__str__(str(error))
    except BaseException as broken:
        let_through(broken)
        name = qualified_name(type(error)).rpartition(".")[2]
        return f"<{name} without a text: its __str__ failed>"


def reason_of(error: BaseException) -> str:
    """An error's text, its name where it has none, as a MemoryError."""
    return message_of(error) or qualified_name(type(error))


def type_names(values: Sequence[Any]) -> list[str]:
    """The types of values: a name for each, or a single one where all are alike."""
    kinds = list(map(type, values))
    names = {id(kind): qualified_name(kind) for kind in kinds}  # by id: a type may refuse to be hashed
    return list(names.values()) if len(names) == 1 else [names[id(kind)] for kind in kinds]


def _try_dumps(value: Any) -> bytes | None:
    try:
        return pack(value)
    except BaseException as error:
        let_through(error)
        return None


def _try_loads(packed: bytes | None, kind: type[Any]) -> Any:
    """The unpickled object if it is of this kind, and None otherwise."""
    if packed is None:
        return None
    try:
        value = loads(packed)
    except BaseException as error:
        let_through(error)
        return None
    return value if issubclass(type(value), kind) else None  # what it says of its class may raise
