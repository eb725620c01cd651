"""Signals that wait, or that are not to come: where there are masks. Elsewhere none is held up.

Windows has no masks.  A Ctrl-C there reaches every process of the console, those of ours among them:
one that is just being started ends of it, with its own traceback.  Nothing is lost by that, as it is
the end of the run.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterable, Iterator

MASKS = hasattr(signal, "pthread_sigmask")

_blocked_at_start: list[int] = []  # signals that were blocked for the last fork, and were not before


@contextlib.contextmanager
def blocked(numbers: Iterable[int]) -> Iterator[None]:
    """None of these reaches this thread in this block, nor a process that is started in it.

    At its end the mask is as before, whatever was done to it meanwhile.
    """
    if not MASKS:
        yield
        return
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextlib.contextmanager
def blocked_for_start(forked: bool) -> Iterator[None]:
    """No signal that the script handles reaches a process that is forked in this block.

    It has them blocked until it calls `unblock_after_start`. A service that is told to stop is told so
    with its whole group: the script's handler would run in the child as well, and what it raises there,
    Python's at-fork callbacks swallow.
    """
    if not MASKS:
        yield
        return
    numbers: set[int] = set()
    if forked:
        numbers = {number for number in signal.valid_signals() if callable(signal.getsignal(number))}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    # Before the fork, as the child reads it in its copy of this memory. Starts come one at a time.
    _blocked_at_start[:] = numbers - set(before)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _blocked_at_start)


def unblock_after_start() -> None:
    """In a process of ours, with its own handlers in place: what was blocked for its start may come."""
    if MASKS:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGPIPE, *_blocked_at_start})


@contextlib.contextmanager
def without_sigpipe() -> Iterator[None]:
    """A write into a pipe without a reader is an error here, whatever the script does with SIGPIPE.

    Without that signal it is an error anyway.
    """
    number = getattr(signal, "SIGPIPE", None)
    if not MASKS or number is None or signal.getsignal(number) is signal.SIG_IGN:
        yield
        return
    came_before = number in signal.sigpending()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        # Before the unblocking: what our own write has caused would be delivered there.
        if not came_before and number in signal.sigpending():
            signal.sigwait({number})
        if number not in mask:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
