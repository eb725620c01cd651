"""A parcel where it has arrived: the calls are made there, and the outcomes packed, each by itself."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import util
from typing import Any, NamedTuple

from .._call import IDLE, NEVER, call_batch, clock, invoker
from .._platform import end_with_parent, parent_pid, this_process
from .._processes import wire
from .._processes.report import HEAVY, reports_of
from .._processes.worker import loading
from .._signals import let_through
from .._stop import exhaust
from .._task import Failure, Outcomes, Unrun
from ..errors import TaskTimeoutError, WorkerStartError
from .states import States
from .timed import timed_calls

MOST_FUNCTIONS = 8  # that a process of an executor keeps: a script has a few managers

Whereabouts = tuple[str, int, int]  # the machine, the process, the thread
Items = list[tuple[list[int], list[int], list[bytes]]]


class Terms(NamedTuple):
    """How the calls of a parcel are made. patience: As of `call_batch`. task_timeout: None: no limit."""

    patience: float
    task_timeout: float | None


class Known(NamedTuple):
    """What is called in this process. states: Of its workers; None: it wants none."""

    func: Callable[..., Any]
    states: States | None


class Packed:
    """Attempts that have come from another process.

    home: Where they have come from. name, function: As `Function` has them; None: it has been here, by
        this name. plain, cells: As a Column. unpack: The calls are tuples.
    """

    def __init__(
        self,
        home: Whereabouts,
        name: bytes,
        function: bytes | None,
        unpack: bool,
        plain: bool,
        cells: list[Any],
        terms: tuple[float, float | None],
    ) -> None:
        self.home = home
        self.name = name
        self.function = function
        self.unpack = unpack
        self.plain = plain
        self.cells = cells
        self.terms = Terms(*terms)

    def make_calls(self) -> bytes:
        """The outcomes, as `opened` of a Parcel understands them."""
        began = clock()
        _end_with(self.home)
        refusal, cause = "", None
        items: Items | None = []  # None: the function has not been here, or is gone
        try:
            known = _known(self.name, self.function) if self.function != b"" else None
        except BaseException as error:
            let_through(error)
            refusal = wire.cannot_load("function", error)
        else:
            if known is not None:
                try:
                    with deaf_to_ctrl_c():
                        items = called_with_state(known, self._items)
                except WorkerStartError as error:
                    refusal, why = str(error), error.__cause__
                    cause = None if why is None else tuple(wire.pack_failure(Failure(why, type(why))))
            elif self.function is None:
                items = None
        return wire.dumps((refusal, cause, whereabouts(), began, clock(), items))

    def _items(self, func: Callable[..., Any]) -> Iterator[tuple[list[int], list[int], list[bytes]]]:
        """The first position and the frames of outcomes; or what is given back, and what was begun."""
        home = this_process()
        invoke = invoker(func, self.unpack)
        if not self.plain:
            invoke = loading(invoke)
        taking, weight = iter(self.cells), 0
        slot = [IDLE, NEVER, IDLE]  # its last cell is for reports alone
        for part in calls_of(invoke, self.cells, slot, taking, self.terms, lambda: False):
            if home is not this_process():  # the function has forked, and the child returned
                os._exit(0)
            if isinstance(part, Unrun):
                yield list(part.positions), list(part.begun), []
                continue
            leave_state_alone_if_late(part)
            frames = [frame for frame, _ in reports_of(part, slot, 0)]
            weight += sum(map(len, frames))
            if weight > HEAVY:
                exhaust(taking)
            yield [part.positions[0]], [], frames
            del part, frames


def make_calls(parcel: Any) -> Any:
    """What an executor is given to call, with a Parcel or, elsewhere, a Packed."""
    return parcel.make_calls()


def ready(_: None = None) -> bool:
    """What an executor is given first: that it has come up is known by the answer."""
    return True


@contextlib.contextmanager
def deaf_to_ctrl_c() -> Iterator[None]:
    """The terminal tells all processes of a script; the one with the run decides what comes of it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    try:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    except ValueError:  # the main thread of a subinterpreter, which has no signals
        yield
        return
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)


def whereabouts() -> Whereabouts:
    return socket.gethostname(), os.getpid(), threading.get_ident()


def _end_with(home: Whereabouts) -> None:
    """Where the process of the run is the parent of this one: end when it is gone, as no pool does."""
    global _watching
    if _watching is this_process():
        return
    _watching = this_process()
    if home[:2] == (socket.gethostname(), parent_pid()):
        end_with_parent()


def called_with_state(known: Known, calls: Callable[[Callable[..., Any]], Iterator[Any]]) -> list[Any]:
    """All that comes of the calls, made with the state of this thread where one is wanted."""
    if known.states is None:
        return list(calls(known.func))
    with known.states.of_this_thread() as state:
        _here.states = known.states
        try:
            return list(calls(partial(known.func, state)))
        finally:
            _here.states = None


def leave_state_alone_if_late(part: Outcomes) -> None:
    """One of these goes on with the state of this thread, in a thread that was left alone."""
    if any(failure.kind is TaskTimeoutError for failure in part.failures.values()):
        states: States | None = getattr(_here, "states", None)
        if states is not None:
            states.leave_alone()


def calls_of(
    invoke: Callable[[Any], Any],
    calls: list[Any],
    slot: list[float],
    taking: Iterator[Any],
    terms: Terms,
    stopped: Callable[[], bool],
) -> Iterator[Outcomes | Unrun]:
    if terms.task_timeout is not None:
        return timed_calls(invoke, calls, terms.task_timeout, stopped)
    return call_batch(invoke, calls, slot, patience=terms.patience, taking=taking)


_watching: object = None  # the process that has looked whose child it is
_here = threading.local()
_functions: OrderedDict[bytes, Known] = OrderedDict()
_lock = threading.Lock()


def _known(name: bytes, packed: bytes | None) -> Known | None:
    """The function and its states, once in a process: it may be heavy, and batches are many.

    packed: None: it is to be here already. Answers None if it is not.
    """
    with _lock:
        if name in _functions:
            _functions.move_to_end(name)
            return _functions[name]
        if packed is None:
            return None
        func, make = wire.loads(packed)
        known = Known(wire.loads(func), None if make is None else States(wire.loads(make)))
        _functions[name] = known
        _close_at_end(known)
        old = [_functions.popitem(last=False)[1] for _ in range(len(_functions) - MOST_FUNCTIONS)]
    for one in old:
        if one.states is not None:
            one.states.close()
    return known


def forget(name: bytes) -> None:
    """The manager of this function is closed: its states here are cleaned up."""
    with _lock:
        known = _functions.pop(name, None)
    if known is not None and known.states is not None:
        known.states.close()


def _close_states() -> None:
    for known in list(_functions.values()):
        if known.states is not None:
            known.states.close()


def _close_at_end(known: Known) -> None:
    """When this process ends, also one of multiprocessing: there is no atexit in that."""
    global _ends
    if known.states is not None and _ends is not this_process():
        _ends = this_process()
        util.Finalize(None, _close_states, exitpriority=10)


_ends: object = None  # the process whose end is taken care of
