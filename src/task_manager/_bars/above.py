"""What is printed while bars are drawn comes above them, in whole lines, as by tqdm.write.

As long as a bar is drawn in a terminal, sys.stdout and sys.stderr are an `Above` each, if they are that
same terminal; afterwards they are what they were.  One that somebody still holds then, or has put
back later, hands on what comes.

 * In another thread: under the lock that the bars are drawn with.
 * From tqdm itself, which has the lock then, as for a bar of the user's within ours: handed on as it is.
 * In a forked child: the bar is the parent's. The child clears the line that the bar stands in, with the
   same write that writes its own, and the parent draws the bar anew below.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from typing import Any

from .._platform import after_fork, this_process

_CLEARED = "\r\x1b[J"  # from the beginning of the line to the end of the screen
_NAMES = ("stdout", "stderr")

_switch = threading.Lock()
_guards: set[Guard] = set()
_replaced: dict[str, Above] = {}
_home = this_process()


class Guard:
    """The time in which a bar is drawn.

    kind: The class of the bar. file: What it is drawn on; None: on sys.stderr.
    """

    def __init__(self, kind: Any, file: Any) -> None:
        stream = unwrapped(sys.stderr if file is None else file)
        with _switch:
            _begin_anew_in_a_copy()
            _guards.add(self)
            for name in _NAMES:
                found = getattr(sys, name, None)
                if isinstance(found, Above):
                    found.kind = kind
                    _replaced[name] = found
                elif same_terminal(found, stream):
                    _replaced[name] = Above(found, kind)
                    setattr(sys, name, _replaced[name])

    def end(self) -> None:
        """The bar is closed. The last one puts everything back."""
        with _switch:
            _guards.discard(self)
            if _guards or _home is not this_process():
                return
            replaced = list(_replaced.items())
            _replaced.clear()
            for name, stream in replaced:
                if getattr(sys, name, None) is stream:  # unless somebody has redirected it since
                    setattr(sys, name, stream.wrapped)
        for _, stream in replaced:
            with contextlib.suppress(Exception):
                stream.finish()


def _begin_anew_in_a_copy() -> None:
    """A process that was forked while a bar was drawn has none of its own yet."""
    global _home
    if _home is not this_process():
        _home = this_process()
        _guards.clear()


class Above:
    """A stream that writes above the bars, and is in all else the one that it was made of.

    kind: The class of the bars.
    """

    def __init__(self, stream: Any, kind: Any) -> None:
        self._wrapped = stream  # by this name tqdm looks for what is inside
        self.kind = kind
        self._unfinished = ""  # a line that has no end yet
        # Asks whether this thread has the lock: whoever has it not may not notify.
        self._asked = threading.Condition(kind.get_lock())

    @property
    def wrapped(self) -> Any:
        """The stream itself."""
        return self._wrapped

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)

    def __eq__(self, other: object) -> bool:
        return bool(self._wrapped == getattr(other, "_wrapped", other))

    def __hash__(self) -> int:
        return hash(self._wrapped)

    def write(self, text: str) -> int:
        """Whole lines at once; what has no end yet, when it is flushed or has one."""
        if not isinstance(text, str) or not _guards or "\r" in text or self._tqdm_writes():
            self.finish()
            written: int = self._wrapped.write(text)
            return written
        if _home is not this_process():
            self._write_in_a_copy(text)
            return len(text)
        with self.kind.get_lock():
            whole, end, self._unfinished = (self._unfinished + text).rpartition("\n")
            if end:
                self._write_above(whole + end)
        return len(text)

    def writelines(self, lines: Any) -> None:
        """As `write`."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Also a line without an end is shown, as a question is: until the bar is drawn again."""
        if self._unfinished and _guards and not self._tqdm_writes():
            if _home is not this_process():
                self._wrapped.write(_CLEARED + self._unfinished)
            else:
                with self.kind.get_lock():
                    self._show_unfinished()
        self._wrapped.flush()

    def finish(self) -> None:
        """Write what has no end: no bar is drawn any more."""
        text, self._unfinished = self._unfinished, ""
        if text:
            self._wrapped.write(text)

    def _write_above(self, text: str) -> None:
        with self.kind.external_write_mode(file=self):
            self._wrapped.write(text)
            self._wrapped.flush()

    def _show_unfinished(self) -> None:
        for bar in list(self.kind._instances):  # noqa: SLF001 - tqdm's; they are not to be drawn anew now
            if getattr(bar, "fp", None) == self or getattr(bar, "fp", None) == sys.stderr:
                bar.clear()
        self._wrapped.write(self._unfinished)

    def _write_in_a_copy(self, text: str) -> None:
        whole, end, self._unfinished = (self._unfinished + text).rpartition("\n")
        if end:
            self._wrapped.write((_CLEARED if is_terminal(self._wrapped) else "") + whole + end)
            self._wrapped.flush()

    def _tqdm_writes(self) -> bool:
        try:
            self._asked.notify()
        except RuntimeError:
            return False
        return True


def _in_a_copy() -> None:
    """The thread that held the lock does not exist here."""
    global _switch
    _switch = threading.Lock()


after_fork(_in_a_copy)


def unwrapped(stream: Any) -> Any:
    """The stream that writes to the terminal itself."""
    return stream.wrapped if isinstance(stream, Above) else stream


def is_terminal(stream: Any) -> bool:
    """Whether somebody looks at it who can be shown a moving bar. Never raises."""
    try:
        return bool(stream.isatty())
    except Exception:
        return False


def same_terminal(one: Any, other: Any) -> bool:
    """Whether both are terminals, and the same one. Never raises."""
    if not (is_terminal(one) and is_terminal(other)):
        return False
    try:
        return os.fstat(one.fileno()).st_rdev == os.fstat(other.fileno()).st_rdev
    except Exception:  # no file of the system's, as in a window of an editor
        return one is other
