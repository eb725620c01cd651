"""The table of guards does not rot. `python tests/guards.py` tries them out."""

from __future__ import annotations

import pytest

from guards import GUARDS, PACKAGE, Guard, file_of


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: f"{guard.demand} {guard.what}")
def test_a_guard_stands_where_it_is_said_to(guard: Guard) -> None:
    """Its text occurs exactly once in its file, and its file of tests is there."""
    assert 1 == (PACKAGE / guard.file).read_text().count(guard.text)
    assert guard.text != guard.instead
    assert file_of(guard.test[0]).is_file()


def test_every_demand_has_a_guard() -> None:
    """F1 to F25, and some of the later ones."""
    assert {f"F{n}" for n in range(1, 26)} <= {guard.demand for guard in GUARDS}
