"""What a scenario leaves behind in its script: threads, files, child processes."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing import forkserver, resource_tracker

import psutil

from . import deeds
from .plan import Scenario

PATIENCE = 10.0  # seconds that what ends by itself may take to end


class Left:
    """What is there before a scenario, and what there is more of after it."""

    def __init__(self, scenario: Scenario) -> None:
        ways = {stage.way for stage in scenario.stages}
        if ways & {"spawn", "forkserver"}:
            resource_tracker.ensure_running()
        if "forkserver" in ways:
            # A Ctrl-C from the terminal would end it in the middle of its start.
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            forkserver.ensure_running()
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self._looks: list[Callable[[], set[str]]] = [threads]
        if not scenario.server_killed:
            self._looks += [files, children]
        self._before = [look() for look in self._looks]

    def faults(self) -> list[str]:
        deadline = time.monotonic() + PATIENCE
        while True:
            gc.collect()
            reap()
            left = [look() - before for look, before in zip(self._looks, self._before, strict=True)]
            if not any(left) or time.monotonic() > deadline:
                return [f"left behind: {sorted(more)}" for more in left if more]
            time.sleep(0.02)


def threads() -> set[str]:
    return {f"thread {thread.name} {thread.ident}" for thread in threading.enumerate()}


def files() -> set[str]:
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.add(f"file {fd} {os.readlink(f'/proc/self/fd/{fd}')}")
        except OSError:  # the one that listed them
            continue
    return found


def children() -> set[str]:
    found = {f"process {child.pid}" for child in psutil.Process().children(recursive=True)}
    return found | {f"process {child.pid}" for child in multiprocessing.active_children()}


def reap() -> None:
    for pid in list(deeds.FORKED):
        try:
            ended = os.waitpid(pid, os.WNOHANG)[0]
        except ChildProcessError:
            ended = pid
        if ended:
            deeds.FORKED.remove(pid)
