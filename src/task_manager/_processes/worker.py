"""What a worker process does: it takes batches, makes the calls, and reports what came of them."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any

from .._call import TOO_LONG, Slot, call_batch, invoker
from .._platform import end_with_group, this_process
from .._state import State, set_up
from .._stop import exhaust
from .._task import Failure
from ..errors import WorkerStartError
from . import wire
from .arguments import unnamed
from .channel import receive_frame, send_frame
from .report import StateRefusal, reports_of
from .slot import STOPPED

UP = b"up"  # what a worker says first that has a state to make
READY = b"ready"  # what a worker says when it can take batches
GOODBYE = b"goodbye"  # what a worker is told that is to end by itself
GROUP = 32  # calls of less than a millisecond each, between two looks whether the run is stopped


def work(
    pipe: socket.socket, slot: Slot, packed_function: bytes, packed_maker: bytes | None = None
) -> None:
    """Take batches from the pipe and send reports, until the other side says goodbye or is gone.

    slot: Tells the parent which call is the current one. packed_maker: Makes the state, if there is one.
    """
    worker = this_process()
    try:
        _serve(pipe, slot, packed_function, packed_maker)
    except (ConnectionError, EOFError):  # the parent is gone
        end_with_group()
    finally:
        if worker is not this_process():  # a copy that the user's function has forked, and let return
            os._exit(0)


def _serve(pipe: socket.socket, slot: Slot, packed_function: bytes, packed_maker: bytes | None) -> None:
    """The same. Raises EOFError or a ConnectionError when the other side is gone without a goodbye."""
    try:
        func = wire.loads(packed_function)
        make = None if packed_maker is None else wire.loads(packed_maker)
    except BaseException as error:
        send_frame(pipe, wire.dumps(wire.cannot_load("function", error)))
        return

    state: State | None = None
    if make is not None:
        send_frame(pipe, UP)
        try:
            state = set_up(make)
        except WorkerStartError as error:
            cause = error.__cause__
            cell = None if cause is None else wire.pack_failure(Failure(cause, type(cause)))
            send_frame(pipe, wire.dumps(StateRefusal(str(error), cell)))
            return
        func = partial(func, state.value)
    send_frame(pipe, READY)
    base = 0
    while (frame := receive_frame(pipe)) != GOODBYE:
        if frame is None:
            raise EOFError
        run, unpack, *packed = wire.loads(frame)
        del frame
        column = wire.Column(*packed)
        invoke = invoker(func, unpack) if column.plain else loading(invoker(func, unpack))
        numbers = range(base, base + len(column.cells))
        taking = chain.from_iterable(_until_stopped(column.cells, slot, run))
        for outcomes in call_batch(
            invoke, column.cells, slot, numbers, patience=TOO_LONG, taking=taking
        ):
            for report, note in reports_of(outcomes, slot, base):
                send_frame(pipe, report, note)
            del report, note
            if slot[STOPPED] >= run:  # after each slow call
                exhaust(taking)
        base += len(column.cells)
        del packed, column, outcomes, taking
    if state is not None and (wrong := state.clean_up()):
        send_frame(pipe, wire.dumps(wrong))


def _until_stopped(calls: Sequence[Any], slot: Slot, run: int) -> Iterator[Sequence[Any]]:
    """The calls in groups, as long as the run is not stopped. A look for each call would cost 4 %."""
    for first in range(0, len(calls), GROUP):
        if slot[STOPPED] >= run:
            return
        yield calls[first : first + GROUP]


def loading(invoke: Callable[[Any], Any]) -> Callable[[bytes], Any]:
    """The same for a call that is a pickle of its own."""

    def load_and_invoke(packed: bytes) -> Any:
        try:
            call = wire.loads(packed)
        except BaseException as error:
            raise unnamed(error) from error
        return invoke(call)

    return load_and_invoke
