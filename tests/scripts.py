"""Scripts of a user's, as the tests run them, and what is alive of them."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
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


HEAD = """
import asyncio, contextlib, pathlib, threading, time
from task_manager import TaskChain, TaskManager

def same(x):
    return x

def work(x):
    if x >= 20:
        pathlib.Path("long").touch()
    time.sleep(60 if x >= 20 else 0.002)
    return x

async def work_async(x):
    if x >= 20:
        pathlib.Path("long").touch()
    await asyncio.sleep(60 if x >= 20 else 0.002)
    return x

def wait_for_the_long_ones():
    while len(results()) < 20 or not pathlib.Path("long").exists():
        time.sleep(0.01)
"""

MANAGER = """
    manager = TaskManager(OPTIONS, logger=None)
    start, results, errors = manager.start, manager.get_result_dict, manager.get_error_dict
    summary = manager.get_summary
"""

CHAIN = """
    chain = TaskChain([TaskManager(same, logger=None), TaskManager(OPTIONS, logger=None)], MODE)
    start, results, errors = chain.start_chain, chain.get_final_result_dict, chain.get_final_error_dict
    summary = chain.get_summary
"""

OPTIONS = {
    "serial": "work",
    "thread": "work, 'thread', worker_limit=2",
    "async": "work_async, 'async', worker_limit=2",
    **{
        method: f"work, 'process', worker_limit=2, start_method={method!r}" for method in f.START_METHODS
    },
}

MAKES = {
    **{way: MANAGER.replace("OPTIONS", options) for way, options in OPTIONS.items()},
    "start_async": MANAGER.replace("OPTIONS", OPTIONS["fork"])
    + "    start = lambda tasks: asyncio.run(manager.start_async(tasks))\n",
    "chain serial": CHAIN.replace("OPTIONS", OPTIONS["fork"]).replace("MODE", "'serial'"),
    "chain thread": CHAIN.replace("OPTIONS", OPTIONS["fork"]).replace("MODE", "'thread'"),
    "chain process": CHAIN.replace("OPTIONS", OPTIONS["fork"]).replace("MODE", "'process'"),
}
"""For each way to run, the lines that make `start`, `results`, `errors` and `summary`.

Of 30 tasks, 0 to 29, those up to 19 are quick, and each of the others takes a minute.
"""


def script_of(way: str, body: str) -> str:
    """A script that runs this way. body: Its lines."""
    return f"{HEAD}\nif __name__ == '__main__':{MAKES[way]}{textwrap.indent(body, '    ')}"
