"""Opening a journal to look at it: in every state that it can be in, and nothing is left behind."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from report import journals as j
from report.journals import look
from task_manager._journal.schema import FORMAT
from task_manager._report.file import JournalFile, WrongFileError

LIVE = "print('ready', flush=True)\nsys.stdin.read()\n"
KILLED = "os.kill(os.getpid(), 9)\n"


CAN_BE_ANOTHER = hasattr(os, "geteuid") and os.geteuid() == 0


@contextmanager
def as_another(folder: Path) -> Iterator[None]:
    """As another user, who may see what lies in this folder."""
    for one in (folder, *folder.parents):
        if one.name.startswith(("pytest-", "popen-", "test_")):
            one.chmod(0o755)
    os.setegid(65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def killed(path: Path) -> Path:
    """A journal whose writer was killed: most of it lies in its -wal."""
    done = subprocess.run([sys.executable, "-c", j.writer(path, KILLED)], check=False)

    assert 0 != done.returncode
    assert path.with_name("crawl.db-wal").stat().st_size > path.stat().st_size
    return path


@pytest.fixture
def live(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """A journal that is open in a process that writes it, and the process."""
    path = tmp_path / "crawl.db"
    with subprocess.Popen(
        [sys.executable, "-c", j.writer(path, LIVE)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert "ready\n" == process.stdout.readline()
        yield path, process


def test_one_that_was_closed(tmp_path: Path) -> None:
    """Nothing appears beside it, and it is as it was."""
    path = j.journal(tmp_path / "crawl.db", [j.task("a")])
    before = j.seen_beside(path)

    assert 1 == look(path).tasks
    assert before == j.seen_beside(path)
    assert ["crawl.db"] == list(before)


def test_one_that_is_being_written(live: tuple[Path, subprocess.Popen[str]]) -> None:
    """All that was committed is seen, the run goes on, and nothing is changed."""
    path, process = live
    before = j.seen_beside(path)
    seen = look(path)

    assert (1000, True) == (seen.tasks, seen.going)
    assert before == j.seen_beside(path)
    process.communicate()


def test_one_whose_writer_was_killed(tmp_path: Path) -> None:
    """All that was committed is seen, nothing is changed, and it is told that no end came."""
    path = killed(tmp_path / "crawl.db")
    before = j.seen_beside(path)
    seen = look(path)

    assert 1000 == seen.tasks
    assert not (seen.going and j.DEATHS_ARE_KNOWN)
    assert before == j.seen_beside(path)


@pytest.mark.parametrize("lost", ["crawl.db-shm", "crawl.db-lock"])
def test_one_that_was_copied_in_part(tmp_path: Path, lost: str) -> None:
    """With its -wal all is seen, and what was not copied is not made."""
    path = killed(tmp_path / "crawl.db")
    path.with_name(lost).unlink()
    before = j.seen_beside(path)

    assert 1000 == look(path).tasks
    assert before == j.seen_beside(path)


def test_one_that_was_copied_without_its_wal(tmp_path: Path) -> None:
    """What had not come into the file is lost: here that is everything, and a sentence says so."""
    path = killed(tmp_path / "crawl.db")
    for end in ("-wal", "-shm"):
        path.with_name(f"crawl.db{end}").unlink()
    before = j.seen_beside(path)

    with pytest.raises(WrongFileError, match=r"crawl\.db is no journal of task_manager"):
        look(path)
    assert before == j.seen_beside(path)


@pytest.mark.skipif(not CAN_BE_ANOTHER, reason="needs to become another user")
@pytest.mark.parametrize("missing", [(), ("-shm",)], ids=["whole", "no_shm"])
@pytest.mark.parametrize("closed", [True, False], ids=["closed", "killed"])
def test_one_in_a_folder_that_cannot_be_written(
    tmp_path: Path, closed: bool, missing: tuple[str, ...]
) -> None:
    """All is seen by one who may only read."""
    folder = tmp_path / "kept"
    folder.mkdir()
    path = folder / "crawl.db"
    if closed:
        j.journal(path, [j.task("a")] * 1000)
    else:
        killed(path)
    for end in missing:
        path.with_name(f"crawl.db{end}").unlink(missing_ok=True)
    for one in folder.iterdir():
        one.chmod(0o444)
    folder.chmod(0o555)
    before = j.seen_beside(path)

    with as_another(tmp_path):
        assert 1000 == look(path).tasks
    assert before == j.seen_beside(path)


def test_one_of_the_older_kind(tmp_path: Path) -> None:
    """As SQLite writes it where there is no WAL."""
    path = j.journal(tmp_path / "crawl.db", [j.task("a")], mode="delete")

    assert 1 == look(path).tasks
    assert ["crawl.db"] == list(j.seen_beside(path))


def test_one_that_another_program_has_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentence says so, after a while."""
    monkeypatch.setattr("task_manager._report.file.PATIENCE", 0.1)
    path = j.journal(tmp_path / "crawl.db", [j.task("a")], mode="delete")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(WrongFileError, match="is held by another program"):
            look(path)


