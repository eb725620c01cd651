"""A script with a journal may be killed at any moment: every task has one outcome in the end."""

from __future__ import annotations

from pathlib import Path

import pytest

from kills.driver import run


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("mode", "in_doubt"),
    [
        ("serial", "run"),
        ("thread", "error"),
        ("process", "run"),
        ("process", "error"),
        ("async", "error"),
        ("chain-serial", "run"),
        ("chain-thread", "error"),
        ("chain-process", "error"),
    ],
)
def test_a_script_that_is_killed_goes_on(mode: str, in_doubt: str, tmp_path: Path) -> None:
    """No call is made again whose outcome is in the journal; with in_doubt='error' none is at all.

    `python -m tests.kills` does the same with 20,000 tasks and 20 kills.
    """
    story = run(tmp_path, mode, tasks=600, kills=2, in_doubt=in_doubt, seed=12)

    assert ([], 2) == (story.faults, story.kills)
