"""Where a failure came from, as the log says it: the user's lines once a kind, and then a number."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import functions as f
from logs import SHORT, lines, logged
from task_manager import TaskLogger
from task_manager._log.observer import MOST_TEXT
from task_manager._log.origin import INDENT, origin_of
from task_manager.events import Failed


def refuse(task: Any) -> Any:
    raise ValueError(f"no {task}")


def wrap(task: Any) -> Any:
    try:
        refuse(task)
    except ValueError as error:
        raise RuntimeError("wrapped") from error


def deep(task: int) -> Any:
    return deep(task - 1) if task else refuse(task)


def failure(func: Any, task: Any) -> BaseException:
    try:
        func(task)
    except Exception as error:
        return error
    raise AssertionError


@pytest.mark.parametrize("way", f.WAYS)
def test_a_failure_shows_the_users_lines_once_and_is_counted_then(way: str) -> None:
    """In every mode: file, line, function and source, and none of ours; the others have a number."""
    with f.manager_of(refuse, way, logger=TaskLogger(format=SHORT), worker_limit=1) as manager:
        manager.start([1, 2, 3])
    errors = [line for line in lines() if line.startswith("ERROR")]
    more = [line for line in lines() if line.startswith(INDENT)]
    number = refuse.__code__.co_firstlineno + 1

    assert f'    File "{__file__}", line {number}, in refuse' == more[-3]
    assert ['      raise ValueError(f"no {task}")', "    ValueError: no 1"] == more[-2:]
    assert not [line for line in more if "src/task_manager" in line]
    assert errors[0].endswith("failed after 1 attempt: 1: ValueError('no 1')")
    assert errors[1].endswith(f"ValueError('no 2') (no. 2 at test_origin.py:{number} in refuse)")
    assert errors[2].endswith(f"ValueError('no 3') (no. 3 at test_origin.py:{number} in refuse)")


def test_each_kind_and_place_has_its_lines() -> None:
    """Two kinds of errors, and one kind from two places, are told apart."""
    found = logged(
        *(Failed(0, 1, failure(func, 1), 1) for func in (refuse, deep, wrap, refuse, wrap)),
    )

    assert [False, True, False, True, True] == [
        "(no. " in line for line in found if line.startswith("ERROR")
    ]


def test_what_an_error_came_of_has_a_line() -> None:
    """With its place."""
    line = refuse.__code__.co_firstlineno + 1

    assert (
        f"    caused by ValueError: no 1, at test_origin.py:{line} in refuse"
        == origin_of(failure(wrap, 1))[-1]
    )


def test_a_deep_recursion_is_cut_in_the_middle() -> None:
    """The first lines, and the last, which say most."""
    found = origin_of(failure(deep, 200))

    assert "more ..." in "".join(found)
    assert found[-3].endswith("in refuse")
    assert len("\n".join(found)) <= MOST_TEXT


@pytest.mark.parametrize("text", ["a\nb" * 5000, "x" * 100_000, "\x1b[2J\nERROR | forged\u2028ERROR"])
def test_whatever_an_error_says_the_record_is_bounded_and_indented(text: str) -> None:
    """F34: no line of it begins as a record does."""
    record, *more = logged(Failed(0, "t" * 10_000, ValueError(text), 1))

    assert len("\n".join([record, *more])) <= MOST_TEXT + 100
    assert all(line.startswith(INDENT) and line.isprintable() for line in more)


def test_an_error_that_cannot_be_looked_at_is_logged() -> None:
    """F27: its `__str__` raises."""
    (record,) = logged(Failed(0, 1, f.Unprintable(), 1))

    assert record.startswith("ERROR|work: failed after 1 attempt: 1: ")


def test_two_scripts_in_one_file_are_told_apart(tmp_path: Path) -> None:
    """By the process in each record, the number of the run, and the script's name at its beginning."""
    for name in ("first.py", "second.py"):
        (tmp_path / name).write_text(
            "from task_manager import TaskManager\nfor _ in range(2): TaskManager(abs).start([1])\n"
        )
        subprocess.run([sys.executable, name], check=True, cwd=tmp_path)
    found = [line.split(" | ", 3)[2:] for line in lines(tmp_path / "logs")]
    begun = [re.sub(r"abs\[(\d)\]: run begins: (.*?),.*", r"\1 \2", text) for _, text in found[::3]]

    assert ["1 first.py", "2 first.py", "1 second.py", "2 second.py"] == begun
    assert 2 == len({process for process, _ in found})
