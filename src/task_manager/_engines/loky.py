"""loky: processes of this machine, started anew (no fork), which send functions by their code."""

from __future__ import annotations

from concurrent.futures import Executor


def executor(address: str | None) -> Executor:
    from loky import ProcessPoolExecutor

    made: Executor = ProcessPoolExecutor(timeout=None)  # no worker ends because it had nothing to do
    return made
