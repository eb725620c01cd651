"""Scripts of a user's, as the tests run them, and what is alive of them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import psutil

import functions as f


class Script:
    """A script of a user's, run in a process group of its own; its processes are known by a mark."""

    def __init__(self, folder: Path, text: str) -> None:
        self.mark = uuid.uuid4().hex
        path = folder / "script.py"
        path.write_text(text)
        self.process = subprocess.Popen(
            [sys.executable, str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={
                **os.environ,
                "TASK_MANAGER_TEST": self.mark,
                "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]),
            },
            start_new_session=True,
        )

    def wait_for(self, line: str) -> None:
        assert self.process.stdout is not None
        for printed in self.process.stdout:
            if printed.strip() == line:
                return
        raise AssertionError(f"{line!r} was not printed; stderr: {self.process.communicate()[1]}")

    def processes(self) -> list[str]:
        """Everything of this script that is alive, the script itself included."""
        alive = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("TASK_MANAGER_TEST") == self.mark:
                    alive.append(f"{process.pid} {process.status()} {process.cmdline()}")
            except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                continue
        return alive

    def left_after(self, seconds: float) -> list[str]:
        """What is alive when so many seconds have passed, or [] as soon as nothing is."""
        until = time.monotonic() + seconds
        while (alive := self.processes()) and time.monotonic() < until:
            time.sleep(0.02)
        return alive


LONG_RUN = """
import asyncio, sys, time
from task_manager import TaskChain, TaskManager

def work(x):
    time.sleep(60 if x >= 20 else 0.002)
    return x

async def work_async(x):
    await asyncio.sleep(60 if x >= 20 else 0.002)
    return x

class Tells(TaskManager):
    def process_result(self, task, result):
        if task == 19:
            print("working", flush=True)
        return result

if __name__ == "__main__":
    manager = Tells(OPTIONS, logger=None)
    began = time.monotonic()
    try:
        manager.start(range(30))
    except KeyboardInterrupt:
        print("back", len(manager.get_result_dict()), len(manager.get_error_dict()))
        print("soon" if time.monotonic() - began < 20 else "late")
"""

OPTIONS = {
    "serial": "work",
    "thread": "work, 'thread', worker_limit=2",
    "async": "work_async, 'async', worker_limit=2",
    **{
        method: f"work, 'process', worker_limit=2, start_method={method!r}" for method in f.START_METHODS
    },
}

LONG_CHAIN = LONG_RUN.replace(
    "manager = Tells(OPTIONS, logger=None)",
    "stages = [Tells(work, logger=None), TaskManager(work, 'process', logger=None)]\n"
    "    manager = TaskChain(stages, 'process')\n"
    "    manager.start, manager.get_result_dict, manager.get_error_dict = ("
    "manager.start_chain, manager.get_final_result_dict, manager.get_final_error_dict)",
)

LONG_RUNS = {
    **{way: LONG_RUN.replace("OPTIONS", text) for way, text in OPTIONS.items()},
    "chain": LONG_CHAIN,
}
"""A script for each mode: 20 quick tasks, and then ten of a minute each."""
