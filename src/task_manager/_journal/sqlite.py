"""SQLite, as Python has it. One that was built without it does all but open a journal."""

from __future__ import annotations

try:
    import sqlite3 as sqlite3
except ImportError:  # there were no headers of SQLite where this Python was built
    sqlite3 = None  # type: ignore[assignment]

OLDEST = (3, 24)  # which knows INSERT ... ON CONFLICT


def what_is_missing() -> str | None:
    """Why there can be no journal; None: there can be."""
    if sqlite3 is None:
        return "needs the module sqlite3, and this Python was built without it"
    if sqlite3.sqlite_version_info < OLDEST:
        found = sqlite3.sqlite_version
        return f"needs SQLite {'.'.join(map(str, OLDEST))} or newer; this Python has {found}"
    return None
