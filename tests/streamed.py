"""A plugin of pytest, `-p streamed`: each start is a stream that is read to its end.

So the conformance suite and the tests of faults say what holds of streams as well.
"""

from __future__ import annotations

from typing import Any

from task_manager import Summary, TaskChain, TaskManager

TURNS = "in a stream the stages of a serial chain take turns"

DOES_NOT_APPLY = {
    "test_f33_a_mocked_pid_in_a_stage[thread-serial]": f"{TURNS}: two threads mock the same thing",
    "test_f26_a_limit_in_a_chain_is_not_taken_for_a_complaint": TURNS,
    "test_f09_a_chain_counts_what_it_has_not_started": TURNS,
    **{
        f"test_f37_what_runs_at_a_stage_is_finished[{mode}-serial-{how}]": TURNS
        for mode in ("serial", "thread", "process", "async")
        for how in ("start", "start_async")
    },
    "test_f26_a_limit_in_an_event_loop[start-block_the_loop]": "in a stream the loop has a thread "
    "of its own, and is left alone with a call that blocks it",
    "test_f08_start_in_a_running_loop": "it is about what `start` says",
    "test_f08_a_serial_chain_with_an_async_stage_inside_a_loop": "it is about what `start` says",
    "test_f17_the_warning_names_the_line_of_the_user": "the line is one of this plugin",
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
