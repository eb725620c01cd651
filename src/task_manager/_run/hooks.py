"""The hooks that make arguments of tasks, and results of what calls return: for some in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .._call import NEVER, Slot
from .._repr import text_of
from .._signals import HeldSignals, let_through
from .._stop import Stop
from .._task import Batch, has_tuples, is_tuple
from ..errors import GetArgsError, ProcessResultError
from .notes import caused


def batch_of(
    get_args: Callable[[Any], Any] | None,
    indices: list[int],
    tasks: list[Any],
    slot: Slot,
    signals: HeldSignals,
    fail: Callable[[int, Any, BaseException, int], None],
    stop: Stop,
) -> Batch:
    """First attempts for these tasks. get_args: The hook, or None. Otherwise as `calls_of`.

    stop: Of the run: once it is asked, the hook is called for no more of them.
    """
    calls: list[Any] = tasks
    unpack = get_args is not None or has_tuples(tasks)
    if get_args is not None:
        indices, tasks, calls = calls_of(get_args, stop.take(stop, indices), tasks, slot, signals, fail)
    elif unpack:
        calls = [task if is_tuple(task) else (task,) for task in tasks]
    return Batch(indices, tasks, calls, unpack, [1] * len(tasks))


def calls_of(
    get_args: Callable[[Any], Any],
    indices: Iterator[int],
    tasks: list[Any],
    slot: Slot,
    signals: HeldSignals,
    fail: Callable[[int, Any, BaseException, int], None],
) -> tuple[list[int], list[Any], list[tuple[Any, ...]]]:
    """The tasks that the hook has made arguments of: their indices, themselves, the arguments.

    slot: Told which task the hook is called for, as it may end this process.
    fail: Called with the index, the task, its error and 0 attempts, where the hook raised.
    """
    done: list[tuple[int, Any, tuple[Any, ...]]] = []
    for index, task in zip(indices, tasks):  # noqa: B905 - where the run is stopped they end early
        slot[0] = index
        slot[1] = 0.0
        try:
            args = signals.through(get_args, task)
        except Exception as error:
            let_through(error)
            fail(index, task, caused(GetArgsError(task, text_of(error)), error), 0)
        else:
            done.append((index, task, args if is_tuple(args) else (args,)))
    slot[1] = NEVER
    return (
        [index for index, _, _ in done],
        [task for _, task, _ in done],
        [args for _, _, args in done],
    )


def process_results(
    process_result: Callable[[Any, Any], Any],
    batch: Batch,
    answers: Iterable[tuple[int, Any, float]],
    slot: Slot,
    signals: HeldSignals,
    fail: Callable[[Batch, int, BaseException, float], None],
    keep: Callable[[Batch, list[int], list[Any], list[float]], None],
) -> None:
    """Make results of what calls have returned.

    answers: Position in the batch, what the call returned, and its seconds.
    slot: Told which task the hook is called for, as it may end this process.
    fail: Called for one that the hook raised for. keep: Called at the end for all the others.
    """
    positions: list[int] = []
    results: list[Any] = []
    seconds: list[float] = []
    try:
        for position, value, took in answers:
            task = batch.tasks[position]
            slot[0] = batch.indices[position]
            slot[1] = 0.0
            try:
                result = signals.through(process_result, task, value)
            except Exception as error:
                let_through(error)
                hook_error = caused(ProcessResultError(task, text_of(error), value), error)
                fail(batch, position, hook_error, took)
            else:
                positions.append(position)
                results.append(result)
                seconds.append(took)
    finally:  # what was processed before a signal's handler raised is kept
        slot[1] = NEVER
        if positions:
            keep(batch, positions, results, seconds)
