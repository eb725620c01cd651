"""Tells a process from a copy of it that somebody has forked.

The pid would tell it as well, unless `os.getpid` is mocked just then, as tests of other code do: then
a worker thread took itself for a copy, and ended the whole process.
"""

from __future__ import annotations

import os

_here = object()


def this_process() -> object:
    """The same object at every call in one process, and another one in a copy of it."""
    return _here


def _in_a_copy() -> None:
    global _here
    _here = object()


os.register_at_fork(after_in_child=_in_a_copy)
