"""Whether another process has locked a part of a file, found out without locking anything.

Linux tells, by F_GETLK, and has the layout of its question in all that have F_OFD_GETLK.  Elsewhere the
layout differs, or there is nobody to ask.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

_FLOCK = "hhqqi4x"  # type, whence, start, length, pid


def is_locked(path: Path, start: int, length: int) -> bool | None:
    """Whether another process writes there and lets nobody read; None: there is no way to ask.

    To close a file takes away all locks that this process itself has on it (POSIX has it so): not for a
    process that may have any.
    """
    if fcntl is None or not hasattr(fcntl, "F_OFD_GETLK"):
        return None
    question = struct.pack(_FLOCK, fcntl.F_RDLCK, os.SEEK_SET, start, length, 0)
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        answer = fcntl.fcntl(file, fcntl.F_GETLK, question)
    except OSError:  # of a file system without locks
        return None
    finally:
        os.close(file)
    return bool(struct.unpack(_FLOCK, answer)[0] != fcntl.F_UNLCK)
