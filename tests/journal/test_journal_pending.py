"""What waits to be written is bounded, in number and in bytes, also where the disk takes nothing."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from journals import error_row, row
from task_manager._journal import pending
from task_manager._journal.pending import Pending


class Disk:
    """A store that writes down how many rows came at a time, and refuses where it is full."""

    def __init__(self, full: bool = False) -> None:
        self.full = full
        self.flushes: list[list[int]] = []
        self.errors: list[int] = []

    def write(self, tasks: list[Any], errors: list[Any], *_: Any) -> None:
        if self.full:
            raise sqlite3.OperationalError("database or disk is full")
        self.flushes.append([one[0] for one in tasks])
        self.errors += [one[0] for one in errors]


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time stands still: only number and bytes count."""
    monkeypatch.setattr(pending, "monotonic", lambda: 1.0)


def waiting(disk: Disk) -> Pending:
    return Pending(disk, "run.db")  # type: ignore[arg-type]


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize("value", [b"x" * (1 << 22), "x" * (1 << 22)], ids=["bytes", "text"])
def test_large_values_are_written_soon(value: Any) -> None:
    """Four of 4 MB are enough, as 500 rows are."""
    disk = Disk()
    waits = waiting(disk)
    for number in range(10):
        waits.add([row(number, value)])
        waits.write_if_due()

    assert [[0, 1, 2, 3], [4, 5, 6, 7]] == disk.flushes


@pytest.mark.usefixtures("still")
def test_many_rows_are_written_together() -> None:
    """500, where nothing else asks for it."""
    disk = Disk()
    waits = waiting(disk)
    for number in range(1200):
        waits.add([row(number, number)])
        waits.write_if_due()

    assert [500, 500] == [len(flush) for flush in disk.flushes]


@pytest.mark.filterwarnings("ignore:the journal run.db cannot be written:RuntimeWarning")
def test_what_a_full_disk_refuses_is_bounded_in_bytes() -> None:
    """64 MB are kept for a disk that takes them later; the oldest go, and are counted."""
    disk = Disk(full=True)
    waits = waiting(disk)
    for number in range(40):
        waits.add([row(number, b"x" * (1 << 22))])
        waits.write()
    disk.full = False
    said = waits.close()

    assert [list(range(24, 40))] == disk.flushes
    assert "24 outcomes are missing: database or disk is full" == said


@pytest.mark.filterwarnings("ignore:the journal run.db cannot be written:RuntimeWarning")
def test_the_errors_count_as_well() -> None:
    """They go with their rows."""
    disk = Disk(full=True)
    waits = waiting(disk)
    for number in range(40):
        waits.add([row(number)])
        waits.add_error((*error_row(number)[:-1], "x" * (1 << 22)))
        waits.write()
    disk.full = False
    waits.close()

    assert [disk.errors] == disk.flushes
    assert 15 == len(disk.errors)
