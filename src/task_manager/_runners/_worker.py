"""The life of a worker process."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any, NamedTuple

from .. import _wire
from .._call import NEVER, call_batch, clock, invoker
from .._channel import receive_frame, send_frame
from .._processes import kill_own_group, settle_in
from ..errors import TransportError
from ._slot import SharedSlot

READY = b"ready"  # what a worker says first
GOODBYE = b"goodbye"  # what is said to one that may end in peace


class Report(NamedTuple):
    """What a worker sends home: the outcomes of the next attempts of the batch in its hands.

    plain, cells: The results as a Column.
    failures: By the worker's position in the batch, ErrorCells.
    """

    plain: bool
    cells: list[Any]
    failures: dict[int, _wire.ErrorCell]
    seconds: list[float]


def work(pipe: socket.socket, packed_function: bytes) -> None:
    """Take batches from the pipe and send reports, until the other side says goodbye or is gone."""
    settle_in()
    worker = os.getpid()
    try:
        _serve(pipe, packed_function)
    except (ConnectionError, EOFError):  # the parent is gone; nobody is there to be told anything
        kill_own_group()
    finally:
        if os.getpid() != worker:  # a copy that the user's function has forked, and let return
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
        for outcomes in call_batch(invoke, column.cells, slot, base):
            slot[1] = clock()  # pickling has the time of a call; sending depends on the parent
            numbers = [base + position for position in outcomes.positions]
            values = _wire.pack_values(outcomes.values, slot, numbers)
            failures = {}
            for position, failure in outcomes.failures.items():
                slot[0] = base + position  # pickling an error may kill this process, as a result may
                failures[position] = tuple(_wire.pack_failure(failure))
            report = _wire.dumps((*values, failures, outcomes.seconds))
            slot[1] = NEVER
            send_frame(pipe, report)
        base += len(column.cells)
        del frame, packed, column, outcomes, values, failures, report


def _loading(invoke: Callable[[Any], Any]) -> Callable[[bytes], Any]:
    """The same for a call that is a pickle of its own."""

    def load_and_invoke(packed: bytes) -> Any:
        try:
            call = _wire.loads(packed)
        except BaseException as error:
            raise TransportError("argument", _wire.name_of(type(error)), _wire.text_of(error)) from error
        return invoke(call)

    return load_and_invoke
