"""worker_state: made once in each worker, given to its calls, cleaned up as the worker ends in peace."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from functions import CHAIN_MODES, WAYS, manager_of
from scripts import Script
from states import EACH_MODE, FORK, Noted, note, noted, the_state, use
from task_manager import TaskChain, TaskManager, WorkerStartError


def plain_state(path: str) -> str:
    note(path, "up")
    return path


def use_two(state: str, x: int, y: int) -> tuple[str, int]:
    return state, x + y


@pytest.mark.parametrize("way", WAYS)
def test_once_a_worker(way: str, tmp_path: Path) -> None:
    """Each worker that made a call made its state first, once, also over two runs; so for clean-ups."""
    path = tmp_path / "notes"
    with manager_of(use, way, worker_state=Noted(path)) as manager:
        manager.start(range(20))
        manager.start(range(20, 40))
        ups = noted(path, "up")
        runs = 2 if way == "async" else 1  # a loop each
        callers = set(noted(path, "call"))

        assert len(ups) == len(set(ups)) * runs
        assert callers <= set(ups)
        assert len(ups) <= 2
    assert sorted(noted(path, "down")) == sorted(ups)


@pytest.mark.parametrize("way", EACH_MODE)
def test_the_first_argument(way: str) -> None:
    """The state stands before the unpacked tuple, and before the arguments that get_args gives."""

    class Shifted(TaskManager):
        def get_args(self, task: Any) -> Any:
            return (task, 100)

    plain = manager_of(use_two, way, worker_state=functools.partial(str, "s"))
    shifted = manager_of(use_two, way, cls=Shifted, worker_state=functools.partial(str, "s"))
    with plain, shifted:
        plain.start([(1, 2)])
        shifted.start([1])

        assert dict(plain.get_result_dict()) == {(1, 2): ("s", 3)}
        assert dict(shifted.get_result_dict()) == {1: ("s", 101)}


@pytest.mark.parametrize("way", EACH_MODE)
def test_a_plain_function(way: str, tmp_path: Path) -> None:
    """A function that returns makes a state, too, and there is nothing to clean up."""
    path = tmp_path / "notes"
    with manager_of(use, way, worker_state=functools.partial(plain_state, str(path))) as manager:
        summary = manager.start(range(5))

        assert summary.succeeded == 5
        assert 1 <= len(noted(path, "up")) <= 2


@pytest.mark.parametrize("way", EACH_MODE)
def test_nothing_to_do(way: str, tmp_path: Path) -> None:
    """Without a task there is no worker, and no state."""
    path = tmp_path / "notes"
    with manager_of(use, way, worker_state=Noted(path)) as manager:
        manager.start([])

        assert noted(path, "up") == []


@pytest.mark.parametrize(("way", "slow"), [("thread", 0.4), ("async", 0.7), (FORK, 1.2)])
def test_a_slow_clean_up_is_waited_for(way: str, slow: float, tmp_path: Path) -> None:
    """Ending the pools waits for clean-ups, though an idle worker without one would be given less."""
    path = tmp_path / "notes"
    manager = manager_of(use, way, worker_state=Noted(path, slow=slow))
    manager.start(range(4))
    manager.shutdown_pools()

    assert sorted(noted(path, "down")) == sorted(noted(path, "up"))


async def async_state() -> AsyncIterator[list[str]]:
    said = ["up"]
    yield said
    said.append("down")


async def coroutine_state() -> str:
    return "made"


def slow_state() -> int:
    time.sleep(0.4)
    return 5


@pytest.mark.parametrize("way", ["thread", "async", FORK])
def test_outside_the_time_limit(way: str) -> None:
    """The time that a set-up takes is no time of a call."""
    with manager_of(the_state, way, worker_state=slow_state, task_timeout=0.2) as manager:
        summary = manager.start(range(4))

        assert summary.succeeded == 4


async def use_async(state: Any, task: Any) -> Any:
    return state


def test_async_ones() -> None:
    """In async mode it may be an async generator function, or a coroutine function."""
    manager = TaskManager(use_async, "async", worker_state=async_state, logger=None)
    manager.start([1, 2])
    other = TaskManager(use_async, "async", worker_state=coroutine_state, logger=None)
    other.start([1])

    assert manager.get_result_dict()[1] == ["up", "down"]
    assert manager.get_result_dict()[1] is manager.get_result_dict()[2]
    assert other.get_result_dict()[1] == "made"


@pytest.mark.parametrize("way", EACH_MODE)
def test_a_coroutine_out_of_a_plain_function(way: str) -> None:
    """In async mode, too, it says what to give."""
    with (
        manager_of(the_state, way, worker_state=hides_a_coroutine) as manager,
        pytest.raises(WorkerStartError, match="async mode give the coroutine function itself"),
    ):
        manager.start([1])


def hides_a_coroutine() -> Any:
    return coroutine_state()


@contextmanager
def decorated() -> Iterator[str]:
    yield "made"


@asynccontextmanager
async def decorated_async() -> AsyncIterator[str]:
    yield "made"


@pytest.mark.parametrize(
    ("way", "make"), [*((way, decorated) for way in EACH_MODE), ("async", decorated_async)]
)
def test_what_nothing_would_enter_is_no_state(way: str, make: Any) -> None:
    """Who decorates the generator function is told to leave that."""
    with (
        manager_of(the_state, way, worker_state=make) as manager,
        pytest.raises(WorkerStartError, match="leave the decorator @contextmanager out"),
    ):
        manager.start([1])


@pytest.mark.parametrize("chain_mode", CHAIN_MODES)
@pytest.mark.parametrize("way", EACH_MODE)
def test_stages_of_a_chain(chain_mode: str, way: str, tmp_path: Path) -> None:
    """Each stage has its own, in its own process, and cleans up there."""
    paths = [tmp_path / "first", tmp_path / "second"]
    first = manager_of(use, way, worker_state=Noted(paths[0]))
    second = manager_of(use, way, worker_state=Noted(paths[1]))
    with first, second:
        chain = TaskChain([first, second], chain_mode)
        chain.start_chain(range(10))

        assert list(chain.get_final_result_dict().values()) == list(range(10))
    for path in paths:
        assert set(noted(path, "call")) <= set(noted(path, "up"))
        assert sorted(noted(path, "down")) == sorted(noted(path, "up"))
    if chain_mode == "process":
        pids = [{worker.split(":")[0] for worker in noted(path, "up")} for path in paths]
        assert str(os.getpid()) not in pids[0] | pids[1]
        assert not pids[0] & pids[1]


SCRIPT = """
import weakref

