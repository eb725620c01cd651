"""The log under trouble: files that go away, loggers of the user's that would spoil a record, F32."""

from __future__ import annotations

import asyncio
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import loguru
import pytest

import functions as f
import task_manager._log.file as module
from logs import without_forks
from task_manager import Summary, TaskChain, TaskLogger, TaskManager
from task_manager._log.file import LOOK, UNSURE
from task_manager._log.observer import LogObserver
from task_manager.events import Failed, RunBegan, RunEnded, Succeeded

SHORT = "{level}|{message}"


class Clock:
    """The clock of the log, turned by hand."""

    def __init__(self) -> None:
        self.now = 500.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


def opened() -> LogObserver:
    observer = TaskLogger(format=SHORT).observer("work")
    observer.observe(RunBegan(3))
    return observer


def log_file() -> Path:
    (file,) = Path("logs").glob("*.log")
    return file


def failed(task: str) -> Failed:
    return Failed(0, task, ValueError(), 1)


# ------------------------------------------------------------------ files that go away


def delete_at_two(task: int) -> int:
    if task == 2:
        shutil.rmtree("logs")
    return task


@pytest.mark.parametrize("way", f.WAYS)
def test_f32_a_log_folder_that_is_deleted_is_made_again(way: str) -> None:
    """In the middle of a run: what is told later is in a new file, whatever was in the old one."""
    with f.manager_of(delete_at_two, way, logger=TaskLogger(format=SHORT), worker_limit=1) as manager:
        manager.start([1, 2, 3])
    lines = log_file().read_text().splitlines()

    assert "SUCCESS" in "".join(lines)
    assert "run ends" in lines[-1]
    assert {1: 1, 2: 2, 3: 3} == manager.get_result_dict()


def test_f32_what_was_written_since_the_last_look_is_written_again(clock: Clock) -> None:
    """Records that went into a file without a name are not lost."""
    observer = opened()
    observer.observe(failed("before"))
    clock.now += 2 * LOOK
    observer.observe(failed("looked"))
    shutil.rmtree("logs")
    observer.observe(failed("unseen"))
    clock.now += 2 * LOOK
    observer.observe(failed("after"))
    observer.observe(RunEnded(Summary()))
    tasks = [line.split("'")[1] for line in log_file().read_text().splitlines() if "'" in line]

    assert ["looked", "unseen", "after"] == tasks


def test_f32_a_log_that_is_rotated_goes_on_in_the_new_file(clock: Clock) -> None:
    """As by logrotate, which moves the file, and puts an empty one in its place: nothing twice."""
    observer = opened()
    observer.observe(failed("old"))
    path = log_file()
    path.rename("moved")
    path.touch()
    clock.now += 2 * LOOK
    observer.observe(failed("new"))
    observer.observe(RunEnded(Summary()))

    assert ("'old'" in Path("moved").read_text(), "'old'" in path.read_text()) == (True, False)
    assert ("'new'" in Path("moved").read_text(), "'new'" in path.read_text()) == (False, True)


def test_f32_a_log_that_is_emptied_goes_on_at_its_beginning(clock: Clock) -> None:
    """As by logrotate's copytruncate."""
    observer = opened()
    log_file().write_text("")
    observer.observe(failed("new"))
    observer.observe(RunEnded(Summary()))

    assert log_file().read_text().startswith("ERROR|work: failed after 1 attempt: 'new'")


def test_f32_a_log_is_looked_after_also_where_the_clock_stands(clock: Clock) -> None:
    """What is held back for a file that may be gone is bounded, whatever the clock says."""
    observer = opened()
    for n in range(3000):
        observer.observe(failed(str(n) + 90 * "x"))
    assert observer._file is not None
    held = sum(map(len, observer._file._since))
    observer.observe(RunEnded(Summary()))

    assert 0 < held <= UNSURE + 1000


def test_f32_a_folder_that_cannot_be_made_again_is_told(tmp_path: Path) -> None:
    """Once, and not in silence; the results are those of a run without the fault."""

    def replace(task: int) -> int:
        if task == 2:
            shutil.rmtree("logs")
            Path("logs").write_text("a file in its place")
        return task

    manager = TaskManager(replace, logger=TaskLogger(format=SHORT))
    with pytest.warns(RuntimeWarning, match="^the log failed and is left out") as warned:
        manager.start([1, 2, 3])

    assert (1, 3) == (len(warned), len(manager.get_result_dict()))


