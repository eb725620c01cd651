"""Where a log is written: levels, files that fail, and what of the user's loguru stays as it was."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import loguru
import psutil
import pytest

from logs import SHORT, lines, log_file, logged, opened, succeeded
from task_manager import ConfigurationError, Summary, TaskLogger, TaskManager
from task_manager.events import Failed, Repeated, Retrying, RunBegan, RunEnded, Waiting


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """What a handler of the user's own hears."""
    messages: list[str] = []
    handler = loguru.logger.add(messages.append, format=SHORT, level=0)  # type: ignore[arg-type]
    yield messages
    loguru.logger.remove(handler)


def same(task: Any) -> Any:
    return task


def refuse(task: Any) -> Any:
    if task == 2:
        raise ValueError("two")
    return task


# ------------------------------------------------------------------ levels


@pytest.mark.parametrize(
    ("level", "written"),
    [
        ("TRACE", ["WARNING", "ERROR", "DEBUG", "SUCCESS"]),
        ("DEBUG", ["WARNING", "ERROR", "DEBUG", "SUCCESS"]),
        ("INFO", ["WARNING", "ERROR", "SUCCESS"]),
        ("SUCCESS", ["WARNING", "ERROR", "SUCCESS"]),
        ("WARNING", ["WARNING", "ERROR"]),
        ("ERROR", ["ERROR"]),
    ],
)
def test_what_is_below_the_level_is_not_written(level: str, written: list[str]) -> None:
    """Each level is what its name says."""
    events = [
        Retrying(0, 2, OSError(), 1, 0.5),
        Failed(0, 2, OSError(), 4),
        Repeated([1]),
        succeeded(1),
    ]

    assert written == [line.split("|")[0] for line in logged(*events, level=level)]


@pytest.mark.parametrize("level", ["WARNING", "CRITICAL"])
def test_no_file_is_made_before_there_is_a_record(level: str) -> None:
    """A run without failures leaves nothing, where only failures are logged."""
    observer = opened(level)
    observer.observe(succeeded(1))
    observer.observe(Waiting())
    observer.observe(RunEnded(Summary()))

    assert not Path("logs").exists()


@pytest.mark.parametrize("log_dir", [None, 5, b"logs", ["logs"]])
def test_a_wrong_folder_is_refused(log_dir: Any) -> None:
    """At the door."""
    with pytest.raises(ConfigurationError) as caught:
        TaskLogger(log_dir)

    assert f"log_dir must be a path; got {log_dir!r}" == str(caught.value)


@pytest.mark.parametrize("format", [None, 5, b"{message}", "{nope}", "{level", "{message.nope}"])
def test_a_wrong_format_is_refused(format: Any) -> None:
    """At the door, and not by every record."""
    with pytest.raises(ConfigurationError) as caught:
        TaskLogger(format=format)

    assert str(caught.value).startswith("format must be a string of loguru's fields, as '{time")
    assert f"; got {format!r}: " in str(caught.value)


@pytest.mark.parametrize("logger", [5, "logs", True, TaskLogger(), print, logging.getLogger()])
def test_a_wrong_logger_is_refused(logger: Any) -> None:
    """At the door."""
    with pytest.raises(ConfigurationError) as caught:
        TaskLogger(logger=logger)

    assert f"logger must be None or a logger of loguru; got {logger!r}" == str(caught.value)


@pytest.mark.parametrize("level", ["LOUD", "info", "", None, 20, [], b"INFO"])
def test_a_wrong_level_is_refused(level: Any) -> None:
    """At the door, in words that say what is right."""
    with pytest.raises(ConfigurationError) as caught:
        TaskLogger(level=level)

    assert (
        "level must be one of DEBUG, INFO, SUCCESS, WARNING, ERROR or another level that loguru "
        f"knows; got {level!r}"
    ) == str(caught.value)


# ------------------------------------------------------------------ files


@pytest.mark.parametrize(
    "folder", ["logs", "deep/in/a/folder", "with {braces} {time}", "with <tags>", "日"]
)
@pytest.mark.parametrize("kind", [str, Path])
def test_the_log_is_in_its_folder(folder: str, kind: Any) -> None:
    """Made if it is not there, whatever it is called; one file a day."""
    TaskManager(same, logger=TaskLogger(kind(folder))).start([1])

    assert re.fullmatch(r"task_manager_\d{4}-\d\d-\d\d\.log", log_file(folder).name)


def test_a_log_goes_on_where_it_ended() -> None:
    """Runs and managers of a day follow each other in one file."""
    for func in (same, refuse):
        manager = TaskManager(func, logger=TaskLogger(format=SHORT))
        manager.start([1])
        manager.start([3])

    assert 12 == len(lines())
    assert ["same"] * 6 + ["refuse"] * 6 == [re.split(r"[|\[]", line)[1] for line in lines()]


def test_the_file_is_closed_at_the_end_of_a_run(tmp_path: Path) -> None:
    """F12: as many files are open as before."""

    def open_files() -> list[str]:
        return [file.path for file in psutil.Process().open_files() if str(tmp_path) in file.path]

    observer = opened()
    during = open_files()
    observer.observe(RunEnded(Summary()))

    assert ([str(log_file().resolve())], []) == (during, open_files())


