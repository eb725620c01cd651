"""The hook that makes the arguments of calls, called for some tasks in turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._call import NEVER, Slot
from .._repr import text_of
from .._signals import HeldSignals, let_through
from .._task import is_tuple
from ..errors import GetArgsError
from .notes import caused


def calls_of(
    get_args: Callable[[Any], Any],
    indices: list[int],
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
    for index, task in zip(indices, tasks, strict=True):
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
