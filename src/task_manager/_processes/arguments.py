"""The arguments of calls: packed here, a share at a time, as a worker's pipe takes them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple

from .._signals import let_through
from .._task import Failure
from ..errors import TransportError
from . import wire


class Share(NamedTuple):
    """Some calls of a batch, packed: those that travel together.

    taken: How many calls, from the first that was not in the share before.
    column: Those of them that could be packed.
    failures: The others, by their position in the share.
    """

    taken: int
    column: wire.Column
    failures: dict[int, Failure]


def pack_calls(calls: list[Any], unpack: bool) -> Iterator[Share]:
    """Pack what calls are made with, a share at a time, each when it is asked for.

    unpack: The calls are tuples of arguments.
    """
    if unpack and not wire.all_of(wire.TUPLE, calls):
        return _pack_each(calls, unpack)  # a subclass is pickled by its name, which may fail
    flat = list(chain.from_iterable(calls)) if unpack else calls
    if not wire.all_of(wire.PLAIN, flat):
        return _pack_each(calls, unpack)
    if wire.surely_light(flat, set(map(type, flat))):
        return iter([Share(len(calls), wire.Column(True, calls), {})])
    sizes = [sum(map(sys.getsizeof, call)) if unpack else sys.getsizeof(call) for call in calls]
    return (
        Share(part.stop - part.start, wire.Column(True, calls[part]), {}) for part in wire.cut(sizes)
    )


def _pack_each(calls: list[Any], unpack: bool) -> Iterator[Share]:
    """The same, each call in a pickle of its own."""
    count = weight = 0
    cells: list[Any] = []
    failures: dict[int, Failure] = {}
    for call in calls:
        try:
            cell = wire.pack(call)
        except BaseException as error:
            let_through(error)
            failures[count] = _refused(call, unpack, error)
        else:
            if cells and weight + len(cell) > wire.LARGEST_SHARE:
                full = [Share(count, wire.Column(False, cells), failures)]
                count, weight, cells, failures = 0, 0, [], {}
                yield full.pop()  # nothing here holds on to it while it is sent
            cells.append(cell)
            weight += len(cell)
        count += 1
    yield Share(count, wire.Column(False, cells), failures)


def _refused(call: Any, unpack: bool, error: BaseException) -> Failure:
    """What to tell of a call that cannot be pickled: of several arguments, the one that refuses."""
    culprit = _name_of_call(call, unpack)
    for argument in (
        call if unpack and len(call) > 1 and not issubclass(type(error), MemoryError) else ()
    ):
        try:
            wire.pack(argument)
        except BaseException as again:
            let_through(again)
            culprit = wire.qualified_name(type(argument))
            break
    lost = TransportError("argument", culprit, wire.reason_of(error))
    lost.__cause__ = error
    return Failure(lost, TransportError)


def _name_of_call(call: Any, unpack: bool) -> str:
    """The type of a call's argument; of several those that may have refused, one after the other."""
    arguments = call if unpack else (call,)
    suspicious = [type(argument) for argument in arguments if not wire.all_of(wire.PLAIN, [argument])]
    return ", ".join(dict.fromkeys(map(wire.qualified_name, suspicious or map(type, arguments))))


def unnamed(error: BaseException) -> TransportError:
    """What a worker tells of an argument that cannot be unpickled: there its type is not known."""
    return TransportError("argument", "", wire.reason_of(error))


def named(failure: Failure, call: Any, unpack: bool) -> Failure:
    """The same failure with the type of the argument, where it is one that a worker could not name."""
    error = failure.error
    if type(error) is not TransportError or error.type_name:
        return failure
    return Failure(wire.renamed(error, _name_of_call(call, unpack)), TransportError)