def test_a_link(tmp_path: Path) -> None:
    """What lies beside the file that it leads to counts."""
    (tmp_path / "far").mkdir()
    path = killed(tmp_path / "far" / "crawl.db")
    link = tmp_path / "link.db"
    link.symlink_to(path)

    assert 1000 == look(link).tasks
    assert ["link.db"] == [one.name for one in tmp_path.iterdir() if not one.is_dir()]


@pytest.mark.parametrize("name", ["a b.db", "50%?.db", "#1.db", "ümläut 爬虫.db", "a&mode=rwc.db"])
def test_any_name(tmp_path: Path, name: str) -> None:
    """The name is no part of an address."""
    if "?" in name and not hasattr(os, "fork"):
        pytest.skip("no file has such a name on Windows")
    path = j.journal(tmp_path / name, [j.task("a")])

    assert 1 == look(path).tasks
    assert [name] == [one.name for one in tmp_path.iterdir()]


# ------------------------------------------------------------------ beside a writer


HAMMER = """
connection.close()
print("ready", flush=True)
end, n, waits = time.time() + 2.0, 0, []
while time.time() < end:
    connection = j.opened(path)
    connection.execute("PRAGMA busy_timeout=0")
    for _ in range(5):
        began = time.time()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE tasks SET state = 3 - state WHERE id IN (?, ?)", (1 + n % 499, 500))
        connection.execute("INSERT INTO tasks(task, state) VALUES ('x', 1), ('y', 2)")
        connection.execute("COMMIT")
        waits.append(time.time() - began)
        n += 1
    connection.close()
print(n, flush=True)
"""


def test_beside_a_writer_that_comes_and_goes(tmp_path: Path) -> None:
    """It never finds the file held, each look is of one moment, and nothing is left at the end.

    The writer's patience is none: had a reader held anything, it would have ended with an error.
    """
    path = tmp_path / "crawl.db"
    script = j.writer(path, HAMMER)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        looks = []
        while writer.poll() is None:
            seen = look(path)
            looks.append(seen.tasks == sum(seen.counts.values()) and seen.tasks % 2 == 0)
        out, err = writer.communicate()

    assert "" == err
    assert looks
    assert all(looks)
    assert int(out) > 5
    assert 1000 + 2 * int(out) == look(path).tasks


TAKES = """
import sqlite3, sys, time
end, taken = time.time() + 1.0, 0
while time.time() < end:
    lock = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0)
    lock.execute("BEGIN EXCLUSIVE")
    taken += 1
    lock.close()
print(taken)
"""


