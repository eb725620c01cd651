"""Plain map is the oracle: whatever the tasks are, every mode gives what map gives."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions import MODES, WAYS, count_calls, double, fit, options_of
from task_manager import TaskChain, TaskManager

some = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

MAX_RETRIES = 2

# Good ones, failing ones, ones that fail so many times before they succeed; and repeats of them all.
TASKS = st.lists(
    st.tuples(st.sampled_from(["good", "bad", "flaky"]), st.integers(0, 4), st.integers(0, 20)),
    max_size=60,
)


def behave(folder: str, kind: str, failures: int, n: int) -> int:
    if kind == "bad":
        raise ValueError(f"bad {n}")
    if kind == "flaky" and count_calls(folder, f"{failures}-{n}") <= failures:
        raise ConnectionError(f"not yet {n}")
    return n * failures


def expected(tasks: list[tuple[str, int, int]]) -> tuple[dict[Any, Any], dict[Any, Any], int]:
    """Results, errors and repeats by plain iteration."""
    results: dict[Any, int] = {}
    errors: dict[Any, tuple[type, str]] = {}
    for task in tasks:
        kind, failures, n = task
        if kind == "bad":
            errors[task] = (ValueError, f"bad {n}")
        elif kind == "flaky" and failures > MAX_RETRIES:
            errors[task] = (ConnectionError, f"not yet {n}")
        else:
            results[task] = n * failures
    return results, errors, len(tasks) - len(results) - len(errors)


class InFolder(TaskManager):
    """Counts calls in a folder of its own."""

    folder = ""

    def get_args(self, task: tuple[str, int, int]) -> tuple[Any, ...]:
        return (self.folder, *task)


def shown(errors: Any) -> dict[Any, tuple[type, str]]:
    return {task: (type(error), str(error)) for task, error in errors.items()}


@pytest.fixture(params=WAYS)
def manager(request: pytest.FixtureRequest) -> Iterator[InFolder]:
    """One for all examples, whose workers are there: to start them for each is most of the time."""
    way = request.param
    with InFolder(
        fit(behave, way),
        **options_of(way),
        worker_limit=2,
        max_retries=MAX_RETRIES,
        retry_delay=0.0,
        logger=None,
    ) as made:
        yield made


@given(tasks=TASKS)
@some
def test_f25_every_mode_gives_what_map_gives(
    manager: InFolder, tasks: list[tuple[str, int, int]]
) -> None:
    """The same random tasks give the same results and errors in all modes."""
    manager.reset()
    with tempfile.TemporaryDirectory() as folder:
        manager.folder = folder
        summary = manager.start(tasks)
        results, errors, repeats = expected(tasks)

        assert results == manager.get_result_dict()
        assert errors == shown(manager.get_error_dict())
        assert (len(results), len(errors), repeats) == (
            summary.succeeded,
            summary.failed,
            summary.duplicates,
        )
        assert len(tasks) == summary.taken


@pytest.mark.parametrize("chain_mode", ["serial", "thread", "process"])
@given(tasks=TASKS, modes=st.lists(st.sampled_from(MODES), min_size=2, max_size=2))
@some
def test_f25_every_chain_gives_what_map_gives(
    chain_mode: str, tasks: list[tuple[str, int, int]], modes: list[str]
) -> None:
    """And so do chains, whatever the modes of their stages."""
    first = InFolder(
        fit(behave, modes[0]), modes[0], max_retries=MAX_RETRIES, retry_delay=0.0, logger=None
    )
    chain = TaskChain([first, TaskManager(fit(double, modes[1]), modes[1], logger=None)], chain_mode)
    with tempfile.TemporaryDirectory() as folder:
        first.folder = folder
        summary = chain.start_chain(tasks)
        results, errors, repeats = expected(tasks)

        assert {task: 2 * result for task, result in results.items()} == chain.get_final_result_dict()
        assert errors == shown(chain.get_final_error_dict())
        assert (len(results), len(errors), repeats) == (
            summary.succeeded,
            summary.failed,
            summary.duplicates,
        )


@given(
    tasks=st.lists(st.recursive(st.integers(0, 3) | st.text("ab", max_size=2), st.lists, max_leaves=4))
)
@some
def test_unhashable_tasks_are_deduplicated_by_content(tasks: list[Any]) -> None:
    """Repeats among lists of lists are found as equality finds them."""
    distinct: list[Any] = []
    for task in tasks:
        if task not in distinct:
            distinct.append(task)
    with TaskManager(repr, logger=None) as manager:
        manager.start(tasks)

        assert distinct == list(manager.get_result_dict())
        assert list(map(repr, distinct)) == list(manager.get_result_dict().values())
