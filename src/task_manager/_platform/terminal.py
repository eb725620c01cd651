"""Whether a terminal takes escape sequences: colours, and the cursor set up by some lines.

A console of Windows does after it was told to, from Windows 10 on.
"""

from __future__ import annotations

import os
from typing import Any, TextIO

try:
    import msvcrt
except ImportError:
    msvcrt = None  # type: ignore[assignment]

_TAKES_ESCAPES = 0x0004  # ENABLE_VIRTUAL_TERMINAL_PROCESSING


def takes_escapes(file: TextIO) -> bool:
    """Whether this is such a terminal. Never raises."""
    try:
        if not file.isatty() or os.environ.get("TERM") == "dumb":
            return False
        return msvcrt is None or _told(file)
    except (OSError, ValueError, AttributeError):
        return False


def _told(file: TextIO) -> bool:
    import ctypes

    kernel: Any = ctypes.windll.kernel32  # type: ignore[attr-defined, unused-ignore]
    handle = msvcrt.get_osfhandle(file.fileno())  # type: ignore[attr-defined, unused-ignore]
    mode = ctypes.c_ulong()
    if not kernel.GetConsoleMode(handle, ctypes.byref(mode)):
        return False
    return bool(kernel.SetConsoleMode(handle, mode.value | _TAKES_ESCAPES))
