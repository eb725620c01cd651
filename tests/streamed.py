"""A plugin of pytest, `-p streamed`: each start is a stream that is read to its end.

So the conformance suite and the tests of faults say what holds of streams as well.
"""

from __future__ import annotations

from typing import Any

from task_manager import Summary, TaskChain, TaskManager

DOES_NOT_APPLY = {
    "test_f33_a_mocked_pid_in_a_stage[thread-serial]": "in a stream the stages of a serial chain take "
    "turns, so that two threads mock the same thing, and leave it mocked",
    "test_f08_start_in_a_running_loop": "of what `start` says",
}


def pytest_collection_modifyitems(items: list[Any]) -> None:
    from besides import apply

    apply("streamed", items, DOES_NOT_APPLY)


def start(manager: TaskManager[Any, Any], task_list: Any) -> Summary:
    for _ in manager.stream(task_list, keep_results=manager.keep_results):
        pass
    return manager.get_summary()


async def start_async(manager: TaskManager[Any, Any], task_list: Any) -> Summary:
    async for _ in manager.stream_async(task_list, keep_results=manager.keep_results):
        pass
    return manager.get_summary()


begin_chain, begin_chain_async = TaskChain.start_chain, TaskChain.start_chain_async


def what_all_keep(chain: TaskChain) -> Any:
    """The option of all stages; None where they differ, as a stream has one for all."""
    kept = {stage.keep_results for stage in chain.stages}
    return kept.pop() if len(kept) == 1 else None


def start_chain(chain: TaskChain, tasks: Any) -> Summary:
    if (kept := what_all_keep(chain)) is None:
        return begin_chain(chain, tasks)
    for _ in chain.stream(tasks, keep_results=kept):
        pass
    return chain.get_summary()


async def start_chain_async(chain: TaskChain, tasks: Any) -> Summary:
    if (kept := what_all_keep(chain)) is None:
        return await begin_chain_async(chain, tasks)
    async for _ in chain.stream_async(tasks, keep_results=kept):
        pass
    return chain.get_summary()


TaskManager.start = start  # type: ignore[method-assign]
TaskManager.start_async = start_async  # type: ignore[method-assign]
TaskChain.start_chain = start_chain  # type: ignore[method-assign]
TaskChain.start_chain_async = start_chain_async  # type: ignore[method-assign]
