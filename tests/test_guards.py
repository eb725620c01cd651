"""The table of guards does not rot. `python -m tests.guards` tries them out."""

from __future__ import annotations

import pytest

from guards.__main__ import PACKAGE, file_of
from guards.edits import source_without
from guards.table import GUARDS, Guard


@pytest.mark.parametrize("guard", GUARDS, ids=str)
def test_a_guard_stands_where_it_is_said_to(guard: Guard) -> None:
    """There is something to take out, and the file of its test is there."""
    source = (PACKAGE / guard.file).read_text()

    assert source_without(source, guard.where, guard.edit)
    assert file_of(guard.test).is_file()


def test_every_demand_has_a_guard() -> None:
    """F1 to F41."""
    assert {f"F{n}" for n in range(1, 42)} == {guard.demand for guard in GUARDS}
