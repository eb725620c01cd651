"""Whose a file is: one that others may have written is not to be believed, and ours are for us alone.

A system without POSIX's owners and modes tells neither, and its files are taken as they are.
"""

from __future__ import annotations

import os
from pathlib import Path

HAS_OWNERS = hasattr(os, "geteuid")
_OTHERS_WRITE = 0o022  # group or others; an access list that lets anyone write shows as the group's


def foreign_hands(found: os.stat_result) -> str | None:
    """Who else may have written this file, "another user owns it (uid 5)"; None: nobody."""
    if not HAS_OWNERS:
        return None
    if found.st_uid != os.geteuid():
        return f"another user owns it (uid {found.st_uid})"
    if found.st_mode & _OTHERS_WRITE:
        return f"others can write it (mode {found.st_mode & 0o777:04o})"
    return None


def may_use(path: Path, mode: int) -> bool:
    """Whether this process may; mode: As of `os.access`, which asks for the user who has logged in."""
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def make_private(path: Path) -> None:
    """A new, empty file that this user alone can read and write, whatever the umask.

    Raises FileExistsError where there is one, or a link.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
    try:
        if hasattr(os, "fchmod"):
            os.fchmod(fd, 0o600)  # a umask may have taken our own bits
    finally:
        os.close(fd)
