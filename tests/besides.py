"""For plugins of pytest under which each manager has more than the tests ask for.

    tests/streamed.py   each start is a stream that is read to its end
    tests/limited.py    each manager has limits, none of which is ever reached
    tests/stateful.py   each manager has a worker_state, and its workers are replaced

They reach what the tests run themselves, what is forked there, and scripts; what is started by spawn or
forkserver they reach in scripts alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from scripts import Script


def reason_of(item: pytest.Item, reasons: Mapping[str, str]) -> str | None:
    """Of a test, by its name or by that of its function."""
    return reasons.get(item.name) or reasons.get(getattr(item, "originalname", item.name))


def apply(plugin: str, items: Iterable[pytest.Item], reasons: Mapping[str, str]) -> None:
    """Have the scripts of tests import it, too. reasons: Of tests to which it cannot apply: skipped."""
    for item in items:
        if reason := reason_of(item, reasons):
            item.add_marker(pytest.mark.skip(reason=f"does not apply: {reason}"))
    make = Script.__init__

    def make_with_plugin(script: Any, folder: Path, text: str) -> None:
        make(script, folder, f"import {plugin}{'' if text.startswith(chr(10)) else '; '}{text}")

    Script.__init__ = make_with_plugin  # type: ignore[method-assign]
