"""What a manager wants of a run that starts now: its options and hooks as they are, and who is told."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from ._hooks import Hooks, check_assigned_hooks
from ._notice import Notice
from ._repr import name_of
from ._rules.ends import Ends
from ._rules.retry import RetryPolicy
from ._run.plan import Plan
from ._run.results import Keeps
from ._run.runs import Runs
from ._run.source import Input
from ._runners import Orders
from ._runners.modes import mode_of
from .events import Observer
from .progress import ProgressObserver

Manager = Hooks[Any, Any]


def plan_of(manager: Manager, more: Iterable[Observer] = ()) -> Plan:
    """What it wants of a run that starts now: its options, hooks and observers as they are, and more."""
    check_assigned_hooks(manager)
    mode = mode_of(manager.execution_mode, manager.address)
    return Plan(
        owner=repr(manager),
        name=name_of_function(manager),
        func=manager.func,
        mode=mode,
        orders=Orders(
            manager.worker_limit or mode.workers(),
            manager.task_timeout,
            manager.start_method,
            executor=mode.executor,
            limited=manager.worker_limit is not None,
            worth=mode.worth_of_batch(manager.worker_limit or mode.workers()),
            state=manager.worker_state,
            most_calls=manager.max_tasks_per_worker,
        ),
        retry=RetryPolicy(
            manager.max_retries,
            manager.retry_exceptions,
            manager.retry_delay,
            manager.max_retry_delay,
        ),
        keeps=manager.keep_results,
        distinct=manager.deduplicate,
        get_args=_overridden(manager, "get_args"),
        process_result=_overridden(manager, "process_result"),
        get_retry_delay=_overridden(manager, "get_retry_delay"),
        process_error=_overridden(manager, "process_error"),
        handle_error=manager.handle_error,
        journal=manager.journal,
        rate=manager.rate_limit,
        rate_key=manager.rate_key,
        ends=Ends(manager.max_failures, manager.deadline),
        observers=(*(observer for made in _OBSERVERS for observer in made(manager)), *more),
    )


def plan_of_start(manager: Manager, runs: Runs, source: Input, keeps: Keeps | None = None) -> Plan:
    """The same, of a start of its own: with those who are told of its input, and of failures at the end.

    runs: What it keeps. keeps: In the place of its option.
    """
    kept = manager.keep_results if keeps is None else keeps
    notice = Notice(
        name_of_function(manager),
        [manager.show_progress],
        [manager.logger],
        kept,
        runs.unsaid,
        lambda: runs.results.errors(),
    )
    return replace(plan_of(manager, [*source.observers, notice]), keeps=kept)


def name_of_function(manager: Manager) -> str:
    """For people: of what a partial was made of, if it is one."""
    func = manager.func.func if isinstance(manager.func, functools.partial) else manager.func
    return name_of(func)


def name_of_mode(manager: Manager) -> str:
    """For people: of an executor its class."""
    return mode_of(manager.execution_mode).name


def _overridden(manager: Manager, hook: str) -> Callable[..., Any] | None:
    """The hook as a method, None where it is the base's own and need not be called."""
    method = getattr(manager, hook)
    return None if getattr(method, "__func__", None) is getattr(Hooks, hook) else method


def _bar(manager: Manager) -> Iterable[Observer]:
    return [ProgressObserver(manager.progress_desc)] if manager.show_progress else []


def _log(manager: Manager) -> Iterable[Observer]:
    return [] if manager.logger is None else [manager.logger.observer(name_of_function(manager))]


# Who is told the news of a run, in this order, besides what keeps its results. A new row is all that
# a new observer needs.
_OBSERVERS: tuple[Callable[[Manager], Iterable[Observer]], ...] = (
    _bar,
    _log,
    lambda manager: manager.observers,
)
