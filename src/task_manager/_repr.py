"""How a task is shown in the log: in one line, of a bounded length, whatever it is."""

from __future__ import annotations

import reprlib
from typing import Any

LONGEST = 200

_exact = frozenset({int, float, bool, type(None)})  # short by nature, and most tasks


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 4
        self.maxtuple = self.maxlist = self.maxdict = self.maxset = self.maxfrozenset = 10
        self.maxdeque = self.maxarray = 10
        self.maxstring = self.maxother = LONGEST

    def repr_bytes(self, value: bytes, level: int) -> str:
        return repr(value) if len(value) <= LONGEST else f"{value[:LONGEST]!r}..."

    def repr_instance(self, value: Any, level: int) -> str:
        try:
            text = repr(value)
        except Exception:
            return f"<unreprable {type(value).__qualname__}>"
        return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


_short = _Short().repr


def short_repr(value: Any) -> str:
    """The repr of a value, cut and on one line; `<unreprable T>` where it has none."""
    try:
        text = repr(value) if type(value) in _exact else _short(value)
    except Exception:
        return f"<unreprable {type(value).__qualname__}>"
    if len(text) > 4 * LONGEST:
        text = f"{text[: 4 * LONGEST - 3]}..."
    return " ".join(text.splitlines()) if "\n" in text or "\r" in text else text
