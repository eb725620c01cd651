"""What holds where there is no POSIX, as far as it can be simulated; and that one place knows of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

import task_manager
from scripts import Script

PACKAGE = Path(task_manager.__file__).parent
WITHOUT_POSIX = Path(__file__).parents[1] / "without_posix"

OF_ONE_SYSTEM = [
    r"[gh](et|as)attr\((os|signal|socket|select|selectors)\b",
    r"sys\.platform|os\.name\b|platform\.system",
    r"register_at_fork|os\.fork|pthread_|sigpending|sigwait|SIGKILL|SIGPIPE|SIGTT|SIGIO|SIGCHLD",
    r"killpg|getpgrp|setpgid|getppid|os\.kill\b|waitid|wait4|sched_getaffinity|sysconf",
    r"memfd_create|send_fds|recv_fds|SCM_RIGHTS|MSG_NOSIGNAL|socketpair|TCP_NODELAY|\bfcntl\b|os\.O_ASYNC",
    r"select\.poll|PollSelector|/proc\b|import (forkserver|resource_tracker)|RawArray",
]


def test_one_place_asks_what_the_system_can_do() -> None:
    """No module but those of `_platform` names what one system has and another lacks."""
    found = [
        f"{path.relative_to(PACKAGE)}: {line.strip()}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if PACKAGE / "_platform" not in path.parents
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search("|".join(OF_ONE_SYSTEM), line)
    ]

    assert [] == found


def test_nobody_asks_for_the_name_of_the_system() -> None:
    """`_platform` knows a capability by what there is."""
    text = "".join(path.read_text(encoding="utf-8") for path in (PACKAGE / "_platform").rglob("*.py"))

    assert not re.search(r"sys\.platform|os\.name\b|platform\.system|darwin|win32", text)


# ------------------------------------------------------------------ in a simulation

HEAD = """
import asyncio, multiprocessing, os, pathlib, sys, threading, time, _thread
from task_manager import TaskChain, TaskManager

def under(x):
    if x == 777:
        os._exit(7)
    return x * 2

def once(x):
    time.sleep(0.002)
    if x == 3 and not pathlib.Path('once').exists():
        pathlib.Path('once').touch()
        os._exit(1)
    return x

def hang_once(x):
    if x == 5 and not pathlib.Path('hung').exists():
        pathlib.Path('hung').touch()
        time.sleep(600)
    return x

def half(x):
    return x // 2

def die_at_20(x):
    if x == 20:
        os._exit(3)
    return -x

def slow(x):
    time.sleep(0.01)
    if x == 20:
        pathlib.Path('begun').touch()
    return x

def kinds(errors):
    return {task: type(error).__name__ for task, error in errors.items()}

if __name__ == '__main__':
    options = dict(worker_limit=2, logger=None, retry_delay=0.1)
"""

LOAD = """
    with TaskManager(under, 'process', **options) as manager:
        first = manager.start(range(1000))
        second = asyncio.run(manager.start_async(range(500, 2000)))
        print(first.succeeded, kinds(manager.get_error_dict()), second.succeeded, second.duplicates)
        print(sum(manager.get_result_dict().values()) == 2 * (sum(range(2000)) - 777))
    print(multiprocessing.active_children(), len(threading.enumerate()))
"""

DEATH_OF_THE_ONLY_ONE = """
    from task_manager import WorkerDiedError
    options |= dict(worker_limit=1, retry_exceptions=WorkerDiedError)
    with TaskManager(once, 'process', **options) as manager:
        summary = manager.start([1, 2, 3])
        print(summary.succeeded, summary.retries, manager.get_error_dict())
"""

TIMEOUT = """
    with TaskManager(hang_once, 'process', task_timeout=0.5, **options) as manager:
        summary = manager.start(range(20))
        print(summary.succeeded, summary.failed, summary.retries)
"""

CHAIN = """
    stages = [TaskManager(half, logger=None), TaskManager(die_at_20, logger=None)]
    chain = TaskChain(stages, 'process')
    chain.start_chain(range(0, 200, 2))
    print(len(chain.get_final_result_dict()), kinds(chain.get_final_error_dict()))
    print(multiprocessing.active_children())
"""

CTRL_C = """
    def interrupt():
        while not pathlib.Path('begun').exists():
            time.sleep(0.01)
        _thread.interrupt_main()

    manager = TaskManager(slow, 'process', **options)
    threading.Thread(target=interrupt).start()
    try:
        manager.start(range(100_000))
    except KeyboardInterrupt:
        done = len(manager.get_result_dict())
        print('stopped', 10 < done < 50_000, manager.get_error_dict(), multiprocessing.active_children())
"""

Simulated = Callable[[str], Script]


@pytest.fixture
def simulated(script: Callable[[str], Script], monkeypatch: pytest.MonkeyPatch) -> Simulated:
    """Starts a script where there is no POSIX."""
    monkeypatch.syspath_prepend(str(WITHOUT_POSIX))
    return lambda body: script(HEAD + body)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (LOAD, ["999 {777: 'WorkerDiedError'} 1000 499", "True", "[] 1"]),
        (DEATH_OF_THE_ONLY_ONE, ["3 1 {}"]),
        (TIMEOUT, ["20 0 1"]),
        (CHAIN, ["99 {40: 'StageDiedError'}", "[]"]),
        (CTRL_C, ["stopped True {} []"]),
    ],
    ids=["load", "only_one", "timeout", "chain", "ctrl_c"],
)
def test_f35_without_posix(body: str, said: list[str], simulated: Simulated) -> None:
    """Deaths, timeouts, retries, starts that are awaited, chains and Ctrl-C are the same as anywhere."""
    out, err = simulated(body).process.communicate(timeout=40)

    words = [line for line in err.splitlines() if "stopped by Ctrl-C" not in line]
    assert (said, []) == (out.splitlines(), words)


PARENT = """
    manager = TaskManager(time.sleep, 'process', **options)
    threading.Thread(target=manager.start, args=([600, 601],)).start()
    while len(multiprocessing.active_children()) < 2:
        time.sleep(0.01)
    time.sleep(1.0)
    print('ready', flush=True)
"""


def test_f35_without_posix_workers_end_with_their_parent(simulated: Simulated) -> None:
    """Also in the middle of a call, also if it is killed."""
    running = simulated(PARENT)
    running.wait_for("ready")
    workers = psutil.Process(running.process.pid).children()
    running.process.kill()

    assert 2 <= len(workers)
    assert [] == running.left_after(3)
