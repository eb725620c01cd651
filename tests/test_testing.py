"""What `task_manager.testing` says of executors that keep the promises, and of one that does not."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from task_manager.testing import check_executor


def test_an_executor_of_the_standard_library_passes() -> None:
    """The names of the checks are told."""
    passed = check_executor(lambda: ThreadPoolExecutor(2))

    assert 8 == len(passed)
    assert "results are those of map" in passed


def test_one_that_answers_with_something_else_does_not() -> None:
    """The first check that fails is named, with what came."""

    class Confused(ThreadPoolExecutor):
        def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            return super().submit(str, "no outcome")

    with pytest.raises(AssertionError, match="results are those of map: "):
        check_executor(lambda: Confused(2))
