"""Where the files of ours sit: none is one of the three standard ones.

A script may start with its files 0 to 2 closed, as some daemons do.  The next socket would then be
number 2, and what any library says on stderr would be sent to a worker, or taken for its report.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

from .._platform import after_fork

STANDARD = 3  # files: stdin, stdout, stderr

_counting = threading.Lock()
_blocks = 0  # that are being executed now
_placeholders: list[int] = []


def _begin_anew() -> None:
    """In a forked child: what holds the places is its own now, for good."""
    global _counting, _blocks
    _counting = threading.Lock()
    _blocks = 0
    _placeholders.clear()


after_fork(_begin_anew)


def take_standard_files() -> list[int]:
    """Open /dev/null at each of the three places that is free; the places that were."""
    taken: list[int] = []
    with contextlib.suppress(OSError):  # there is no /dev/null, or no file can be opened: so be it
        while (fd := os.open(os.devnull, os.O_RDWR)) < STANDARD:
            os.set_inheritable(fd, True)  # for a fork server that is started now, and its children
            taken.append(fd)
        os.close(fd)
    return taken


@contextlib.contextmanager
def standard_files_taken() -> Iterator[None]:
    """The three places are taken during this block, so that nothing which is opened in it gets one.

    A process that is forked in it keeps them. Several threads may be in such a block: the last one to
    leave frees the places.
    """
    global _blocks
    with _counting:
        _blocks += 1
        _placeholders.extend(take_standard_files())
    try:
        yield
    finally:
        with _counting:
            _blocks -= 1
            while not _blocks and _placeholders:
                os.close(_placeholders.pop())
