"""start_chain_async: a chain in an event loop that others use as well; and queues as input of chains."""

from __future__ import annotations

import asyncio
import os
import queue
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

import functions as f
from functions import stage
from scripts import Script
from task_manager import END, StageDiedError, TaskChain, TaskManager
from task_manager.events import Event, Waiting

LONG = 30.0
both = pytest.mark.parametrize("chain_mode", f.CHAIN_MODES)
modes = pytest.mark.parametrize("mode", f.MODES)


@both
@modes
def test_a_chain_in_a_running_loop(chain_mode: str, mode: str) -> None:
    """Results, errors and summary are those of start_chain, and the loop goes on meanwhile."""
    turns = 0

    async def main() -> None:
        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(others())
        summary = await chain.start_chain_async(range(40))
        task.cancel()
        assert (39, 1, 0) == (summary.succeeded, summary.failed, summary.not_started)

    chain = TaskChain([stage(f.fail_on_seven, mode), stage(f.double, mode)], chain_mode)
    asyncio.run(main())

    assert {n: 2 * n for n in range(40) if n != 7} == chain.get_final_result_dict()
    assert [7] == list(chain.get_final_error_dict())
    assert turns > 1


class Hooked(TaskManager):
    thread = 0

    def process_result(self, task: Any, result: Any) -> Any:
        self.__dict__["thread"] = threading.get_ident()
        return result


def test_hooks_of_a_serial_chain_are_called_in_the_loops_thread() -> None:
    """As those of start_async."""
    manager = Hooked(f.same, "thread", logger=None)
    asyncio.run(TaskChain([manager]).start_chain_async([1]))

    assert threading.get_ident() == manager.thread


@both
@pytest.mark.parametrize("awaited", [False, True], ids=["start_chain", "start_chain_async"])
def test_results_come_while_a_queue_waits(chain_mode: str, awaited: bool) -> None:
    """To the end of the chain; in serial mode the first stage takes each at once."""
    tasks: queue.Queue[int] = queue.Queue()
    chain = TaskChain([stage(f.plus_one), stage(f.double)], chain_mode)
    ready = chain.stages[0] if chain_mode == "serial" else chain

    def produce() -> None:
        for n in range(4):
            tasks.put(n)
            until = time.monotonic() + LONG
            results = getattr(ready, "get_final_result_dict", None) or ready.get_result_dict
            while len(results()) <= n and time.monotonic() < until:
                time.sleep(0.002)
        tasks.put(END)

    thread = threading.Thread(target=produce)
    thread.start()
    summary = asyncio.run(chain.start_chain_async(tasks)) if awaited else chain.start_chain(tasks)
    thread.join()

    assert (4, 0) == (summary.succeeded, summary.not_started)
    assert {n: 2 * (n + 1) for n in range(4)} == chain.get_final_result_dict()


@both
def test_join_returns_when_all_are_through(chain_mode: str) -> None:
    """Where the last stage waits for the first to end, in serial mode, after the end marker."""
    tasks: queue.Queue[int] = queue.Queue()
    for n in (1, 2, 7, 2):
        tasks.put(n)
    tasks.put(END)
    TaskChain([stage(f.fail_on_seven), stage(f.same)], chain_mode).start_chain(tasks)

    assert 0 == tasks.unfinished_tasks


@both
def test_an_async_iterable_into_a_chain(chain_mode: str) -> None:
    """It may wait, and its error is raised at the end."""

    async def tasks() -> AsyncIterator[int]:
        for n in range(30):
            await asyncio.sleep(0.001)
            yield n
        raise LookupError("the cursor is gone")

    chain = TaskChain([stage(f.plus_one), stage(f.double)], chain_mode)
    with pytest.raises(LookupError):
        asyncio.run(chain.start_chain_async(tasks()))

    assert {n: 2 * (n + 1) for n in range(30)} == chain.get_final_result_dict()


@both
def test_f09_a_cancelled_chain(chain_mode: str) -> None:
    """As a Ctrl-C: what is done is kept, an async generator is closed, the next start works."""
    closed = []

    async def endless() -> AsyncIterator[int]:
        n = 0
        try:
            while True:
                yield n
                n += 1
                await asyncio.sleep(0.001)
        finally:
            closed.append(True)

    async def main() -> None:
        running = asyncio.create_task(chain.start_chain_async(endless()))
        while not chain.stages[0].get_result_dict() and not chain.get_final_result_dict():
            await asyncio.sleep(0.001)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert [True] == closed

    chain = TaskChain([stage(f.plus_one), stage(f.double)], chain_mode)
    asyncio.run(main())
    first = chain.get_summary()
    kept = len(chain.get_final_result_dict())
    chain.start_chain([-1])

    assert (kept, 0) == (first.succeeded, first.failed)
    assert first.taken == first.succeeded + first.not_started
    assert 0 == chain.get_final_result_dict()[-1]


