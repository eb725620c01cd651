"""What a chain refuses and says: its stages, its mode, one start at a time."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any, ClassVar

import pytest

import functions as f
from functions import chain_of, stage
from task_manager import (
    ConfigurationError,
    TaskChain,
    TaskManager,
)

both = pytest.mark.parametrize("chain_mode", f.CHAIN_MODES)


def test_a_chain_needs_a_stage() -> None:
    """Starting without one is a ValueError that says so."""
    with pytest.raises(ValueError, match="at least one stage"):
        TaskChain([]).start_chain([1])


@pytest.mark.parametrize("index", [2, -3])
def test_remove_stage_out_of_range(index: int) -> None:
    """An IndexError says how many stages there are."""
    with pytest.raises(IndexError, match="the chain has 2"):
        chain_of("serial", f.same, f.same).remove_stage(index)


@pytest.mark.parametrize("index", [stage(f.same), slice(None), "0", 1.0, None])
def test_remove_stage_takes_an_index(index: Any) -> None:
    """A TypeError says so, and no stage is gone."""
    chain = chain_of("serial", f.same, f.same)
    with pytest.raises(TypeError, match="index must be a whole number"):
        chain.remove_stage(index)

    assert 2 == len(chain.stages)


@pytest.mark.parametrize(("stages", "name"), [(None, "NoneType"), (stage(f.same), "TaskManager")])
def test_stages_are_iterable(stages: Any, name: str) -> None:
    """One manager is no list of managers."""
    with pytest.raises(ConfigurationError) as caught:
        TaskChain(stages)

    assert f"stages must be an iterable of managers, as a list; got {name}" == str(caught.value)


class StartsTheChain(TaskManager):
    """Starts its chain once more, in the middle of a start."""

    chain: TaskChain
    mode = ""
    refused = ""
    asked: ClassVar[list[int]] = []

    def get_args(self, task: int) -> int:
        self.asked.append(task)
        return task

    def handle_error(self) -> None:
        try:
            getattr(self.chain, f"run_chain_in_{self.mode}")([2])
        except RuntimeError as error:
            self.refused = str(error)


@both
def test_a_chain_makes_one_start_at_a_time(chain_mode: str) -> None:
    """Another start is refused before a hook of any stage has seen its tasks."""
    first, second = StartsTheChain(f.same, logger=None), stage(f.plus_one)
    first.asked.clear()
    first.mode = chain_mode
    first.chain = TaskChain([first, second])
    first.chain.start_chain([1])

    assert "this chain is running; a chain makes one start at a time" == first.refused
    assert [1] == first.asked
    assert {1: 2} == first.chain.get_final_result_dict()


def test_a_start_that_failed_gives_the_turn_back() -> None:
    """Whatever it raised, the next start is made."""
    chain = chain_of("serial", f.same)
    with pytest.raises(ConfigurationError):
        chain.start_chain(None)  # type: ignore[arg-type]

    assert 1 == chain.start_chain([1]).succeeded


def test_a_chain_can_be_copied() -> None:
    """Also in the middle of a start: the copy makes its own."""
    chain = chain_of("serial", f.same)
    with chain._turn.one_run("the first"):
        copy = pickle.loads(pickle.dumps(chain))

    assert 1 == copy.start_chain([1]).succeeded


def test_stages_are_managers() -> None:
    """What is no manager, or is in the chain already, is refused."""
    manager = stage(f.same)
    with pytest.raises(ConfigurationError, match="must be a TaskManager"):
        TaskChain([f.same])  # type: ignore[list-item]
    with pytest.raises(ConfigurationError, match="is in the chain"):
        TaskChain([manager, manager])


def test_wrong_chain_modes() -> None:
    """Constructor and setter say what is right."""
    with pytest.raises(ValueError, match="serial, thread, process; got 'proces'"):
        TaskChain([stage(f.same)], "proces")
    with pytest.raises(ValueError, match="serial, thread, process; got None"):
        chain_of("serial", f.same).set_chain_mode(None)  # type: ignore[arg-type]


def test_f08_a_serial_chain_with_an_async_stage_inside_a_loop() -> None:
    """It is refused at once, with what to do, and that does it."""
    chain = TaskChain([stage(f.plus_one, "async")])

    async def main() -> None:
        with pytest.raises(ConfigurationError) as caught:
            chain.start_chain([1])
        assert (
            "a serial chain with an async stage cannot start inside a running event loop: "
            "use `await chain.start_chain_async(tasks)` there"
        ) == str(caught.value)
        await chain.start_chain_async([1])

    asyncio.run(main())

    assert {1: 2} == chain.get_final_result_dict()
