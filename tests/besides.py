"""For plugins of pytest that run tests under more than these ask for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest


def reason_of(item: pytest.Item, reasons: Mapping[str, str]) -> str | None:
    """Of a test, by its name or by that of its function."""
    return reasons.get(item.name) or reasons.get(getattr(item, "originalname", item.name))


def leave_out(items: Iterable[pytest.Item], reasons: Mapping[str, str]) -> None:
    """Skip those to which it cannot apply."""
    for item in items:
        if reason := reason_of(item, reasons):
            item.add_marker(pytest.mark.skip(reason=f"does not apply: {reason}"))
