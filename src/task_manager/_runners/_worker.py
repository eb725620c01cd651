"""The life of a worker process."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from .. import _wire
from .._call import NEVER, TOO_LONG, Slot, call_batch, clock, invoker
from .._channel import receive_frame, send_frame
from .._fork import this_process
from .._processes import kill_own_group, settle_in
from .._task import Outcomes, Unrun
from ..errors import TransportError
from ._slot import SharedSlot

READY = b"ready"  # what a worker says first
GOODBYE = b"goodbye"  # what is said to one that may end in peace


class Report(NamedTuple):
    """What a worker sends home: the outcomes of the next attempts of the batch in its hands.

    Without any, it gives the rest of the batch back.

    plain, cells: The results as a Column.
    failures: By the worker's position in the batch, ErrorCells.
    aside: Seconds that the results took to be pickled.
    """

    plain: bool
    cells: list[Any]
    failures: dict[int, _wire.ErrorCell]
    seconds: list[float]
    aside: float


def work(pipe: socket.socket, packed_function: bytes) -> None:
    """Take batches from the pipe and send reports, until the other side says goodbye or is gone."""
    settle_in()
    worker = this_process()
    try:
        _serve(pipe, packed_function)
    except (ConnectionError, EOFError):  # the parent is gone; nobody is there to be told anything
        kill_own_group()
    finally:
        if worker is not this_process():  # a copy that the user's function has forked, and let return
            os._exit(0)


def _serve(pipe: socket.socket, packed_function: bytes) -> None:
    """The same. Raises EOFError or a ConnectionError when the other side is gone without a goodbye."""
    shared = SharedSlot.receive(pipe)
    slot = shared.cells
    # In a copy of this process the next write to the slot fails, at the latest after the call.
    os.register_at_fork(after_in_child=slot.release)
    try:
        func = _wire.loads(packed_function)
    except BaseException as error:
        send_frame(pipe, _wire.dumps(_wire.cannot_load("function", error)))
        return

    send_frame(pipe, READY)
    base = 0
    while (frame := receive_frame(pipe)) != GOODBYE:
        if frame is None:
            raise EOFError
        unpack, *packed = _wire.loads(frame)
        column = _wire.Column(*packed)
        invoke = invoker(func, unpack) if column.plain else _loading(invoker(func, unpack))
        numbers = range(base, base + len(column.cells))
        for outcomes in call_batch(invoke, column.cells, slot, numbers, patience=TOO_LONG):
            slot[1] = began = clock()  # pickling has the time of a call; sending depends on the parent
            for report in _reports_of(outcomes, slot, base):
                packed_report = _wire.dumps((*report, clock() - began))
                slot[1] = NEVER
                send_frame(pipe, packed_report)
                slot[1] = began = clock()
            slot[1] = NEVER
            del report, packed_report
        base += len(column.cells)
        del frame, packed, column, outcomes


def _reports_of(outcomes: Outcomes | Unrun, slot: Slot, base: int) -> Iterator[tuple[Any, ...]]:
    """The outcomes as the fields of reports, all but the last; more than one if they are large."""
    if isinstance(outcomes, Unrun):
        yield True, [], {}, []
        return
    positions = outcomes.positions
    values = _wire.pack_values(outcomes.values, slot, [base + position for position in positions])
    failures = {}
    for position, failure in outcomes.failures.items():
        slot[0] = base + position  # pickling an error may kill this process, as a result may
        failures[position] = tuple(_wire.pack_failure(failure))
    for share in _wire.shares(values):
        part = {place: failures[place] for place in positions[share] if place in failures}
        yield values.plain, values.cells[share], part, outcomes.seconds[share]


def _loading(invoke: Callable[[Any], Any]) -> Callable[[bytes], Any]:
    """The same for a call that is a pickle of its own."""

    def load_and_invoke(packed: bytes) -> Any:
        try:
            call = _wire.loads(packed)
        except BaseException as error:
            raise TransportError("argument", _wire.name_of(type(error)), _wire.text_of(error)) from error
        return invoke(call)

    return load_and_invoke