def test_f21_a_stage_that_dies_in_a_running_loop() -> None:
    """One task is charged, the others get through, in a new round."""

    async def main() -> None:
        await chain.start_chain_async(range(20))

    chain = TaskChain([stage(f.same), stage(die_on_seven)], "process")
    asyncio.run(main())

    assert {n: n for n in range(20) if n != 7} == chain.get_final_result_dict()
    assert [StageDiedError] == [type(error) for error in chain.get_final_error_dict().values()]


def die_on_seven(x: int) -> int:
    if x == 7:
        os._exit(1)
    return x


@both
def test_observers_are_told_that_a_chain_waits(chain_mode: str) -> None:
    """The bars and logs of its stages live on while the queue is empty."""
    tasks: queue.Queue[int] = queue.Queue()
    ticks: list[Event] = []

    class Diary:
        def observe(self, event: Event) -> None:
            if isinstance(event, Waiting):
                ticks.append(event)
                if len(ticks) == 3:
                    tasks.put(END)

    chain = TaskChain([stage(f.same)], chain_mode, observers=[Diary()])
    chain.start_chain(tasks)

    assert len(ticks) >= 3


def test_two_chains_beside_each_other_in_one_loop() -> None:
    """Each in its mode."""

    async def main() -> None:
        await asyncio.gather(*(chain.start_chain_async(range(20)) for chain in chains))

    chains = [f.chain_of(mode, f.plus_one, f.double) for mode in f.CHAIN_MODES]
    asyncio.run(main())

    assert [{n: 2 * (n + 1) for n in range(20)}] * 3 == [c.get_final_result_dict() for c in chains]


WAITING_RUN = """
import asyncio, queue, threading
from task_manager import TaskChain, TaskManager

def same(x):
    return x

async def same_async(x):
    return x

class Says(TaskManager):
    def process_result(self, task, result):
        print("working", flush=True)
        return result

if __name__ == "__main__":
    tasks = queue.Queue()
    tasks.put(1)
    manager = Says(same_async if MODE == "async" else same, MODE, worker_limit=2, logger=None)
    chain = TaskChain([manager], CHAIN or "serial")
    try:
        START
    except KeyboardInterrupt:
        owner = chain if CHAIN else manager
        print("back", owner.get_summary().succeeded, owner.get_summary().not_started)
"""
STARTS = {
    "start": "manager.start(tasks)",
    "start_async": "asyncio.run(manager.start_async(tasks))",
    "chain serial": "chain.start_chain(tasks)",
    "chain thread": "chain.start_chain(tasks)",
    "chain process": "chain.start_chain(tasks)",
    "awaited chain serial": "asyncio.run(chain.start_chain_async(tasks))",
    "awaited chain thread": "asyncio.run(chain.start_chain_async(tasks))",
    "awaited chain process": "asyncio.run(chain.start_chain_async(tasks))",
}


@pytest.mark.parametrize(
    ("start", "mode"),
    [(start, mode) for start in ("start", "start_async") for mode in f.MODES]
    + [(start, "thread") for start in STARTS if "chain" in start],
)
def test_f09_a_ctrl_c_while_a_queue_waits(
    start: str, mode: str, script: Callable[[str], Script]
) -> None:
    """Back at once with KeyboardInterrupt, the result kept, no child left."""
    text = WAITING_RUN.replace("START", STARTS[start]).replace("MODE", repr(mode))
    running = script(text.replace("CHAIN", repr(start.split()[-1] if "chain" in start else "")))
    running.wait_for("working")
    time.sleep(0.6 if start.endswith("process") else 0.3)  # the stage that has printed it tells of it
    os.killpg(running.process.pid, signal.SIGINT)
    out, err = running.process.communicate(timeout=LONG)

    assert "back 1 0" == out.splitlines()[-1], err
    assert [] == running.left_after(10)
    assert len(err.splitlines()) <= 5
