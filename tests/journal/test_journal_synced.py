"""When the disk is asked to have it for certain: at most half a second of outcomes is open to a cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from journals import opened, row, rows
from task_manager._journal import pending
from task_manager._journal.pending import Pending


class Disk:
    """Writes down what came, and whether it was to be certain."""

    def __init__(self) -> None:
        self.writes: list[tuple[list[int], bool]] = []

    def write(self, tasks: list[Any], errors: list[Any], sync: bool, *_: Any) -> None:
        self.writes.append(([one[0] for one in tasks], sync))


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    turned = Clock()
    monkeypatch.setattr(pending, "monotonic", turned)
    return turned


def after(clock: Clock, seconds: float, waits: Pending, *numbers: int) -> None:
    """So much later these outcomes come, or the news that none does."""
    clock.now += seconds
    waits.add([row(number) for number in numbers])
    if numbers:
        waits.write_if_due()
    else:
        waits.write()


def test_every_half_second_a_write_is_certain(clock: Clock) -> None:
    """However many there are in between."""
    disk = Disk()
    waits = Pending(disk, "run.db")  # type: ignore[arg-type]
    for number in range(12):
        after(clock, 0.125, waits, number)

    assert [3, 7, 11] == [numbers[0] for numbers, sync in disk.writes if sync]
    assert list(range(12)) == [number for numbers, _ in disk.writes for number in numbers]


def test_slow_outcomes_are_certain_at_once(clock: Clock) -> None:
    """Each was paid for with minutes."""
    disk = Disk()
    waits = Pending(disk, "run.db")  # type: ignore[arg-type]
    for number in range(3):
        after(clock, 60, waits, number)

    assert [([0], True), ([1], True), ([2], True)] == disk.writes


def test_what_came_last_is_made_certain_while_nothing_comes(clock: Clock) -> None:
    """Two outcomes together, and then none for an hour: the second one does not wait for a third."""
    disk = Disk()
    waits = Pending(disk, "run.db")  # type: ignore[arg-type]
    after(clock, 60, waits, 0)
    after(clock, 0.1, waits, 1)
    after(clock, 0.3, waits)
    after(clock, 0.3, waits)
    after(clock, 0.3, waits)
    after(clock, 9, waits)

    assert [([0], True), ([1], False), ([], True)] == disk.writes


def test_a_store_syncs_what_was_written_before_it_was_asked() -> None:
    """SQLite syncs nothing where nothing is committed."""
    store = opened()
    store.write(rows(range(3)), [], sync=False)
    before = Path("run.db-wal").stat().st_size
    store.write([], [], sync=False)
    nothing = Path("run.db-wal").stat().st_size
    store.write([], [], sync=True)
    then = Path("run.db-wal").stat().st_size
    store.close()

    assert before == nothing < then