# ------------------------------------------------------------------ the user's own loguru


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """What a handler of the user's own hears."""
    messages: list[str] = []
    handler = loguru.logger.add(messages.append, format=SHORT, level=0)  # type: ignore[arg-type]
    yield messages
    loguru.logger.remove(handler)


@pytest.mark.parametrize(
    "options",
    [
        {"lazy": True},
        {"raw": True},
        {"colors": True},
        {"record": True},
        {"exception": True},
        {"depth": 99},
        {"capture": False},
        {"lazy": True, "raw": True, "colors": True, "record": True, "exception": True},
    ],
    ids=str,
)
def test_a_logger_with_options_writes_every_record(heard: list[str], options: dict[str, Any]) -> None:
    """What `opt` has set is for messages that are made up; ours is a finished line."""
    observer = TaskLogger(logger=loguru.logger.opt(**options)).observer("work")
    observer.observe(RunBegan(1))
    observer.observe(Succeeded([0], ["{a}<red>"], [None], [0.0], [1]))
    observer.observe(failed("b"))
    observer.observe(RunEnded(Summary(1)))

    assert [
        "INFO|work: run begins: 1 task\n",
        "ERROR|work: failed after 1 attempt: 'b': ValueError()\n",
        "SUCCESS|work: succeeded in 0.000 s: '{a}<red>'\n",
        "INFO|work: run ends after 0.000 s: 1 succeeded, 0 failed\n",
    ] == heard


def test_what_is_bound_and_patched_holds(heard: list[str]) -> None:
    """A logger of the user's keeps what belongs to the record, also under options."""
    records: list[Any] = []
    handler = loguru.logger.add(lambda message: records.append(message.record))
    patched = (
        loguru.logger.bind(job=1).patch(lambda record: record["extra"].update(more=2)).opt(raw=True)
    )
    with TaskManager(f.same, logger=TaskLogger(logger=patched)) as manager:
        manager.start([1])
    loguru.logger.remove(handler)

    assert [{"job": 1, "more": 2}] * 3 == [record["extra"] for record in records]


def test_f17_a_patcher_that_raises(heard: list[str]) -> None:
    """One warning, no log, and the results of a run without a fault."""

    def refuse(record: Any) -> None:
        raise LookupError("no patch")

    manager = TaskManager(f.same, logger=TaskLogger(logger=loguru.logger.patch(refuse)))
    with pytest.warns(RuntimeWarning, match="LookupError: no patch") as warned:
        manager.start([1])

    assert (1, {1: 1}, []) == (len(warned), manager.get_result_dict(), heard)


def test_a_level_that_the_user_has_added() -> None:
    """Our own logger does not know it by its name, and writes by its number."""
    loguru.logger.level("NOTICE_OF_A_TEST", no=35)
    observer = TaskLogger(format=SHORT, level="NOTICE_OF_A_TEST").observer("work")
    observer.observe(RunBegan(1))
    observer.observe(Succeeded([0], ["a"], [None], [0.0], [1]))
    observer.observe(failed("b"))
    observer.observe(RunEnded(Summary()))

    assert [
        "ERROR|work: failed after 1 attempt: 'b': ValueError()"
    ] == log_file().read_text().splitlines()


# ------------------------------------------------------------------ the warning


def start_plain(logger: TaskLogger) -> None:
    TaskManager(f.same, logger=logger).start([1])


def start_async_mode(logger: TaskLogger) -> None:
    TaskManager(f.Awaited(f.same), "async", logger=logger).start([1])


def start_awaited(logger: TaskLogger) -> None:
    async def start() -> None:
        await TaskManager(f.same, "thread", logger=logger).start_async([1])

    asyncio.run(start())


def start_in_process(logger: TaskLogger) -> None:
    with TaskManager(f.same, "process", worker_limit=1, logger=logger) as manager:
        manager.start([1])


def start_chain(logger: TaskLogger) -> None:
    TaskChain([TaskManager(f.same, logger=logger)]).start_chain([1])


def start_process_chain(logger: TaskLogger) -> None:
    TaskChain([TaskManager(f.same, logger=logger)], "process").start_chain([1])


@pytest.mark.parametrize(
    "start",
    [start_plain, start_async_mode, start_awaited, start_in_process, start_chain, start_process_chain],
)
def test_f17_the_warning_names_the_line_of_the_user(start: Callable[[TaskLogger], None]) -> None:
    """Where the run was started: not a line of ours, of contextlib or of asyncio."""
    Path("logs").write_text("a file in place of the folder")
    with warnings.catch_warnings(record=True, action="always") as warned:
        start(TaskLogger())

    assert [__file__] == [warning.filename for warning in without_forks(warned)]
