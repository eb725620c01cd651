"""Holds back what signal handlers raise in a run, but where it waits or calls what is the user's.

Python runs a handler between any two steps of the main thread: the one of Ctrl-C, and whatever the
script has set up for SIGTERM, or for SIGALRM as a time limit.  What the handler raises would, between
two steps of a run's books, leave a task that is entered nowhere, or counted and not kept; and raised
in a call, it would be taken for the error of a healthy task.  So in a run each handler is called at
once, as ever, and what it raises is held back until the run comes to a safe place.
"""

from __future__ import annotations

import contextlib
import functools
import math
import signal
import threading
from collections.abc import Callable, Iterator
from time import monotonic  # bound here, as tests of other code stop the clock
from traceback import walk_tb
from types import CodeType, FrameType
from typing import Any, ParamSpec, TypeVar

from ._platform import after_fork

P = ParamSpec("P")
V = TypeVar("V")
Handler = Callable[[int, FrameType | None], object]

STUCK = 0.5  # seconds without a safe place since a signal came; then the next error is raised at once
REMEMBERED = 8  # errors out of handlers, the latest
DEEP = 20  # errors of a chain of contexts that are looked at

NUMBERS = tuple(signal.valid_signals())  # once: to ask takes longer than all the rest of `held`

_last_ctrl_c = -math.inf  # when SIGINT came last while some were active, by `monotonic`

_context: Any = vars(BaseException)["__context__"]  # whatever an error's class makes of the name

_wanted: list[list[BaseException]] = []  # for each handler that goes on, what is to be raised after it
_callers: set[CodeType] = set()
_active: list[HeldSignals] = []  # in the main thread, in the order of their beginnings
_raised: list[BaseException] = []  # by handlers, while some were active
# Those of them that were raised in code of the user's, and not seen since.
_inside: list[BaseException] = []
_copied = False  # this is a forked copy, in which no run has begun: what it leaves is not its own


def ctrl_c_since(moment: float) -> bool:
    """Whether a SIGINT has come in a run since then. asyncio makes a cancellation of it."""
    return _last_ctrl_c >= moment


class HeldSignals:
    """Owns the script's signal handlers for the time of one run, if that is in the main thread.

    Runs may lie within each other, and in an event loop beside each other: each wraps what it finds. The
    one that began last holds back, and hands to the one around it what it still has at its end.

    patience: Seconds without a safe place, from the first signal on, after which the next error is
        raised wherever it comes: the run may be stuck.
    allowed: What a handler raises may be raised now.
    ends_allowed: What is no Exception may be raised now. At the end of an event loop, which may wait
        long for threads, asyncio lets these through; an Exception it would swallow, and wait for ever.
    """

    def __init__(self, patience: float = STUCK) -> None:
        self.allowed: bool = False
        self.ends_allowed: bool = False
        self._patience = patience
        self._waiting: list[BaseException] = []
        self._since = math.inf  # when the first signal came since the last safe place
        self._handlers: dict[int, Handler] = {}
        self._over = False

    @contextlib.contextmanager
    def held(self) -> Iterator[HeldSignals]:
        """Hold back from here on, except where `through` or `allowed` says otherwise.

        May be done again when it is over, as by a run that lets its caller go on between two steps.
        """
        global _copied
        self._handlers, self._waiting = {}, []
        self._since, self._over = math.inf, False
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        try:
            try:
                # First: a handler that raises while others are still being replaced is `_take` already,
                # and looks here whether its run is the one that holds back.
                _active.append(self)
                _copied = False
                for number in NUMBERS:
                    handler = signal.getsignal(number)
                    if callable(handler):
                        self._handlers[number] = handler
                        signal.signal(number, self._take)
                yield self
            finally:
                self.ends_allowed = False
        finally:
            self._give_back()
            if _active and not _active[-1].allowed:
                _active[-1]._hold_back(*self._waiting)
            else:
                self.deliver()

    def through(self, function: Callable[P, V], *args: P.args, **options: P.kwargs) -> V:
        """Call the function, which a handler may interrupt: what is held back now, or what comes."""
        self.deliver()  # a signal between this and the next line waits for the next safe place
        self.allowed = True
        try:
            return function(*args, **options)
        finally:
            self.allowed = False

    @contextlib.contextmanager
    def let_in(self) -> Iterator[None]:
        """As `through`, for a block: one that awaits what holds back by itself."""
        self.deliver()
        self.allowed = True
        try:
            yield
        finally:
            self.allowed = False

    def deliver(self) -> None:
        """Raise what is held back, if there is anything."""
        self._since = math.inf
        if self._waiting:
            raise self._waiting.pop()

    def raise_after_handler(self, error: BaseException, innermost: bool) -> None:
        """Called in a handler of the script that has interrupted this run: it raises this at its end.

        Called elsewhere this does nothing, as in a handler that was set up since the run has begun.
        innermost: Only if no run that has begun later goes on, which would be met first.
        """
        if threading.current_thread() is not threading.main_thread() or not _wanted:
            return
        if self in _active[-1:] or (self in _active and not innermost):
            _wanted[-1][:] = [error]

    def forget(self, whose: Callable[[BaseException], bool]) -> None:
        """What is held back, and is like this, is not raised any more."""
        self._waiting[:] = [error for error in self._waiting if not whose(error)]

    def _take(self, number: int, frame: FrameType | None) -> None:
        """The handler in place of the script's."""
        global _last_ctrl_c
        now = monotonic()
        if number == signal.SIGINT:
            _last_ctrl_c = now
        _wanted.append([])
        try:
            self._handlers[number](number, frame)
            for error in _wanted[-1]:
                raise error
        except BaseException as error:
            if self._over:
                raise
            _remember(error)
            if not _active or _active[-1] is not self:
                raise
            if self._may_raise(error, now) or _in_a_call(frame):
                _inside[:] = [error]
                raise
            self._hold_back(error)
        finally:
            _wanted.pop()
            if not self.allowed:
                self._since = min(self._since, now)

    def _may_raise(self, error: BaseException, now: float) -> bool:
        stuck = now - self._since >= self._patience
        ends = self.ends_allowed and not issubclass(type(error), Exception)
        return self.allowed or stuck or ends

    def _hold_back(self, *errors: BaseException) -> None:
        """Keep it for later. Of two the later one is raised, as it would have been without us."""
        for error in errors:
            if self._waiting and self._waiting[0] is not error:
                _context.__set__(error, self._waiting[0])
            self._waiting[:] = [error]

    def _give_back(self) -> None:
        """Put the script's handlers in their places again.

        One that is back may be called, and raise, before the next one is: then the rest still has to be.
        """
        left = list(self._handlers)
        while left or self in _active:
            try:
                if self in _active:
                    _active.remove(self)
                while left:
                    self._put_back(left[-1])
                    left.pop()
            except BaseException as error:
                self._hold_back(error)
        self._over = True
        if not _active:
            _raised.clear()
            _inside.clear()

    def _put_back(self, number: int) -> None:
        handler = self._handlers[number]
        if signal.getsignal(number) == self._take:
            signal.signal(number, handler)
        for other in _active:  # one that has begun later and goes on
            if other._handlers.get(number) == self._take:
                other._handlers[number] = handler


