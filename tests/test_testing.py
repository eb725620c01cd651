"""What `task_manager.testing` says of executors that keep the promises, and of those that do not."""

from __future__ import annotations

from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from typing import Any, ClassVar

import pytest

from task_manager.testing import check_executor


class Confused(ThreadPoolExecutor):
    """Answers with something else."""

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        return super().submit(str, "no outcome")


class Twice(ThreadPoolExecutor):
    """Makes each call twice, as one that retries by itself may."""

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        super().submit(function, *args, **kwargs).result()
        return super().submit(function, *args, **kwargs)


class Drops(ThreadPoolExecutor):
    """Every fifth call is never made, and its future never done."""

    dropped: ClassVar[list[Future[Any]]] = []
    submitted = 0
    over = False

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        Drops.submitted += 1
        if Drops.over or Drops.submitted % 5:
            return super().submit(function, *args, **kwargs)
        future: Future[Any] = Future()
        self.dropped.append(future)
        return future


@pytest.mark.parametrize("kind", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_one_that_keeps_the_promises_passes(kind: type[Executor]) -> None:
    """The names of the checks are told."""
    passed = check_executor(partial(kind, 2))

    assert 15 == len(passed)
    assert "results are those of map" in passed


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (Confused, "results are those of map: 2000 of 2000 failed: "),
        (Twice, "each call is made once: expected "),
    ],
)
def test_one_that_does_not_is_told(kind: type[ThreadPoolExecutor], told: str) -> None:
    """The first check that fails is named, with what came."""
    with pytest.raises(AssertionError, match=told):
        check_executor(lambda: kind(2))


def test_one_that_hangs_is_told() -> None:
    """It is not waited for."""
    with pytest.raises(AssertionError, match=r"it hangs: no end within 0\.5 s"):
        check_executor(lambda: Drops(2), patience=0.5)
    Drops.over = True  # and so it goes on to its end
    for future in Drops.dropped:
        future.set_exception(RuntimeError("dropped"))
