"""loguru's own rotation, retention and compression for the log of a TaskLogger."""

from __future__ import annotations

import gzip
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import loguru
import psutil
import pytest

import functions as f
from task_manager import ConfigurationError, Summary, TaskLogger, TaskManager
from task_manager.events import Failed, RunBegan, RunEnded


def log_of(folder: str = "logs") -> str:
    return "".join(path.read_text() for path in sorted(Path(folder).iterdir()))


@pytest.mark.parametrize("folder", ["logs", "with {braces} {time}"])
def test_a_log_is_rotated_and_old_files_are_removed(folder: str) -> None:
    """As loguru does it: by size, and so many are kept."""
    log = TaskLogger(folder, rotation="2 KB", retention=2)
    with TaskManager(f.same, logger=log) as manager:
        for first in range(0, 3000, 300):
            manager.start(range(first, first + 300))

    assert 3 == len(list(Path(folder).iterdir()))
    assert "2999" in log_of(folder)


def test_a_log_is_compressed_when_its_file_is_closed() -> None:
    """Without a rotation that is the end of a run."""
    TaskManager(f.same, logger=TaskLogger(compression="gz")).start([41])
    (path,) = Path("logs").iterdir()

    assert path.suffix == ".gz"
    assert b"41" in gzip.decompress(path.read_bytes())


def test_f32_a_rotated_log_that_is_deleted_is_made_again() -> None:
    """In the middle of a run."""
    observer = TaskLogger(rotation="1 GB").observer("work")
    observer.observe(RunBegan(1))
    shutil.rmtree("logs")
    observer.observe(Failed(0, "a", ValueError(), 1))
    observer.observe(RunEnded(Summary()))

    assert "'a'" in log_of()
    assert "run ends" in log_of()


def test_f17_a_full_disk_changes_no_result_and_leaves_no_file_open() -> None:
    """One warning, with loguru's files as well."""
    if not Path("/dev/full").exists():
        pytest.skip("needs a device that is always full")
    Path("logs").mkdir()
    Path(f"logs/task_manager_{date.today()}.log").symlink_to("/dev/full")
    manager = TaskManager(f.same, logger=TaskLogger(rotation="1 GB"))
    with pytest.warns(RuntimeWarning, match="^the log failed and is left out") as warned:
        manager.start([1, 2])

    assert (1, {1: 1, 2: 2}) == (len(warned), manager.get_result_dict())
    assert [] == [file for file in psutil.Process().open_files() if file.path == "/dev/full"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"rotation": "often"}, "rotation must be a size or a time, as '100 MB', '1 week' or '00:00'"),
        ({"rotation": 0}, "rotation must be"),
        ({"rotation": True}, "rotation must be"),
        ({"rotation": object}, None),
        ({"retention": "x"}, "retention must be a time or a number of files, as '10 days' or 5"),
        ({"retention": -1}, "retention must be"),
        ({"retention": 1.5}, "retention must be"),
        ({"compression": "rar"}, "compression must be a kind of archive, as 'gz' or 'zip'"),
        ({"compression": 7}, "compression must be"),
        ({"rotation": "1 MB", "logger": loguru.logger}, "rotation is for the file of a log in log_dir"),
    ],
)
def test_a_wrong_option_is_refused(options: dict[str, Any], text: str | None) -> None:
    """In the constructor, in words that say what is right. What can be called is loguru's to take."""
    if text is None:
        TaskLogger(**options)
        return
    with pytest.raises(ConfigurationError) as caught:
        TaskLogger(**options)

    assert str(caught.value).startswith(text)


def test_a_refused_option_makes_no_file() -> None:
    """Nor does one that is taken, before there is a record."""
    TaskLogger(rotation="1 MB")

    assert not Path("logs").exists()
