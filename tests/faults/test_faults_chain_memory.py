"""F30: in a process chain what is on its way is bounded, and what no memory holds is one error."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest

import functions as f
from scripts import Script
from task_manager import TaskChain

SCRIPT = """
import resource
from task_manager import TaskChain, TaskManager

MEGABYTE = 1 << 20

def more_memory(megabytes):
    size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    limit = size + megabytes * MEGABYTE if megabytes else resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))

def large(n):
    more_memory(0)
    return bytes(100 * MEGABYTE) if n == 3 else bytes(n)

class LargeError(Exception):
    def __str__(self):
        return "large"

def raise_large(n):
    more_memory(0)
    if n == 3:
        raise LargeError(bytes(100 * MEGABYTE))
    return bytes(n)

def small(value):
    more_memory(LAST)
    return len(value)

if __name__ == "__main__":
    more_memory(PARENT)
    stages = [TaskManager(func, logger=None, start_method="fork") for func in (FIRST, small)]
    chain = TaskChain(stages, "process")
    for _ in range(2):
        summary = chain.start_chain(range(20))
        ((task, error),) = chain.get_final_error_dict().items()
        print(summary.succeeded, summary.failed, task, error.what, error.type_name, error.__notes__[-1])
    print("end")
"""


@pytest.mark.parametrize(
    ("first", "parent", "last", "lost", "stage"),
    [
        ("large", 50, 0, "result bytes", "1 of 2 (large)"),
        ("large", 0, 50, "argument bytes", "2 of 2 (small)"),
        ("raise_large", 50, 0, "error __main__.LargeError", "1 of 2 (raise_large)"),
    ],
    ids=["a result in the caller's process", "a result in the next stage", "an error"],
)
def test_f30_what_no_memory_holds(
    first: str, parent: int, last: int, lost: str, stage: str, script: Callable[[str], Script]
) -> None:
    """In the caller's process, or in the next stage's: it is that task's error, at every start."""
    text = SCRIPT.replace("PARENT", str(parent)).replace("LAST", str(last)).replace("FIRST", first)
    printed = script(text).process.communicate(timeout=50)
    line = f"19 1 3 {lost} task_manager: in stage {stage}, for the initial task 3"

    assert ([line, line, "end"], "") == (printed[0].splitlines(), printed[1])


class Block:
    """A task of 100 KB that can be counted."""

    alive: ClassVar[weakref.WeakSet[Block]] = weakref.WeakSet()

    def __init__(self, number: int) -> None:
        self.number = number
        self.content = bytes([number % 256]) * 100_000
        self.alive.add(self)


def number_of(block: Block) -> int:
    return block.number


@pytest.mark.parametrize("mode", ["serial", "thread"])
def test_f30_an_input_of_large_tasks_is_read_ahead_by_bytes(mode: str) -> None:
    """However fast the first stage is: some ten megabytes of tasks are in the caller's process."""
    most = 0

    def blocks() -> Iterator[Block]:
        nonlocal most
        for number in range(1500):
            most = max(most, len(Block.alive))
            yield Block(number)

    options: dict[str, Any] = {"deduplicate": False, "keep_results": False}
    chain = TaskChain([f.stage(number_of, mode, worker_limit=2, **options), f.stage(f.same, **options)])
    summary = chain.run_chain_in_process(blocks())

    assert 1500 == summary.succeeded
    assert most <= 200
