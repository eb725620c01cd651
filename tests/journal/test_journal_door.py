"""Which file is opened as a journal, and which is refused: with a message, and as it was."""

from __future__ import annotations

import os
import pickle
import socket
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from journals import as_they_are, made, of_posix, opened, other, read, refusal, rows, work
from task_manager import JournalError
from task_manager._journal.schema import APPLICATION_ID, FORMAT
from task_manager._platform import HAS_OWNERS

needs_owners = pytest.mark.skipif(not HAS_OWNERS, reason="needs a system with owners and modes")
UNCHANGED = "; nothing was changed in it"
ADVICE = (
    "Give each a file of its own; if it is the same under a new name, docs/api.md says how the journal "
    "learns that"
)


# ------------------------------------------------------------------ what is taken


def test_a_file_that_is_missing_is_made() -> None:
    """For this user alone, and whole."""
    store = opened()
    following, last_run, numbers = store.following, store.last_run, list(store.rows())
    store.close()
    with sqlite3.connect("run.db") as connection:
        journal = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()

    assert (0, 0, []) == (following, last_run, numbers)
    assert (APPLICATION_ID, FORMAT) == (journal, version)
    assert {"run.db", "run.db-lock"} == set(as_they_are())


@needs_owners
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_a_new_file_is_for_this_user_alone(umask: int) -> None:
    """Whatever the umask: of the journal, and of all that lies beside it."""
    before = os.umask(umask)
    try:
        store = opened()
        modes = {path.name: path.stat().st_mode & 0o777 for path in Path().iterdir()}
        store.close()
    finally:
        os.umask(before)

    assert dict.fromkeys(["run.db", "run.db-lock", "run.db-shm", "run.db-wal"], 0o600) == modes


def test_a_file_without_content_is_taken() -> None:
    """As `mkstemp` makes it."""
    Path("run.db").touch()
    made()

    assert 10 == len(read())


def test_a_second_start_has_what_the_first_has_written() -> None:
    """And counts on."""
    made()
    store = opened()
    found = store.following, store.last_run
    store.close()

    assert (10, 1) == found
    assert [(number, number * 2) for number in range(9)] == read()[:9]


@of_posix
@pytest.mark.parametrize(
    "name", [":memory:", "file:run.db?mode=memory", "a b#c?d%20e.db", "'\".db", "é\n.db"]
)
def test_no_name_is_special(name: str) -> None:
    """Each is that of a file in this folder."""
    made(name)
    made("-")

    assert 10 == len(read(name))
    assert {"-", name} == {str(path) for path in Path().iterdir() if "-lock" not in path.name}


def test_a_path_may_be_relative_absolute_or_an_object(tmp_path: Path) -> None:
    """They name one file."""
    made()

    assert read("run.db") == read(Path("run.db")) == read(tmp_path / "run.db") == read("./run.db")


@of_posix
def test_a_link_is_followed() -> None:
    """The lock, and what SQLite keeps, lies beside the file itself: two ways to it are one journal."""
    Path("deep").mkdir()
    made("deep/run.db")
    Path("link.db").symlink_to("deep/run.db")
    store = opened("link.db")
    with pytest.raises(JournalError, match=r"^journal 'deep/run\.db' is in use by another run of this"):
        opened("deep/run.db")
    store.close()

    assert 10 == len(read("link.db"))
    assert ["deep", "link.db"] == sorted(os.listdir())


def test_what_was_left_beside_a_file_that_was_removed_is_not_taken() -> None:
    """SQLite would put a WAL of the old one into the new one."""
    store = opened()
    store.write(rows(range(1000)), [], sync=True)
    left = Path("run.db-wal").read_bytes()
    store.close()
    Path("run.db").unlink()
    Path("run.db-wal").write_bytes(left)
    for path in Path().iterdir():
        path.chmod(0o600)

    assert [] == read()


def test_one_who_was_killed_while_it_was_made_leaves_no_half() -> None:
    """What it had begun is made anew."""
    Path("run.db-new").write_bytes(b"SQLite format 3\0 and no more")
    Path("run.db-new-journal").write_bytes(b"garbage")
    made()

    assert 10 == len(read())
    assert {"run.db", "run.db-lock"} == set(as_they_are())


# ------------------------------------------------------------------ no journal


def test_a_missing_folder_is_refused() -> None:
    """It is not made: the path may be mistyped."""
    assert f"journal 'no/run.db' cannot be made: there is no folder {str(Path('no').resolve())!r}" == (
        refusal("no/run.db")
    )


def test_a_folder_is_refused() -> None:
    """With what is right."""
    Path("run.db").mkdir()

    assert "journal 'run.db' is a folder; give the path of a file in it" == refusal()


@pytest.mark.parametrize("path", ["/", "runs/", "./"])
def test_a_path_that_can_only_be_a_folder_is_refused(path: str) -> None:
    """Whether it is there or not: no file gets its name."""
    assert f"journal {path!r} is a folder; give the path of a file in it" == refusal(path)


def test_a_name_that_is_too_long_is_refused() -> None:
    """In our words, and not by an error from somewhere inside."""
    name = "x" * 300

    assert f"journal {name!r} cannot be opened: File name too long" == refusal(name)


def test_a_pipe_is_refused() -> None:
    """And not waited for."""
    if not hasattr(os, "mkfifo"):
        pytest.skip("needs os.mkfifo")
    os.mkfifo("run.db")

    assert "journal 'run.db' is no plain file" == refusal()


def test_a_socket_is_refused() -> None:
    """And not connected to."""
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("run.db")
        said = refusal()

    assert "journal 'run.db' is no plain file" == said


