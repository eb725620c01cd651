"""Whose a journal is: one that others may have written is refused, as a pickle can run anything."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from journals import made, opened, read, refusal
from task_manager import JournalError
from task_manager._platform import HAS_OWNERS

ROOT = HAS_OWNERS and os.geteuid() == 0
needs_owners = pytest.mark.skipif(not HAS_OWNERS, reason="needs a system with owners and modes")
NOBODY = 65534


@needs_owners
@pytest.mark.parametrize("beside", ["", "-wal", "-shm", "-journal", "-lock"])
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_one_that_others_can_write_is_refused(mode: int, beside: str) -> None:
    """Or what SQLite reads beside it: it holds pickles."""
    made()
    path = Path(f"run.db{beside}")
    path.touch()
    path.chmod(mode)
    what = f"has 'run.db{beside}' beside it, which " if beside else ""

    assert (
        f"journal 'run.db' {what}is not opened, as others can write it (mode {mode:04o}): a journal "
        "holds pickles, and a pickle can run anything. If you know where it comes from, "
        "`chmod go-w` ends that"
    ) == refusal()


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o700])
def test_one_that_others_can_only_read_is_taken(mode: int) -> None:
    """As where a colleague looks at it."""
    made().chmod(mode)

    assert 10 == len(read())


@needs_owners
@pytest.mark.parametrize("beside", ["", "-wal"])
def test_one_that_another_user_owns_is_refused(beside: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where root is the reader: it would run what that user says."""
    made()
    Path(f"run.db{beside}").touch()
    owner = os.geteuid()
    if ROOT:
        owner = NOBODY
        os.chown(f"run.db{beside}", owner, -1)
    else:
        monkeypatch.setattr("os.geteuid", lambda: owner + 1)
        beside = ""
    what = f"has 'run.db{beside}' beside it, which " if beside else ""

    assert (
        f"journal 'run.db' {what}is not opened, as another user owns it (uid {owner}): a journal holds "
        "pickles, and a pickle can run anything. If you know where it comes from, make a copy: that one "
        "is yours"
    ) == refusal()


def test_a_wal_that_is_a_link_is_refused() -> None:
    """SQLite would write where it leads."""
    made()
    Path("precious").write_text("precious")
    Path("run.db-wal").symlink_to("precious")

    assert "journal 'run.db' has 'run.db-wal' beside it, which is no plain file" == refusal()


@needs_owners
def test_a_file_system_without_modes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, and not at the second start."""
    monkeypatch.setattr("task_manager._journal.door.make_private", lambda path: path.touch(0o777))
    before = os.umask(0)
    with pytest.raises(JournalError) as caught:
        opened()
    os.umask(before)

    assert (
        "journal 'run.db' cannot be kept safe: its file system gave it mode 0777 in place of 0600, so "
        "that others can write it"
    ) == str(caught.value)
    assert [] == list(Path().iterdir())


# ------------------------------------------------------------------ rights that are missing


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users come to."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    folder.chmod(0o777)
    shutil.rmtree(folder)


@contextlib.contextmanager
def as_a_user(folder: Path) -> Iterator[None]:
    """In this folder of his, without the rights of root."""
    os.chdir(folder)
    if ROOT:
        os.chown(folder, NOBODY, -1)
        os.seteuid(NOBODY)
    try:
        made()
        yield
    finally:
        if ROOT:
            os.seteuid(0)


@needs_owners
def test_a_user_opens_what_he_has_made(open_folder: Path) -> None:
    """So that what is refused below is refused for its reason."""
    with as_a_user(open_folder):
        assert 10 == len(read())


@needs_owners
def test_a_file_that_cannot_be_written_is_refused(open_folder: Path) -> None:
    """It was made read-only."""
    with as_a_user(open_folder):
        Path("run.db").chmod(0o400)
        said = refusal()

    assert "journal 'run.db' cannot be read and written (mode 0400)" == said


@needs_owners
@pytest.mark.parametrize("name", ["run.db", "new.db"])
def test_a_folder_that_cannot_be_written_is_refused(name: str, open_folder: Path) -> None:
    """SQLite keeps files beside its own."""
    with as_a_user(open_folder):
        open_folder.chmod(0o500)
        said = refusal(name)

    assert (
        f"journal {name!r} needs a folder that can be written, and {str(open_folder)!r} cannot" == said
    )


def test_a_folder_that_is_shut_is_refused(open_folder: Path) -> None:
    """What is in it, nobody knows."""
    if not ROOT:
        pytest.skip("needs root, whom nothing is shut to, and who shuts it")
    Path(open_folder / "shut").mkdir(mode=0o700)
    with as_a_user(open_folder), pytest.raises(JournalError) as caught:
        opened("shut/deeper/run.db")

    assert "journal 'shut/deeper/run.db' cannot be opened: Permission denied" == str(caught.value)
