"""Many successes at a time: cheap to name and to write, and no different to read."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import functions as f
from logs import lines, log_file, logged, opened, succeeded
from task_manager import Summary, TaskLogger, TaskManager
from task_manager._log import handler
from task_manager._log.observer import MOST_TEXT
from task_manager._repr import short_repr
from task_manager._reprs import plain_reprs, short_reprs
from task_manager.events import RunBegan, RunEnded

PLAIN = st.none() | st.booleans() | st.integers() | st.floats()
TEXTS = st.text(max_size=300)


@given(st.lists(PLAIN, min_size=1) | st.lists(TEXTS, min_size=1), st.sampled_from([40, 98, 800]))
def test_together_they_are_shown_as_each_by_itself(values: list[Any], room: int) -> None:
    """Numbers all, or texts all; where it is not sure to be so, it is left to the slow way."""
    together = plain_reprs(values, room)

    assert together is None or together == short_reprs(values, room)


@given(st.lists(st.tuples(PLAIN | TEXTS, PLAIN | TEXTS), max_size=5))
def test_tuples_are_shown_in_the_room_that_they_have(values: list[Any]) -> None:
    """Whole where they fit."""
    for value, text in zip(values, short_reprs(values, 40), strict=True):
        assert len(text) <= 40
        assert "..." in text or text == repr(value)


class Unhashed(type):
    """A class of classes that cannot be hashed."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no class is asked")


@pytest.mark.parametrize(
    "odd",
    [10**5000, "a\tb", (10**5000, 1), ("x" * 10_000, 1), Unhashed("Odd", (), {})(), "\ud800"],
    ids=range(6),
)
def test_one_that_is_odd_among_many_is_shown_as_ever(odd: Any) -> None:
    """It costs the others their speed, and nothing else."""
    names = short_reprs([*range(100), odd], 40)
    records = logged(succeeded(*range(100), odd))

    assert [str(n) for n in range(100)] == names[:100]
    assert len(names[100]) <= 40
    assert records[-1].endswith(names[100])
    assert 101 == sum(int(record.split()[1]) for record in records)


TASKS = {
    "numbers": list(range(10**9, 10**9 + 3000)),
    "one long number": [*range(1000), 10**3000, *range(1000, 2000)],
    "texts": [f"https://example.org/{n:08}" for n in range(1200)],
    "long texts": [f"{'x' * 60}{n}" for n in range(1200)],
    "tuples": [(n, f"page {n}") for n in range(1200)],
}


@pytest.mark.parametrize("tasks", TASKS.values(), ids=TASKS)
def test_records_of_one_moment_are_whole_records(tasks: list[Any]) -> None:
    """Each has its head, room for its text, and the number of the tasks that it names."""
    records = logged(succeeded(*tasks))
    named = [record.split(" s: ")[1].split("; ") for record in records]

    assert len(records) > 2
    assert max(map(len, records)) <= MOST_TEXT + 100
    assert {"SUCCESS|work:"} == {record.partition(" ")[0] for record in records}
    assert list(map(len, named)) == [int(record.split()[1]) for record in records]
    assert short_reprs(tasks, 40) == [name for names in named for name in names]


@pytest.mark.parametrize(
    "format", ["{message}|{level}", "{message}|{message}", "{level}|{message: >9}|", "{message}"]
)
def test_a_format_of_any_shape_is_kept(format: str) -> None:
    """Also where the message is not the end of a record, or stands in it twice."""
    observer = TaskLogger(format=format).observer("work")
    for event in (RunBegan(2000), succeeded(*range(2000)), RunEnded(Summary())):
        observer.observe(event)
    _, *records, _ = lines()
    alone = [logged_alone(format, record, n) for n, record in enumerate(records)]

    assert alone == records


def logged_alone(format: str, record: str, number: int) -> str:
    """The same message, written as the only one."""
    message = record[record.index("work: ") :]
    message = message.partition("|")[0]
    folder = f"alone{number}"
    logger, close, _ = TaskLogger(folder, format=format).open()
    logger.log("SUCCESS", "{}", message)
    assert close is not None
    close()
    return lines(folder)[0]


BASE = 1_000_003


def test_runs_at_a_time_write_to_their_own_files() -> None:
    """Though they look alike: a handler that is kept from run to run serves one at a time."""

    def run(number: int) -> None:
        with TaskManager(f.same, logger=TaskLogger(f"log{number % 4}")) as manager:
            manager.start(range(BASE * number, BASE * number + 50))

    threads = [threading.Thread(target=run, args=[number]) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    read = {number: log_file(f"log{number}").read_text() for number in range(4)}

    for number in range(12):
        assert f" {BASE * number + 49}\n" in read[number % 4]
        assert 1 == sum(text.count(f" {BASE * number + 7};") for text in read.values())
    assert len(handler._idle) <= handler.MOST_IDLE


def test_a_level_and_a_format_have_a_handler_of_their_own() -> None:
    """A log that is to have errors only does not get one of a log that has all."""
    opened(log_dir="all").observe(RunEnded(Summary()))
    quiet = opened(level="ERROR", log_dir="quiet")
    quiet.observe(succeeded(1, 2, 3))
    quiet.observe(RunEnded(Summary()))

    assert 2 == len(lines("all"))
    assert not Path("quiet").exists()


@given(
    st.dictionaries(PLAIN | TEXTS, PLAIN | TEXTS | st.lists(st.integers(), max_size=2), max_size=14),
    st.sampled_from([40, 98, 800]),
)
def test_rows_are_shown_as_each_by_itself(row: dict[Any, Any], room: int) -> None:
    """Whichever way is taken: but for texts that grow as they are escaped, which are cut elsewhere."""
    together, alone = short_reprs([row], room)[0], short_repr(row, room)

    assert together == alone or "\\" in together
    assert len(together) <= room