class Early: ...

early = Early()
weakref.finalize(early, str)  # now those of weakref run at exit after whatever is imported from here on

from functions import WAYS, manager_of
from states import Noted, use

if __name__ == "__main__":
    managers = [manager_of(use, way, worker_state=Noted({path!r} + way)) for way in WAYS]
    for manager in managers:
        manager.start(range(8))
"""


def test_at_the_interpreters_exit(script: Callable[[str], Script], tmp_path: Path) -> None:
    """A script that ends without closing its managers has the clean-ups all the same, in each mode."""
    done = script(SCRIPT.format(path=str(tmp_path) + os.sep)).process

    assert (done.wait(30), done.communicate()[1]) == (0, "")
    for way in WAYS:
        ups = noted(tmp_path / way, "up")
        assert ups, way
        assert sorted(noted(tmp_path / way, "down")) == sorted(ups)


class Model:
    """Stands for one that is large: how often it is loaded is counted in a file."""

    def __init__(self, path: str) -> None:
        note(path, "loaded")
        self.path = path
        self.weights = bytearray(1 << 20)


def score(model: Model, row: int) -> tuple[int, int]:
    return id(model), len(model.weights) + row


@pytest.mark.parametrize("way", EACH_MODE)
def test_a_model_is_loaded_once_a_worker(way: str, tmp_path: Path) -> None:
    """For 1,000 rows as for 10, and it is one object for all calls of a worker."""
    path = tmp_path / "notes"
    with manager_of(score, way, worker_state=functools.partial(Model, str(path))) as manager:
        manager.start(range(1_000))
        models = {model for model, _ in manager.get_result_dict().values()}

    loaded = noted(path, "loaded")
    assert len(loaded) == len(set(loaded)) <= 2
    assert len(models) <= len(loaded)
