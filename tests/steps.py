"""Three stages whose calls are written down, and which do as files in the working directory say.

`refuse-second-7` there: the second stage raises for the task 7; `end-...`: it ends its process;
`wait-...`: it takes a minute.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

from functions import stage
from task_manager import TaskChain


def call(name: str, n: int) -> None:
    """Write down that this stage is called for this task, and do what is asked of it."""
    log = os.open("calls", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(log, f"{name} {n}\n".encode())
    os.close(log)
    if Path(f"refuse-{name}-{n}").exists():
        raise ValueError(f"{name} refuses {n}")
    if Path(f"end-{name}-{n}").exists():
        os._exit(7)
    if Path(f"wait-{name}-{n}").exists():
        time.sleep(60)


def first(n: int) -> int:
    call("first", n)
    return n


def second(n: int) -> dict[str, int]:
    """What it makes cannot be a plain cell."""
    call("second", n)
    return {"n": n}


def third(found: dict[str, int]) -> int:
    call("third", found["n"])
    return found["n"] * 10


def chain(chain_mode: str, *, path: Any = "etl.db", **options: Any) -> TaskChain:
    return TaskChain([stage(one, **options) for one in (first, second, third)], chain_mode, journal=path)


def refuse(name: str, n: int) -> None:
    Path(f"refuse-{name}-{n}").touch()


def end(name: str, n: int) -> None:
    Path(f"end-{name}-{n}").touch()


def wait(name: str, n: int) -> None:
    Path(f"wait-{name}-{n}").touch()


def allow(name: str, n: int) -> None:
    for what in ("refuse", "end", "wait"):
        Path(f"{what}-{name}-{n}").unlink(missing_ok=True)


def calls() -> dict[str, Counter[int]]:
    """How often each stage was called for each task."""
    counts: dict[str, Counter[int]] = {name: Counter() for name in ("first", "second", "third")}
    if Path("calls").exists():
        for line in Path("calls").read_text().splitlines():
            name, n = line.split()
            counts[name][int(n)] += 1
    return counts


def once(*tasks: int) -> Counter[int]:
    return Counter(tasks)
