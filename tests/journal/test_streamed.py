"""A stream that keeps nothing, over a journal: what the file has is there for who asks later."""

from __future__ import annotations

from typing import Any

import pytest

from functions import CHAIN_MODES, stage
from task_manager import TaskChain, TaskManager


def halve(task: int) -> float:
    if task % 2:
        raise ValueError(task)
    return task / 2


def manager() -> TaskManager:
    return TaskManager(halve, journal="run.db", logger=None, max_retries=0)


def found(manager: TaskManager) -> tuple[dict[Any, Any], list[Any]]:
    return dict(manager.get_result_dict()), list(manager.get_error_dict())


@pytest.mark.parametrize("kept", [False, "errors"])
@pytest.mark.parametrize("streamed", [range(0), range(4, 8)])
def test_a_start_after_it_has_the_earlier_results(kept: Any, streamed: range) -> None:
    """Of the starts before, and of the stream itself."""
    manager().start(range(4))
    later = manager()
    list(later.stream(streamed, keep_results=kept))
    later.start([])

    every = [*range(4), *streamed]
    assert ({n: n / 2 for n in every if n % 2 == 0}, [n for n in every if n % 2]) == found(later)


def test_a_stream_between_two_starts() -> None:
    """What it has done is read from the file, beside what the first start has kept."""
    one = manager()
    one.start(range(2))
    list(one.stream(range(2, 4)))
    one.start(range(4))

    assert ({0: 0.0, 2: 1.0}, [1, 3]) == found(one)


@pytest.mark.parametrize("chain_mode", CHAIN_MODES)
def test_in_a_chain(chain_mode: str) -> None:
    """The same, for the final results."""

    def chain() -> TaskChain:
        return TaskChain([stage(abs), stage(halve)], chain_mode, journal="chain.db")

    chain().start_chain(range(4))
    later = chain()
    list(later.stream(range(6)))
    later.start_chain([])

    assert {0: 0.0, 2: 1.0, 4: 2.0} == later.get_final_result_dict()
    assert [1, 3, 5] == list(later.get_final_error_dict())
