"""The managers, and the hooks that they override."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from task_manager import Journal, TaskLogger, TaskManager, WorkerDiedError

from .begins import Begins, file_of
from .deeds import AwaitedWork, Work
from .plan import Stage
from .states import first_of_all, maker
from .tasks import number_of

KEYS = 3


class HookBroke(Exception):
    """What the hooks raise."""


class Complaining(TaskManager[Any, Any]):
    """Overrides handle_error."""

    plan: Stage
    folder: Path

    def handle_error(self) -> None:
        if self.plan.complains:
            raise HookBroke("handle_error")


class Arguing(Complaining):
    """Overrides get_args as well."""

    def get_args(self, task: Any) -> Any:
        if number_of(task) in self.plan.bad_args:
            raise HookBroke("get_args")
        return task


class Judging(Complaining):
    """Overrides process_result as well.

    more: Tasks that it puts into the frontier, one for each result, while the run reads that.
    """

    frontier: Any = None
    more: list[Any] = []  # noqa: RUF012

    def process_result(self, task: Any, result: Any) -> Any:
        if self.frontier is not None and self.more:
            self.frontier.append(self.more.pop())
        if self.plan.halts:
            self._halt(number_of(task))
        if self.plan.bad_results and number_of(task) in self.plan.bad_results:
            raise HookBroke("process_result")
        return result

    def _halt(self, number: int) -> None:
        if number in self.plan.halts and first_of_all(self.folder / f"halted-{number}"):
            for _ in range(self.plan.halts[number]):
                self.stop()


def key_of(task: Any) -> int:
    return number_of(task) % KEYS


class Hooked(Arguing, Judging):
    """Overrides all hooks."""


def manager_of(
    stage: Stage,
    place: int,
    folder: Path,
    frontier: bool,
    calls: Path | None,
    journal: Journal | None,
    made: int,
) -> TaskManager[Any, Any]:
    """A manager as planned, that overrides no more hooks than it must.

    calls: Where it notes its calls. made: How many managers there were before, of the same plan.
    """
    judges = bool(stage.bad_results or stage.halts) or frontier
    kinds = {
        (True, True): Hooked,
        (True, False): Arguing,
        (False, True): Judging,
        (False, False): Complaining,
    }
    kind = (
        kinds[bool(stage.bad_args), judges]
        if judges or stage.bad_args or stage.complains
        else TaskManager
    )
    retried: list[type[Exception]] = [TimeoutError, ConnectionError]
    if stage.retries_deaths:
        retried.append(WorkerDiedError)
    manager = kind(
        (AwaitedWork if stage.way == "async" else Work)(stage, place, folder, calls),
        "process" if stage.in_process else stage.way,
        stage.workers,
        stage.retries,
        retry_exceptions=retried,
        retry_delay=0.005,
        task_timeout=stage.timeout,
        deduplicate=stage.deduplicate,
        logger=TaskLogger(folder / "logs") if stage.log else None,
        start_method=stage.way if stage.in_process else None,
        keep_results=stage.keep_results,
        worker_state=maker(stage, place, folder),
        max_tasks_per_worker=stage.most,
        rate_limit=stage.rate,
        rate_key=key_of if stage.keyed else None,
        observers=[Begins(file_of(folder, place, made))] if stage.rate else [],
        max_failures=stage.max_failures,
        deadline=stage.deadline,
        journal=journal,
    )
    if isinstance(manager, Complaining):
        manager.plan = stage
        manager.folder = folder
    return manager
