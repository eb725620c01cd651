"""What failed is run once more by one call: with a journal and without, here and in a new process."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from test_resume import called, make, start

from task_manager import Summary


@pytest.mark.parametrize("awaited", [False, True])
@pytest.mark.parametrize("journal", [None, "run.db"])
def test_retry_failed_runs_what_failed(journal: str | None, awaited: bool) -> None:
    """And answers with the summary of that run."""

    def again() -> Summary:
        return asyncio.run(manager.retry_failed_async()) if awaited else manager.retry_failed()

    manager = make("serial", journal=journal)
    manager.start(range(5))
    called()

    assert (1, 1, [3]) == (again().failed, again().taken, called()[:1])
    Path("mended").touch()
    assert 1 == again().succeeded
    assert {**{n: n * n for n in range(5)}} == manager.get_result_dict()
    assert 0 == again().taken


@pytest.mark.parametrize("keeps", [True, "errors", False])
def test_retry_failed_reads_the_journal_in_a_new_process(keeps: Any) -> None:
    """Whatever is kept in memory."""
    start(make("serial"), range(5))
    called()
    Path("mended").touch()
    summary = make("serial", keep_results=keeps).retry_failed()

    assert ([3], 1) == (called(), summary.succeeded)
    assert 0 == make("serial", keep_results=keeps).retry_failed().taken


def test_retry_failed_in_a_running_loop_says_what_to_await() -> None:
    """In async mode, where it would need a loop of its own."""

    async def inside() -> None:
        make("async").retry_failed()

    with pytest.raises(ValueError, match=r"use `await manager\.retry_failed_async\(\)` there"):
        asyncio.run(inside())


def test_retry_failed_says_where_nobody_knows_what_failed() -> None:
    """Without errors and without a journal."""
    manager = make("serial", keep_results=False, journal=None)

    with pytest.raises(ValueError, match="keep_results=False keeps no errors: make it with"):
        manager.retry_failed()
