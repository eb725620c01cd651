"""A warning that names the user's line, wherever in the library it comes from."""

from __future__ import annotations

import contextlib
import sys
import warnings


def warn(text: str) -> None:
    """Tell the user once. Never raises, also where warnings are errors, or stderr is gone."""
    with contextlib.suppress(Exception):
        warnings.warn(text, RuntimeWarning, stacklevel=_levels_inside())


def _levels_inside() -> int:
    """How far up the stack, as `warnings.warn` counts, the first frame of the user's is."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back and str(frame.f_globals.get("__name__")).partition(".")[0] in _BETWEEN:
        level, frame = level + 1, frame.f_back
    return level


# What stands on the stack between a line of the user's and ours.
_BETWEEN = frozenset(
    [__name__.partition(".")[0], "asyncio", "concurrent", "contextlib", "functools", "threading"]
)
