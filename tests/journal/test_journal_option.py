"""The option `journal`, and the class Journal: checked where they are given, and no disk is touched."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import pytest

from journals import work
from task_manager import ConfigurationError, Journal, JournalError, TaskChain, TaskManager

PATH = "journal must be None, the path of a file or a Journal"


@pytest.mark.parametrize("value", [5, True, b"run.db", "", [], "a\0b", Journal])
def test_what_is_no_journal_is_refused(value: Any) -> None:
    """By managers and by chains."""
    with pytest.raises(ConfigurationError) as of_manager:
        TaskManager(work, journal=value)
    with pytest.raises(ConfigurationError) as of_chain:
        TaskChain([], journal=value)

    assert f"{PATH}; got {value!r}" == str(of_manager.value) == str(of_chain.value)


@pytest.mark.parametrize("value", ["run.db", Path("run.db")])
def test_a_path_is_a_journal_with_the_usual_options(value: Any) -> None:
    """And can be read on the manager and on the chain."""
    found = TaskManager(work, journal=value).journal, TaskChain([], journal=value).journal

    assert (Journal(value), Journal(value)) == found
    assert ("pickle", False, "run") == (found[0].codec, found[0].started, found[0].in_doubt)  # type: ignore[union-attr]


def test_without_one_there_is_none() -> None:
    """The usual way."""
    assert None is TaskManager(work).journal
    assert None is TaskManager(work, journal=None, deduplicate=False).journal


def test_no_file_is_made_before_a_run() -> None:
    """A worker that imports the script makes the manager again."""
    TaskManager(work, journal="run.db")
    TaskChain([TaskManager(work)], journal=Journal("chain.db", started=True))

    assert [] == list(Path().iterdir())


def test_a_journal_with_deduplicate_off_is_refused() -> None:
    """It could not know which of two equal tasks is done."""
    with pytest.raises(ConfigurationError) as caught:
        TaskManager(work, journal="run.db", deduplicate=False)

    assert (
        "journal needs deduplicate=True: what is done is known by the task, so that equal tasks are one"
        == str(caught.value)
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": 5}, "path must be the path of a file; got 5"),
        ({"path": b"run.db"}, "path must be the path of a file; got b'run.db'"),
        ({"path": ""}, "path must be the path of a file; got ''"),
        ({"codec": "yaml"}, "codec must be one of pickle, json; got 'yaml'"),
        ({"codec": None}, "codec must be one of pickle, json; got None"),
        ({"started": 1}, "started must be True or False; got 1"),
        ({"in_doubt": "ask"}, "in_doubt must be one of run, error; got 'ask'"),
        (
            {"in_doubt": "error"},
            "in_doubt='error' needs started=True: what is about to be called must be written first",
        ),
    ],
)
def test_a_wrong_option_of_a_journal_is_refused(options: dict[str, Any], message: str) -> None:
    """The message says what came and what is right."""
    with pytest.raises(ConfigurationError) as caught:
        Journal(**{"path": "run.db", **options})

    assert message == str(caught.value)


def test_a_journal_is_a_value() -> None:
    """It travels with its manager, and does not change."""
    journal = Journal("run.db", codec="json", started=True, in_doubt="error")
    with pytest.raises(dataclasses.FrozenInstanceError):
        journal.path = "other.db"  # type: ignore[misc]

    assert journal == pickle.loads(pickle.dumps(journal))


def test_a_journal_error_is_met_as_a_wrong_option_is() -> None:
    """Who catches a ConfigurationError, or a ValueError, has it."""
    assert issubclass(JournalError, ConfigurationError)
    assert issubclass(JournalError, ValueError)