@of_posix
def test_a_link_to_nothing_is_refused() -> None:
    """Nobody makes us write where he wants."""
    Path("run.db").symlink_to("gone.db")

    assert (
        f"journal 'run.db' is a link to {str(Path('gone.db').resolve())!r}, and there is no such file"
        == (refusal())
    )


@pytest.mark.parametrize(
    "content", [b"x", b"\0" * 5000, b"url,status\n" * 100, b"SQLite format 3\0", pickle.dumps({1: 2})]
)
def test_another_kind_of_file_is_refused(content: bytes) -> None:
    """Whatever it is."""
    Path("run.db").write_bytes(content)

    assert (
        "journal 'run.db' is another kind of file, and no journal; nothing was changed in it"
        == refusal()
    )


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_another_database_is_refused(mode: str) -> None:
    """That of the user's own results, say."""
    connection = sqlite3.connect("run.db")
    connection.execute(f"PRAGMA journal_mode={mode}")
    connection.execute("CREATE TABLE tasks(id INTEGER PRIMARY KEY, task)")
    connection.commit()
    connection.close()

    assert (
        "journal 'run.db' is a database of something else, and no journal; nothing was changed in it"
        == (refusal())
    )


def test_a_newer_format_is_refused() -> None:
    """With both numbers."""
    made()
    with Path("run.db").open("r+b") as file:
        file.seek(60)
        file.write(struct.pack(">I", FORMAT + 1))

    assert (
        f"journal 'run.db' was made by a newer version of task_manager: it has format {FORMAT + 1}, "
        f"this version knows {FORMAT}"
    ) == refusal()


@pytest.mark.parametrize("kept", [100, 4096, 5000])
def test_a_damaged_file_is_refused(kept: int) -> None:
    """As far as it is noticed where it is opened."""
    made(count=1000)
    content = Path("run.db").read_bytes()
    Path("run.db").write_bytes(content[:kept])
    before = Path("run.db").read_bytes()
    with pytest.raises(JournalError, match=r"^journal 'run\.db' (is damaged|cannot be (opened|read)): "):
        read()

    assert before == Path("run.db").read_bytes()


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM meta WHERE name = 'functions'",
        "UPDATE meta SET value = 'x' WHERE name = 'chain'",
        "UPDATE meta SET value = '[1' WHERE name = 'functions'",
        "UPDATE meta SET value = NULL WHERE name = 'functions'",
        "DELETE FROM meta",
    ],
)
def test_one_that_does_not_say_what_it_is_of_is_refused(damage: str) -> None:
    """Somebody has written in it."""
    made()
    connection = sqlite3.connect("run.db")
    connection.execute(damage)
    connection.commit()
    connection.close()
    with pytest.raises(
        JournalError, match=r"^journal 'run\.db' is damaged: it does not say what it is of$"
    ):
        opened()


WITHOUT_SQLITE = """
import sys

kept = {name: sys.modules.pop(name) for name in list(sys.modules) if "sqlite3" in name}
sys.modules["sqlite3"] = None
from task_manager import JournalError, TaskManager

print(TaskManager(abs, logger=None).start([-1]).succeeded)
try:
    TaskManager(abs, logger=None, journal="run.db").start([-1])
except JournalError as error:
    print(error)
del sys.modules["sqlite3"]
sys.modules.update(kept)  # of a measurement of coverage
"""


def test_a_python_without_sqlite_does_all_but_this() -> None:
    """It was built where there were no headers of SQLite."""
    paths = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_SQLITE],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    said = "journal 'run.db' needs the module sqlite3, and this Python was built without it"

    assert (["1", said], "") == (done.stdout.splitlines(), done.stderr)


def test_an_old_sqlite_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before its first write."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 7, 17))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.7.17")

    assert "journal 'run.db' needs SQLite 3.24 or newer; this Python has 3.7.17" == refusal()


# ------------------------------------------------------------------ another one's


def test_one_of_another_function_is_refused() -> None:
    """With both names."""
    made()

    assert (
        "journal 'run.db' is of the function journals:work, and this run is of the function "
        f"journals:other. {ADVICE}"
    ) == refusal(funcs=[other])


@pytest.mark.parametrize("funcs", [[work], [work, other, other], [other, work]])
def test_one_of_other_stages_is_refused(funcs: list[Callable[..., Any]]) -> None:
    """With the names of both."""
    opened(funcs=[work, other], chain=True).close()
    names = ", ".join(f"journals:{func.__name__}" for func in funcs)

    assert (
        f"journal 'run.db' is of a chain of journals:work, journals:other, and this run is of a chain "
        f"of {names}. {ADVICE}"
    ) == refusal(funcs=funcs, chain=True)


def test_a_chain_of_one_is_no_manager() -> None:
    """What they wrote is not the same."""
    made()

    assert "is of the function journals:work, and this run is of a chain of journals:work." in refusal(
        chain=True
    )


def test_another_codec_is_refused() -> None:
    """With both names."""
    made(codec="json")

    assert "journal 'run.db' was made with codec='json'; got codec='pickle'" == refusal()
    assert 10 == len(read(codec="json"))


def test_what_a_killed_process_left_is_not_touched_for_another_function() -> None:
    """Its last outcomes are in the WAL, and stay there: the file is as it was, too."""
    made()
    store = opened()
    store.write(rows(range(10, 20)), [], sync=False)
    left = {path.name: path.read_bytes() for path in Path().iterdir()}
    store.close()
    for name, content in left.items():
        Path(name).write_bytes(content)
        Path(name).chmod(0o600)
    refusal(funcs=[other])

    assert 20 == len(read())