def makes_calls(function: Callable[P, V]) -> Callable[P, V]:
    """Marks a coroutine function that calls the user's function in an event loop.

    There nothing can be allowed around the call, which takes turns with others. But where the call is
    just running, perhaps for long, a handler may raise as it would without us.
    """
    _callers.add(function.__code__)
    return function


def _in_a_call(frame: FrameType | None) -> bool:
    """Whether a signal came in code that was called by one that `makes_calls`, and not in ours."""
    inside = False
    while frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] != __package__:
        inside, frame = True, frame.f_back
    return inside and frame is not None and frame.f_code in _callers


def comes_from_a_handler(error: BaseException) -> bool:
    """Whether a signal handler of the script raised this error, and not the object that was used.

    It is so as well where the end of the script that a handler wanted, no Exception, was replaced by
    another error on its way out of that object, in a `finally` for instance.
    """
    if issubclass(type(error), Exception) and not _raised:
        return False  # soon said, as of each task that cannot be hashed
    if threading.current_thread() is not threading.main_thread():
        return False  # handlers are run in the main thread alone
    if not _active:
        return issubclass(type(error), (KeyboardInterrupt, SystemExit)) and _may_be_of_a_handler(error)
    if any(error is other for other in _raised):
        _inside.clear()
        return True
    before = _context.__get__(error) if _inside else None
    for _ in range(DEEP):
        if before is None:
            break
        if not issubclass(type(before), Exception) and any(before is other for other in _inside):
            _inside.clear()
            return True
        before = _context.__get__(before)
    return False


def _may_be_of_a_handler(error: BaseException) -> bool:
    """Where nothing is held back: whether it came through a line of one of the script's handlers.

    One that is not written in Python leaves no line, as the usual one for Ctrl-C. A copy that wants to
    end may do so by any line: the run that it was forked in is its parent's.
    """
    if _copied and signal.getsignal(signal.SIGINT) is not ignore_ctrl_c:
        return True
    codes = set()
    for handler in map(signal.getsignal, NUMBERS):
        if handler is signal.default_int_handler:
            if issubclass(type(error), KeyboardInterrupt):
                return True
        elif callable(handler) and not isinstance(handler, signal.Handlers):
            while isinstance(handler, functools.partial):
                handler = handler.func
            called: Any = getattr(handler, "__func__", handler)
            if not hasattr(called, "__code__"):  # an object with a method to be called, or no Python
                called = type(called).__dict__.get("__call__")
            if not hasattr(called, "__code__"):
                return True
            codes.add(called.__code__)
    return any(frame.f_code in codes for frame, _ in walk_tb(error.__traceback__))


def let_through(error: BaseException) -> None:
    """Raise this error again if it comes from a signal handler.

    To be called wherever any BaseException of an object of the user's is caught.
    """
    if comes_from_a_handler(error):
        raise error


def ignore_ctrl_c(number: int, frame: FrameType | None) -> None:
    """The handler of processes of ours. Other programs that they start would inherit SIG_IGN."""


def _remember(error: BaseException) -> None:
    if not any(error is other for other in _raised):
        _raised.append(error)
        del _raised[:-REMEMBERED]


def _in_a_copy() -> None:
    """In a forked child no run of the parent goes on: the script's handlers are its own again."""
    global _copied
    _copied = True
    for held in reversed(_active):
        held._waiting.clear()
        held._give_back()
        held._waiting.clear()


after_fork(_in_a_copy)
