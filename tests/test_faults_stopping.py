"""Ctrl-C, signals, and the end of a script: F9 to F12."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

import functions as f
from scripts import LONG_RUN, LONG_RUNS, OPTIONS, Script
from task_manager import TaskChain, TaskManager


@pytest.mark.parametrize("way", LONG_RUNS)
def test_f09_one_ctrl_c(way: str, script: Callable[[str], Script]) -> None:
    """Back at once with KeyboardInterrupt; results intact, nothing marked failed, no child, no noise."""
    running = script(LONG_RUNS[way])
    running.wait_for("working")
    time.sleep(0.3)
    os.killpg(running.process.pid, signal.SIGINT)
    pressed = time.monotonic()
    out, err = running.process.communicate(timeout=10)
    took = time.monotonic() - pressed

    assert [] == running.left_after(1)
    assert ["back 20 0", "soon"] == out.splitlines() or way == "chain"
    assert "back" in out
    assert out.splitlines()[0].endswith(" 0")
    assert len(err.splitlines()) <= 5
    assert took < 5  # a minute without the guard; F9 wants 1 s, which a loaded machine may miss


@pytest.mark.parametrize("way", LONG_RUNS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_f10_the_parent_is_killed(way: str, number: int, script: Callable[[str], Script]) -> None:
    """No descendant is alive after 2 s, although all are in the middle of a long task."""
    running = script(LONG_RUNS[way])
    running.wait_for("working")
    time.sleep(0.3)
    running.process.send_signal(number)

    assert [] == running.left_after(2)


@pytest.mark.parametrize("way", ["chain", *f.START_METHODS])
def test_f09_a_ctrl_c_while_processes_start(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is raised when the process has an owner, and then it has none left (the fixture looks)."""
    method = "fork" if way == "chain" else way
    process = multiprocessing.get_context(method).Process
    start = process.start

    def start_and_interrupt(self: Any) -> None:
        start(self)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(process, "start", start_and_interrupt)
    manager = f.manager_of(f.same, method)
    with pytest.raises(KeyboardInterrupt):
        TaskChain([manager], "process").start_chain([1]) if way == "chain" else manager.start([1])

    assert [] == multiprocessing.active_children()


class Interrupted:
    def __reduce__(self) -> Any:
        raise KeyboardInterrupt


@pytest.mark.parametrize("way", ["chain", "manager"])
def test_f09_a_ctrl_c_while_a_task_is_pickled(way: str) -> None:
    """It is a Ctrl-C, and not the error of that task."""
    manager = f.manager_of(f.same, "fork")
    with pytest.raises(KeyboardInterrupt):
        (TaskChain([manager], "process").start_chain if way == "chain" else manager.start)(
            [Interrupted()]
        )

    assert {} == manager.get_error_dict()


ENDS_IN_MID_RUN = (
    LONG_RUNS["serial"].partition("if __name__")[0]
    + """
if __name__ == "__main__":
    import threading
    manager = RUNNER
    threading.Thread(target=START, args=(range(30),), daemon=True).start()
    time.sleep(1)
    print("ends", flush=True)
"""
)


@pytest.mark.parametrize("way", LONG_RUNS)
def test_f11_a_script_that_ends_in_mid_run(way: str, script: Callable[[str], Script]) -> None:
    """Nothing is left, and the interpreter exits."""
    if way == "chain":
        made = "TaskChain([TaskManager(work, logger=None), TaskManager(work, logger=None)], 'process')"
        text = ENDS_IN_MID_RUN.replace("RUNNER", made).replace("START", "manager.start_chain")
    else:
        made = f"TaskManager({OPTIONS[way]}, logger=None)"
        text = ENDS_IN_MID_RUN.replace("RUNNER", made).replace("START", "manager.start")
    running = script(text)
    running.wait_for("ends")

    assert [] == running.left_after(5)
    assert 0 == running.process.wait(5)


@pytest.mark.parametrize("way", [way for way in LONG_RUNS if way != "chain"])
def test_f11_a_script_that_never_shuts_down(way: str, script: Callable[[str], Script]) -> None:
    """A manager that is still there at the end of the script does not keep it."""
    head = LONG_RUN.partition("if __name__")[0]
    running = script(
        f"{head}\nif __name__ == '__main__':\n"
        f"    manager = TaskManager({OPTIONS[way]}, logger=None)\n"
        "    manager.start(range(10))\n"
        "    print(len(manager.get_result_dict()), flush=True)\n"
    )
    out, err = running.process.communicate(timeout=20)

    assert ("10\n", "") == (out, err)
    assert [] == running.left_after(1)


def test_f12_starts_in_a_row_leave_nothing() -> None:
    """Twenty starts of a process chain: files, threads, children (the fixture looks) and /dev/shm."""
    before = set(os.listdir("/dev/shm"))
    chain = TaskChain([TaskManager(f.same, logger=None), TaskManager(f.same, logger=None)], "process")
    summaries = [chain.start_chain([n]) for n in range(20)]

    assert [1] * 20 == [summary.succeeded for summary in summaries]
    assert before == set(os.listdir("/dev/shm"))
