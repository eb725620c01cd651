"""What breaks in a chain. More on F5, F9, F13, F16 and F21 to F24 stands in test_chain.py."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest

import functions as f
from functions import stage
from task_manager import ConfigurationError, TaskChain, TaskManager, WorkerStartError

both = pytest.mark.parametrize("chain_mode", ["serial", "process"])


# ------------------------------------------------------------------ F23: a stage that cannot go on


class Locked:
    """Can be pickled by nothing."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __call__(self, task: Any) -> Any:
        return task


class ExitsInHook(TaskManager):
    def process_result(self, task: int, result: int) -> int:
        if task == 7:
            raise SystemExit("in a hook")
        return result


def interrupt_on_seven(x: int) -> int:
    if x == 7:
        raise KeyboardInterrupt
    return x


BROKEN_OFF = {
    "its function cannot be sent": (lambda: stage(Locked(), "process"), ConfigurationError),
    "its workers cannot start": (lambda: stage(f.LoadsNowhere(), "process"), WorkerStartError),
    "its hook exits": (lambda: ExitsInHook(f.same, logger=None), SystemExit),
    "its function is interrupted": (lambda: stage(interrupt_on_seven), KeyboardInterrupt),
}


@pytest.mark.parametrize(("make", "kind"), BROKEN_OFF.values(), ids=BROKEN_OFF)
def test_f23_a_stage_that_is_broken_off_ends_the_chain(make: Any, kind: type[BaseException]) -> None:
    """Its error is raised, and the stage before it is not left waiting: here for an endless input."""
    last = TaskManager(f.same, logger=None)
    chain = TaskChain([stage(f.same), make(), last], "process")
    with pytest.raises(kind):
        chain.start_chain(itertools.count())
    summary = chain.get_summary()

    assert 0 == summary.failed
    assert summary.not_started > 0
    assert len(chain.get_final_result_dict()) == summary.succeeded
