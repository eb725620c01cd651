"""The kind of an error: what it is called, and the last line of the user's code that it came through.

An error of this process has its traceback. One of another process has it as a text, in its cause:
the kind is the same, wherever the function was called.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from types import CodeType, TracebackType
from typing import Any, NamedTuple

from ._repr import error_name, one_line
from ._signals import let_through
from .errors import TransportError

LONGEST = 100  # characters of a file's or a function's name
MOST_KNOWN = 256  # kinds that are remembered
LONGEST_KNOWN = 5000  # characters of a traceback whose place is remembered
DEEPEST = 5  # causes that are asked for a place, where the error itself has none


class Kind(NamedTuple):
    """What errors have in common that are the same trouble.

    name: Of the type: "ValueError", "requests.exceptions.ConnectionError".
    place: "crawl.py:12 in fetch": the last line of the user's code, and where there is none, as with a
        function out of a library, the last line at all. "": nobody knows, as after a worker's death.
    """

    name: str
    place: str


def kind_of(error: BaseException) -> Kind:
    """The kind of an error. Never raises, whatever its class makes of being asked.

    Errors of one type that come through one line are of one kind: it is looked up then, as where
    everything fails each failure is asked for it twice.
    """
    if type(error) is TransportError and error.what == "error":  # it stands for one that was lost
        return Kind(f"{one_line(error.type_name)} (as a TransportError)", _place_or_none(error))
    try:
        entry = _entry_in(_TRACEBACK.__get__(error))
        if entry is not None:
            return _kind_at(type(error), entry)
    except BaseException as broken:
        let_through(broken)
    return Kind(error_name(type(error)), _place_or_none(error))


def _kind_at(raised: type[BaseException], entry: TracebackType) -> Kind:
    code, line = entry.tb_frame.f_code, entry.tb_lineno or 0
    known = _known.get((id(raised), id(code), line))
    if known is not None:
        return known[0]
    while len(_known) >= MOST_KNOWN:
        for oldest in list(_known)[:1]:
            _known.pop(oldest, None)  # another thread may have been here
    kind = Kind(error_name(raised), _place(code.co_filename, line, code.co_name))
    _known[id(raised), id(code), line] = kind, raised, code  # which are kept: their ids stay their own
    return kind


def _place_or_none(error: BaseException) -> str:
    try:
        return _place_of(error)
    except BaseException as broken:
        let_through(broken)
        return ""


def _place_of(error: BaseException) -> str:
    """Where the error itself was raised; where nobody knows, where what it came of was."""
    for _ in range(DEEPEST):
        entry = _entry_in(_TRACEBACK.__get__(error))
        if entry is not None:
            code = entry.tb_frame.f_code
            return _place(code.co_filename, entry.tb_lineno or 0, code.co_name)
        text = text_in(error)
        look = _place_in_text if len(text) <= LONGEST_KNOWN else _place_in_text.__wrapped__
        place = look(text)
        cause = _CAUSE.__get__(error)
        if place or cause is None:
            return place
        error = cause
    return ""


def text_in(error: BaseException) -> str:
    """The traceback of another process, where this error has that in its hands."""
    for one in (error, _CAUSE.__get__(error)):
        for name in ("text", "traceback"):  # of a WorkerTraceback; of a TransportError
            text = None if one is None else one.__dict__.get(name)
            if type(text) is str and _HEAD.search(text):
                return _without_message(text, error)
    return ""


def _without_message(text: str, error: BaseException) -> str:
    """A message may have a traceback in it, as that of a program which the function has called."""
    for said in (str(error), error.__dict__.get("message")):  # the second one of a TransportError
        if type(said) is str and said:
            if text.endswith(f"{said}\n"):
                text = text[: -len(said) - 1]
            elif _HEAD.search(said):
                text = text.rpartition(said)[0] or text
    return text


def _entry_in(entry: TracebackType | None) -> TracebackType | None:
    """The last line of the user's code in a traceback, or else of a library's."""
    last = users = None
    while entry is not None:
        whose = owner_of(entry.tb_frame.f_code.co_filename)
        if whose != OURS:
            last = entry
        if whose == USERS:
            users = entry
        entry = entry.tb_next
    return users or last


def lines_in(text: str) -> Iterator[str]:
    """The lines of the last traceback in a text, between its head and the message."""
    head = None
    for head in _HEAD.finditer(text):  # noqa: B007 - the last one is what is looked for
        pass
    if head is None:
        return
    inside = "  | " if head[0].startswith(" ") else ""  # a group's is drawn within a frame
    for line in text[head.end() :].splitlines():
        if not line.startswith(f"{inside}  "):
            return  # the message, which may look like anything
        yield line[len(inside) :]


@lru_cache(maxsize=100)
def _place_in_text(text: str) -> str:
    """The same out of a formatted traceback: the last one in it is that of the error itself."""
    last = users = None
    for line in lines_in(text):
        found = ENTRY.fullmatch(line)
        whose = OURS if found is None else owner_of(found["file"])
        if whose != OURS:
            last = found
        if whose == USERS:
            users = found
    found = users or last
    return "" if found is None else _place(found["file"], int(found["line"]), found["function"])


@lru_cache(maxsize=1000)
def _place(file: str, line: int, function: str) -> str:
    folder, name = os.path.split(file)
    if _CELL.search(folder):  # of a notebook: a file with the name of a hash
        name = "cell"
    return one_line(f"{name[:LONGEST]}:{line} in {function[:LONGEST]}")


@lru_cache(maxsize=1000)
def owner_of(file: str) -> int:
    """Whose code stands in a file: the user's, a library's or Python's, or ours."""
    if file.startswith(_OUR_FOLDER):
        return OURS
    if file.startswith((_PYTHONS_FOLDER, "<frozen ")) or _INSTALLED.search(file):
        return LIBRARY
    return USERS


USERS, LIBRARY, OURS = range(3)
_HEAD = re.compile(r"^(?:  \+ Exception Group )?Traceback \(most recent call last\):\n", re.MULTILINE)
ENTRY = re.compile(r'  File "(?P<file>.+)", line (?P<line>\d+), in (?P<function>.+)')
_INSTALLED = re.compile(r"[\\/](?:site|dist)-packages[\\/]")
_CELL = re.compile(r"[\\/]ipykernel_\d+$")
_OUR_FOLDER, _PYTHONS_FOLDER = (f"{Path(file).parent}{os.sep}" for file in (__file__, os.__file__))
_TRACEBACK: Any = vars(BaseException)["__traceback__"]
_CAUSE: Any = vars(BaseException)["__cause__"]
_known: dict[tuple[int, int, int], tuple[Kind, type, CodeType]] = {}
