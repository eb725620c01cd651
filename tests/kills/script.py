"""What is killed: `python -m kills.script MODE TASKS JOURNAL IN_DOUBT`. It tells its end as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from typing import Any

from task_manager import Journal, TaskChain, TaskManager

from . import calls

WORKERS = 4
MODES = (
    "serial",
    "thread",
    "process",
    "async",
    "awaited",
    "chain-serial",
    "chain-thread",
    "chain-process",
)


def tell(results: Any, errors: Any, summary: Any, tasks: int, stages: int) -> None:
    """One line, at the end."""
    kinds = Counter(type(error).__name__ for error in errors.values())
    right = all(result == task + stages * calls.STAGE for task, result in results.items())
    outcomes = {**results, **errors}
    print(
        json.dumps(
            {
                "results": len(results),
                "errors": kinds,
                "right": right and outcomes.keys() == set(range(tasks)),
                "in_order": list(results) == sorted(results) and list(errors) == sorted(errors),
                "counted": summary.taken == tasks,
                "journal": summary.journal,
            }
        ),
        flush=True,
    )


def main() -> None:
    mode, count, path, in_doubt = sys.argv[1:]
    tasks = int(count)
    journal = Journal(path, started=in_doubt == "error", in_doubt=in_doubt)  # type: ignore[arg-type]
    options: dict[str, Any] = {"logger": None, "worker_limit": WORKERS}
    print("begins", flush=True)
    if mode.startswith("chain"):
        stages = [
            TaskManager(calls.first, "thread", **options),
            TaskManager(calls.second, "thread", **options),
            TaskManager(calls.third, "thread", **options),
        ]
        chain = TaskChain(stages, mode.removeprefix("chain-"), journal=journal)  # type: ignore[arg-type]
        summary = chain.start_chain(range(tasks))
        tell(chain.get_final_result_dict(), chain.get_final_error_dict(), summary, tasks, len(stages))
        return
    func: Any = calls.call_async if mode == "async" else calls.call
    mode, awaited = ("process", True) if mode == "awaited" else (mode, False)
    manager: TaskManager[int, int] = TaskManager(func, mode, journal=journal, **options)
    if awaited:
        summary = asyncio.run(manager.start_async(range(tasks)))
    else:
        summary = manager.start(range(tasks))
    tell(manager.get_result_dict(), manager.get_error_dict(), summary, tasks, 1)
    manager.shutdown_pools()


if __name__ == "__main__":
    main()
