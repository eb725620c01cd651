"""The power cut: whatever of the last writes is lost, the file opens, and has what was synced.

What was synced is on the disk. Of all that was written since, any part may be: each sector for itself,
and any length of a file that has grown. Memory that processes share is gone, or anything.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from journals import read

SECTOR = 512
WAL_HEADER = 32  # bytes, the last 16 but 8 of which are another number each time the WAL begins anew
FILES = ("run.db", "run.db-wal", "run.db-shm")

# In a process of its own: to read the files of an open journal here would cost it its locks.
WRITER = """
import sys
from journals import opened, row

store = opened()
store.begin_run("thread", 2, None)
store._live.execute("PRAGMA wal_autocheckpoint=40")
number = 0
for line in sys.stdin:
    count, size, sync = map(int, line.split())
    store.write([row(number + n, "x" * size) for n in range(count)], [], bool(sync))
    number += count
    print("written", flush=True)
"""

Write = Callable[[int, int, bool], dict[str, bytes]]


@pytest.fixture
def write() -> Iterator[Write]:
    """Writes so many rows of such a size, synced or not, and answers with what the files are then."""
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )

    def order(count: int, size: int, sync: bool) -> dict[str, bytes]:
        assert writer.stdin is not None
        assert writer.stdout is not None
        writer.stdin.write(f"{count} {size} {int(sync)}\n")
        writer.stdin.flush()
        assert "written\n" == writer.stdout.readline()
        return {name: Path(name).read_bytes() for name in FILES}

    yield order
    writer.kill()
    writer.communicate()


def torn(draw: random.Random, synced: bytes, now: bytes) -> bytes:
    """One of the many things that may be on the disk after the cut."""
    share = draw.choice([0.0, 0.1, 0.5, 0.9, 1.0])
    length = draw.randint(*sorted((len(synced), len(now))))
    sectors = []
    for place in range(0, length, SECTOR):
        old, new = synced[place : place + SECTOR], now[place : place + SECTOR]
        sectors.append(new if draw.random() < share else old.ljust(len(new), b"\0"))
    return b"".join(sectors)[:length]


def found_in(draw: random.Random, database: bytes, wal: bytes, shared: bytes) -> tuple[str, list[int]]:
    """What SQLite says of these files, and the numbers of the tasks that a start finds in them."""
    folder = Path("after the cut")
    folder.mkdir()
    shared = draw.choice([b"", shared, draw.randbytes(len(shared))])
    for name, content in zip(FILES, (database, wal, shared), strict=True):
        if content or draw.random() < 0.5:
            (folder / name).write_bytes(content)
            (folder / name).chmod(0o600)
    numbers = [number for number, _ in read(folder / "run.db")]
    connection = sqlite3.connect(folder / "run.db")
    (said,) = connection.execute("PRAGMA integrity_check").fetchone()
    connection.close()
    shutil.rmtree(folder)
    return said, numbers


@pytest.mark.parametrize("seed", range(2))
def test_what_was_synced_outlives_a_power_cut(seed: int, write: Write) -> None:
    """And what was not is there or not, up to one place: no task is missing in the middle."""
    draw = random.Random(seed)
    synced = write(3, 10, True)
    count = surely = 3
    lost = cuts = checkpoints = 0
    for _ in range(60):
        rows, size, sync = draw.randint(1, 20), draw.choice([10, 10, 500, 5000]), draw.random() < 0.2
        before, now = synced, write(rows, size, sync)
        count += rows
        database, wal, shared = (now[name] for name in FILES)
        checkpointed = database != before["run.db"]
        if checkpointed:  # the WAL was synced first
            checkpoints += 1
            database = torn(draw, before["run.db"], database)
        elif sync:
            pass
        else:  # where the WAL begins anew, its header is synced first
            same = before["run.db-wal"][:WAL_HEADER] == wal[:WAL_HEADER]
            old = before["run.db-wal"] if same else wal[:WAL_HEADER] + before["run.db-wal"][WAL_HEADER:]
            wal = torn(draw, old, wal)
        if checkpointed or sync:
            synced, surely = now, count
        said, numbers = found_in(draw, database, wal, shared)
        cuts += 1
        lost += count - len(numbers)

        assert ("ok", list(range(len(numbers)))) == (said, numbers)
        assert surely <= len(numbers) <= count
    assert min(lost, checkpoints) > 0, (lost, checkpoints, cuts)


@pytest.mark.parametrize("seed", range(2))
def test_a_wal_that_is_cut_off_anywhere_is_read_up_to_there(seed: int, write: Write) -> None:
    """As long as none of it was in the file yet. It may be gone, or end in zeros or in garbage."""
    draw = random.Random(seed)
    now = write(3, 10, True)
    for _ in range(6):
        now = write(draw.randint(1, 5), draw.choice([10, 500]), draw.random() < 0.5)
    database, whole, shared = (now[name] for name in FILES)
    found = []
    for _ in range(30):
        length = draw.choice([0, 1, WAL_HEADER, len(whole), draw.randrange(len(whole))])
        end = draw.choice([b"", bytes(len(whole) - length), draw.randbytes(len(whole) - length)])
        said, numbers = found_in(draw, database, whole[:length] + end, shared)
        found.append(len(numbers))

        assert ("ok", list(range(len(numbers)))) == (said, numbers)
    assert 0 == min(found) < max(found)