@pytest.fixture
def full_disk() -> None:
    """Every record of today fails to be written."""
    if not Path("/dev/full").exists():
        pytest.skip("needs a device that is always full")
    Path("logs").mkdir()
    Path(f"logs/task_manager_{date.today()}.log").symlink_to("/dev/full")


def test_a_log_that_cannot_be_written_is_left(full_disk: None) -> None:
    """F17: it says so once; its file is closed, and nothing more is tried."""
    observer = TaskLogger().observer("work")
    with pytest.raises(OSError, match="No space left"):
        observer.observe(RunBegan(3))
    observer.observe(Failed(0, "a", ValueError(), 1))
    observer.observe(RunEnded(Summary()))

    assert [] == [file for file in psutil.Process().open_files() if file.path == "/dev/full"]


def test_a_full_disk_changes_no_result(full_disk: None) -> None:
    """F17: one warning, and the results of a run without a fault."""
    manager = TaskManager(same)
    with pytest.warns(RuntimeWarning, match="^the log failed and is left out") as warned:
        manager.start([1, 2])

    assert 1 == len(warned)
    assert {1: 1, 2: 2} == manager.get_result_dict()


def test_what_no_encoding_has_is_written_in_escapes() -> None:
    """A task may show itself in half a character, as the names of some files are."""

    class Half:
        def __repr__(self) -> str:
            return "caf\udce9"

    assert ["SUCCESS|work: succeeded in 0.000 s: caf\\udce9"] == logged(succeeded(Half()))


def test_nothing_is_written_after_the_end() -> None:
    """An observer that is closed is silent."""
    observer = opened()
    observer.observe(RunEnded(Summary()))
    before = lines()
    observer.observe(Failed(0, "a", ValueError(), 1))
    observer.observe(Waiting())

    assert before == lines()


# ------------------------------------------------------------------ the user's own loguru


def test_the_users_handlers_hear_nothing(heard: list[str]) -> None:
    """The handlers of `loguru.logger` are not written to."""
    TaskManager(refuse).start([1, 2, 3])

    assert [] == heard
    assert 4 == len([line for line in lines() if not line.startswith("    ")])


def test_the_users_handlers_stay(heard: list[str]) -> None:
    """Neither removed nor added to: they go on after a run as before, and in the middle of one."""
    before = repr(loguru.logger)
    observer = opened()
    during = repr(loguru.logger)
    loguru.logger.info("between")
    observer.observe(RunEnded(Summary()))
    loguru.logger.info("after")

    assert (before, before) == (during, repr(loguru.logger))
    assert ["INFO|between\n", "INFO|after\n"] == heard
    assert 2 == len(lines())


def test_the_users_changes_leave_the_log_alone() -> None:
    """Whoever removes all handlers of `loguru.logger`, or disables it, does not end our log."""
    observer = opened()
    handler = loguru.logger.add(lambda message: None)
    loguru.logger.remove(handler)
    loguru.logger.disable("task_manager")
    observer.observe(Failed(0, "a", ValueError(), 1))
    observer.observe(RunEnded(Summary()))
    loguru.logger.enable("task_manager")

    assert 3 == len(lines())


def test_a_logger_of_the_users_takes_the_records(heard: list[str]) -> None:
    """With its own handlers and their levels, and no file of ours."""
    log = TaskLogger(level="ERROR", logger=loguru.logger)
    observer = log.observer("work")
    observer.observe(RunBegan(None))
    for event in (Repeated(["r"]), succeeded("{s}"), Failed(0, "<f>", ValueError("no"), 2)):
        observer.observe(event)
    observer.observe(RunEnded(Summary(1, 1, 1, seconds=2.0)))
    loguru.logger.info("after")

    assert [
        "INFO|work: run begins: tasks\n",
        "DEBUG|work: repeated, not run again: 'r'\n",
        "ERROR|work: failed after 2 attempts: '<f>': ValueError('no')\n",
        "SUCCESS|work: succeeded in 0.000 s: '{s}'\n",
        "INFO|work: run ends after 2.000 s: 1 succeeded, 1 failed, 1 duplicate\n",
        "INFO|after\n",
    ] == heard
    assert not Path("logs").exists()


def test_a_bound_logger_keeps_what_is_bound_to_it(heard: list[str]) -> None:
    """The user's logger is used as it is given."""
    extra = []
    handler = loguru.logger.add(lambda message: extra.append(message.record["extra"]))
    with TaskManager(same, logger=TaskLogger(logger=loguru.logger.bind(job="nightly"))) as manager:
        manager.start([1])
    loguru.logger.remove(handler)

    assert [{"job": "nightly"}] * 3 == extra


def test_a_logger_with_colors_shows_a_task_as_it_is(heard: list[str]) -> None:
    """Tags in a task are no markup, also where the user's logger reads some."""
    observer = TaskLogger(logger=loguru.logger.opt(colors=True)).observer("work")
    observer.observe(RunBegan(1))
    observer.observe(Failed(0, "<red>", ValueError("</>"), 1))
    observer.observe(RunEnded(Summary()))

    assert "ERROR|work: failed after 1 attempt: '<red>': ValueError('</>')\n" == heard[1]