def test_to_ask_for_the_lock_takes_it_from_nobody(tmp_path: Path) -> None:
    """Runs begin and end while it is asked: none is refused."""
    path = j.journal(tmp_path / "crawl.db")
    with subprocess.Popen(
        [sys.executable, "-c", TAKES, f"{path}-lock"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as taker:
        said = set()
        with JournalFile(path) as file:
            while taker.poll() is None:
                said.add(file.is_locked())
        out, err = taker.communicate()

    assert b"" == err
    assert int(out) > 10
    assert said <= {True, False} or said == {None}


def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("task_manager._report.file.is_locked", lambda *_: None)


def test_where_nobody_tells_of_locks(
    live: tuple[Path, subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of its process tells, if it ran on this machine."""
    path, process = live
    without_locks(monkeypatch)

    assert look(path).going
    process.kill()
    process.wait()

    assert not (look(path).going and j.DEATHS_ARE_KNOWN)


@pytest.mark.parametrize(("ago", "going"), [(5, True), (500, False)])
def test_where_nothing_tells_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ago: float, going: bool
) -> None:
    """It goes on if something was recorded within the last minute."""
    without_locks(monkeypatch)
    at = time.time() - ago
    runs = [j.run(began=at - 1000, ended=None, host="elsewhere")]
    path = j.journal(tmp_path / "crawl.db", [j.task("a", at=at)], runs=runs)

    assert going == look(path).going


def test_a_run_that_ends_while_it_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end came after the look, and before its lock was asked for: it was not killed."""
    path = j.journal(tmp_path / "crawl.db", [j.task("a")], runs=[j.run(ended=None)])
    asked = []

    def ended(*_: object) -> bool:
        if not asked:
            with closing(j.opened(path)) as connection:
                connection.execute("UPDATE runs SET ended = began + 1")
        asked.append(True)
        return False

    monkeypatch.setattr("task_manager._report.file.is_locked", ended)
    (run,) = look(path).runs

    assert (j.BEGAN + 1, None) == (run.ended, run.going)
    assert [True] == asked


def test_a_run_that_begins_while_it_is_looked_at(tmp_path: Path) -> None:
    """One that was closed is read without a lock: what has changed meanwhile is looked at again."""
    path = j.journal(tmp_path / "crawl.db", [j.task("a")])
    counts = []

    def ask(connection: sqlite3.Connection) -> int:
        (count,) = connection.execute("SELECT count(*) FROM tasks").fetchone()
        if not counts:
            with closing(j.opened(path)) as writer:
                writer.execute("INSERT INTO tasks(task) VALUES ('b')")
        counts.append(count)
        return int(count)

    with JournalFile(path) as file:
        assert 2 == file.look(ask)
    assert [1, 2] == counts


# ------------------------------------------------------------------ what is no journal


def other_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE tasks(x)")


def newer(path: Path) -> None:
    j.journal(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version={FORMAT + 1}")


def without_a_table(path: Path) -> None:
    j.journal(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE errors")


def without_a_column(path: Path) -> None:
    j.journal(path, [j.task("a")])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE tasks DROP COLUMN seconds")


def of_a_view(path: Path) -> None:
    j.journal(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE tasks")
        connection.execute("CREATE VIEW tasks AS SELECT 1 AS id")


def cut_off(path: Path) -> None:
    j.journal(path, [j.task("a" * 100)] * 1000)
    os.truncate(path, 20_000)


def garbled(path: Path) -> None:
    j.journal(path, [j.task("a" * 100)] * 1000)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 40_000)


WRONG: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (lambda path: None, "is not there"),
    "folder": (lambda path: path.mkdir(), "is a folder, and no journal"),
    "empty": (
        lambda path: path.touch(),
        "is empty: no journal, or one of which nothing had been written yet",
    ),
    "text": (lambda path: path.write_text("a,b\n"), "is no journal of task_manager"),
    "begins like one": (
        lambda path: path.write_bytes(b"SQLite format 3\0"),
        "is broken: it ends in the middle",
    ),
    "header alone": (
        lambda path: path.write_bytes(b"SQLite format 3\0" + b"\0" * 100),
        "is no journal of task_manager",
    ),
    "another": (other_database, "is no journal of task_manager, but another SQLite file"),
    "newer": (
        newer,
        f"is a journal of a newer task_manager: its format is {FORMAT + 1}, "
        f"and this one reads formats up to {FORMAT}",
    ),
    "no table": (without_a_table, "is broken: it has no table errors"),
    "no column": (without_a_column, "cannot be read: no such column: t.seconds"),
    "view": (of_a_view, "is broken: it has no table tasks"),
    "cut off": (cut_off, "is broken: database disk image is malformed"),
    "garbled": (garbled, "is broken: database disk image is malformed"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_file(tmp_path: Path, kind: str) -> None:
    """A sentence says what it is, and it is left alone."""
    path = tmp_path / "crawl.db"
    make, said = WRONG[kind]
    make(path)
    before = j.seen_beside(path)

    with pytest.raises(WrongFileError) as caught:
        look(path)
    assert f"{path} {said}" == str(caught.value)
    assert before == j.seen_beside(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_named_pipe(tmp_path: Path) -> None:
    """It is not waited for."""
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(WrongFileError, match="pipe is no file, and so no journal"):
        look(tmp_path / "pipe")


@pytest.mark.skipif(not CAN_BE_ANOTHER, reason="needs to become another user")
def test_one_that_may_not_be_read(tmp_path: Path) -> None:
    """As those of other users are, by their mode."""
    path = j.journal(tmp_path / "crawl.db", [j.task("a")])
    path.chmod(0o600)

    with as_another(tmp_path), pytest.raises(WrongFileError) as caught:
        look(path)
    assert f"{path} cannot be read: Permission denied" == str(caught.value)


def test_bytes_anywhere(tmp_path: Path) -> None:
    """Whatever bytes are in it, it is shown, or a sentence says that it is broken."""
    import random

    dice = random.Random(12)
    rows = [j.task(f"{n}" * 20, 1 + n % 2, text="x") for n in range(300)]
    whole = j.journal(
        tmp_path / "whole.db", rows, {n: j.error() for n in range(2, 300, 2)}, [j.run()]
    ).read_bytes()
    said = []
    for n in range(60):
        garbled = bytearray(whole)
        for _ in range(dice.choice((1, 20, 400))):
            garbled[dice.randrange(100, len(whole))] = dice.randrange(256)
        path = tmp_path / f"{n}.db"
        path.write_bytes(garbled)
        try:
            look(path)
        except WrongFileError as wrong:
            said.append(str(wrong))

    assert 0 < len(said) < 60
    assert [] == [one for one in said if "\n" in one]


def test_a_copy_goes_when_it_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What had to be copied to be read leaves nothing in the temporary folder."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    path = killed(tmp_path / "crawl.db")
    path.with_name("crawl.db-shm").unlink()
    copied = shutil.copyfile
    made: list[int] = []

    def noted(source: Any, target: Any) -> Any:
        made.append(stat.S_IMODE(Path(target).parent.stat().st_mode))
        return copied(source, target)

    monkeypatch.setattr("shutil.copyfile", noted)

    assert 1000 == look(path).tasks
    assert [0o700, 0o700] == made
    assert [] == list((tmp_path / "temporary").iterdir())
