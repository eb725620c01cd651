"""The conformance suite over executors: a plugin of pytest, `-p executor_modes`.

EXECUTORS=threads,processes names those that take part, of the table below; without it all whose package
is installed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any

import functions


def threads() -> Executor:
    return ThreadPoolExecutor(4)


def processes() -> Executor:
    return ProcessPoolExecutor(2)


MADE: dict[str, tuple[str, Callable[[], Executor] | str]] = {
    "threads": ("concurrent", threads),
    "processes": ("concurrent", processes),
    "loky": ("loky", "loky"),
    "dask": ("distributed", "dask"),
    "ray": ("ray", "ray"),
}
"""The package that has it, and what a user would give."""

WANTED = os.environ.get("EXECUTORS")
for way, (package, _) in MADE.items():
    if way in (WANTED or "").split(",") or (WANTED is None and find_spec(package)):
        functions.WAYS.append(way)
        if way != "threads":
            functions.APART.append(way)

_options_of = functions.options_of


def options_of(way: str) -> dict[str, Any]:
    return {"execution_mode": MADE[way][1]} if way in MADE else _options_of(way)


functions.options_of = options_of
