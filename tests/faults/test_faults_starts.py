"""Processes that cannot be started, or hardly: F7, F8, F26, F32."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from functions import START_METHODS
from scripts import Script

by_start_method = pytest.mark.parametrize("start_method", START_METHODS)


def run(script: Callable[[str], Script], text: str, **names: str) -> str:
    """What the script prints, with these names put in; it ends well and in silence."""
    for name, value in names.items():
        text = text.replace(name, value)
    running = script(text)
    out, err = running.process.communicate(timeout=50)

    assert (0, "") == (running.process.returncode, err)
    assert [] == running.left_after(5)
    return out


# ------------------------------------------------------------------ no thread to watch with

NO_THREAD = """
import sys, threading, time
from task_manager import TaskManager

start = threading.Thread.start

def refused(thread):
    if thread.name == 'task_manager-watch':
        raise RuntimeError("can't start new thread")
    start(thread)

threading.Thread.start = refused

def nap(seconds):
    if seconds > 1:
        open('napping', 'w').close()
    time.sleep(seconds)
    return seconds

if __name__ == '__main__':
    manager = TaskManager(nap, 'process', 2, start_method='METHOD', logger=None)
    print(manager.start([0.01] * 3 + [0.02]).succeeded, flush=True)
    manager.start([60, 61])
"""


@by_start_method
def test_f32_no_thread_for_a_worker_to_watch_its_parent(
    start_method: str, script: Callable[[str], Script], tmp_path: Path
) -> None:
    """It works all the same, and ends with its parent also in the middle of a call."""
    running = script(NO_THREAD.replace("METHOD", start_method))
    running.wait_for("2")
    while not (tmp_path / "napping").exists():
        assert running.process.poll() is None
    running.process.send_signal(signal.SIGKILL)

    assert [] == running.left_after(2)


# ------------------------------------------------------------------ the servants of multiprocessing

SERVANT_KILLED = """
import os, signal, time
from multiprocessing import forkserver, resource_tracker
from multiprocessing.process import BaseProcess
from task_manager import TaskChain, TaskManager, WorkerStartError

signal.signal(signal.SIGPIPE, signal.HANDLER)
connect, start = forkserver.connect_to_new_process, BaseProcess.start
kills = [0]

def end(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

def due():
    kills[0] += 1
    return kills[0] in (1, 2, 4, 6) or ALWAYS

def connect_and_kill(fds):
    if not due():
        return connect(fds)
    forkserver.ensure_running()
    pid = forkserver._forkserver._forkserver_pid
    os.kill(pid, signal.SIGSTOP)  # it takes the order, and dies before it has done anything
    ends = connect(fds)
    end(pid)
    return ends

def kill_and_start(process):
    if due():
        resource_tracker.ensure_running()
        end(resource_tracker._resource_tracker._pid)
    start(process)

def same(x):
    time.sleep(0.002)
    return x

if __name__ == '__main__':
    import warnings
    warnings.simplefilter('ignore')
    if 'SERVANT' == 'server':
        forkserver.connect_to_new_process = connect_and_kill
    else:
        BaseProcess.start = kill_and_start
    try:
        with TaskManager(same, 'process', 2, start_method='METHOD', logger=None) as manager:
            summary = manager.start(range(50))
        stages = [TaskManager(same, start_method='METHOD', logger=None) for _ in range(2)]
        chain = TaskChain(stages, 'process').start_chain(range(20))
        print(summary.succeeded, summary.failed, chain.succeeded, chain.failed)
    except WorkerStartError as error:
        print('the fork server died at each' in str(error), '__main__' in str(error))
"""

SERVANTS = [("server", "forkserver"), ("tracker", "forkserver"), ("tracker", "spawn")]


@pytest.mark.parametrize(("servant", "start_method"), SERVANTS)
@pytest.mark.parametrize("handler", ["SIG_IGN", "SIG_DFL"])
def test_f32_a_servant_is_killed_while_a_process_starts(
    servant: str, start_method: str, handler: str, script: Callable[[str], Script]
) -> None:
    """It is started again, and the process too; no task is charged, no SIGPIPE kills the script."""
    names = {"SERVANT": servant, "METHOD": start_method, "HANDLER": handler, "ALWAYS": "False"}

    assert "50 0 20 0\n" == run(script, SERVANT_KILLED, **names)


def test_f32_a_fork_server_that_is_always_killed(script: Callable[[str], Script]) -> None:
    """In the end WorkerStartError, which says what has died."""
    names = {"SERVANT": "server", "METHOD": "forkserver", "HANDLER": "SIG_DFL", "ALWAYS": "True"}

    assert "True False\n" == run(script, SERVANT_KILLED, **names)


SERVER_DIES_LATER = """
import os, signal, time
from multiprocessing import forkserver
from task_manager import TaskManager

def pid_of(x):
    time.sleep(0.02)
    return os.getpid()

class Manager(TaskManager):
    def process_result(self, task, result):
        if task == 5:
            os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)
        return result

if __name__ == '__main__':
    with Manager(pid_of, 'process', 2, start_method='forkserver', logger=None) as manager:
        summary = manager.start(range(30))
        print(summary.succeeded, len(set(manager.get_result_dict().values())))
"""


def test_f32_workers_outlive_their_fork_server(script: Callable[[str], Script]) -> None:
    """Its death is not theirs: no task is charged, and they go on with their work."""
    assert "30 2\n" == run(script, SERVER_DIES_LATER)


NESTED = """
from task_manager import TaskManager

def square(x):
    return x * x

def nested(method):
    with TaskManager(square, 'process', 2, start_method=method, logger=None) as manager:
        manager.start(range(3))
        return sorted(manager.get_result_dict().values())

if __name__ == '__main__':
    print(nested('forkserver'))
    with TaskManager(nested, 'process', 2, start_method='fork', logger=None) as manager:
        manager.start(['forkserver', 'spawn'])
        print(*manager.get_result_dict().values(), *manager.get_error_dict().values())
"""


def test_f08_a_fork_server_inside_a_forked_worker(script: Callable[[str], Script]) -> None:
    """A forked process starts a fork server of its own, also where its parent has one already."""
    assert "[0, 1, 4]\n[0, 1, 4] [0, 1, 4]\n" == run(script, NESTED)


# ------------------------------------------------------------------ files that run out

FEW_FILES = """
import gc, os, resource
from task_manager import TaskChain, TaskManager, WorkerStartError

def same(x):
    return x

def start():
    if 'KIND' == 'manager':
        with TaskManager(same, 'process', 2, start_method='METHOD', logger=None) as manager:
            return manager.start(range(5))
    stages = [TaskManager(same, start_method='METHOD', logger=None) for _ in range(2)]
    return TaskChain(stages, 'process').start_chain(range(5))

def files():
    gc.collect()
    return len(os.listdir('/proc/self/fd'))

if __name__ == '__main__':
    start()
    before = files()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    said = set()
    for limit in range(4, 40, STEP):
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        try:
            said.add(start().succeeded)
        except WorkerStartError as error:
            said.add('Too many open files' in str(error) and 'ulimit -n' in str(error))
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    print(sorted(said), start().succeeded, files() - before)
"""


@pytest.mark.parametrize("kind", ["manager", "chain"])
@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_f32_too_few_files(kind: str, start_method: str, script: Callable[[str], Script]) -> None:
    """At each limit it works or says what ran out; nothing is left open, and later starts work."""
    step = "1" if start_method == "fork" else "4"
    out = run(script, FEW_FILES, KIND=kind, METHOD=start_method, STEP=step)

    assert "[True, 5] 5 0\n" == out


NO_FORK = """
import errno, gc, os
from task_manager import TaskChain, TaskManager, WorkerStartError

fork, left = os.fork, [LEFT]

def refused():
    if not left[0]:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    left[0] -= 1
    return fork()

def files():
    gc.collect()
    return len(os.listdir('/proc/self/fd'))

if __name__ == '__main__':
    os.fork = refused
    before = files()
    with TaskManager(len, 'process', 4, start_method='fork', logger=None) as manager:
        try:
            print(manager.start(['a' * n for n in range(1000)]).succeeded)
        except WorkerStartError as error:
            print('temporarily unavailable' in str(error), 'ulimit -u' in str(error))
    chain = TaskChain([TaskManager(len, start_method='fork', logger=None)], 'process')
    try:
        chain.start_chain(['a'])
    except WorkerStartError as error:
        print('temporarily unavailable' in str(error), 'ulimit -u' in str(error))
    print(files() - before)
"""


@pytest.mark.parametrize(("left", "said"), [(0, "True True"), (1, "1000"), (3, "1000")])
def test_f32_no_more_processes(left: int, said: str, script: Callable[[str], Script]) -> None:
    """The workers there are do the work; where there is none the error says what ran out."""
    assert f"{said}\nTrue True\n0\n" == run(script, NO_FORK, LEFT=str(left))


# ------------------------------------------------------------------ the script: its end, its place

ENDED = """
import threading, time
from task_manager import TaskManager

def nap(seconds):
    time.sleep(seconds)
    return seconds

def tasks():
    yield 0.01
    threading.main_thread().join()  # the script has ended, and the function has been packed before
    yield 30
    yield 0.02

def run():
    options = {'task_timeout': 0.5, 'max_retries': 0, 'logger': None}
    manager = TaskManager(nap, 'process', 1, start_method='METHOD', **options)
    summary = manager.start(tasks())
    print(summary.succeeded, summary.failed, flush=True)
    manager.shutdown_pools()

if __name__ == '__main__':
    threading.Thread(target=run).start()
"""


@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
def test_f07_a_run_that_outlives_the_last_line(
    start_method: str, script: Callable[[str], Script]
) -> None:
    """Workers start although CPython has forgotten where the script stands; 3.12 forks no more then."""
    assert "2 1\n" == run(script, ENDED, METHOD=start_method)


ENDS_IN_A_START = """
import sys
from multiprocessing.process import BaseProcess
from task_manager import TaskManager

start = BaseProcess.start
ended = []

def end_and_start(process):
    if not ended:
        del sys.modules['__main__'].__file__
    ended.append(True)
    start(process)

def same(x):
    return x

if __name__ == '__main__':
    BaseProcess.start = end_and_start
    with TaskManager(same, 'process', 1, start_method='METHOD', logger=None) as manager:
        print(manager.start(range(5)).succeeded, manager.get_error_dict())
"""


@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
def test_f07_a_script_that_ends_while_a_worker_starts(
    start_method: str, script: Callable[[str], Script]
) -> None:
    """The worker that was not told where the script is is started once more."""
    assert "5 {}\n" == run(script, ENDS_IN_A_START, METHOD=start_method)


PACKAGE_MAIN = """
import sys
from task_manager import TaskChain, TaskManager

def double(x):
    return x * 2

if __name__ == '__main__':
    if 'without' in sys.argv:
        sys.modules['cloudpickle'] = None
    with TaskManager(double, 'process', 2, start_method=sys.argv[1], logger=None) as manager:
        try:
            print(manager.start(range(5)).succeeded)
        except ValueError as error:
            print('__main__.py' in str(error), 'pip install' in str(error))
    if 'without' not in sys.argv:
        stages = [TaskManager(double, start_method=sys.argv[1], logger=None)]
        print(TaskChain(stages, 'process').start_chain(range(5)).succeeded)
"""


@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
@pytest.mark.parametrize("how", ["package", "folder", "archive"])
def test_f07_a_function_in_a_main_of_a_package(how: str, start_method: str, tmp_path: Path) -> None:
    """multiprocessing does not import a `__main__.py`: the function travels by value, or is refused."""
    package = tmp_path / "package"
    package.mkdir()
    (package / "__main__.py").write_text(PACKAGE_MAIN)
    with zipfile.ZipFile(tmp_path / "app.pyz", "w") as archive:
        archive.writestr("__main__.py", PACKAGE_MAIN)
    command = {"package": ["-m", "package"], "folder": ["package"], "archive": ["app.pyz"]}[how]

    def said(*args: str) -> str:
        done = subprocess.run(
            [sys.executable, *command, start_method, *args],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            timeout=50,
        )
        return done.stdout + done.stderr

    assert "5\n5\n" == said()
    assert "True True\n" == said("without")


AT_EXIT = """
import atexit, sys
from task_manager import TaskManager, WorkerStartError

def same(x):
    return x

def last():
    for manager in (kept, TaskManager(same, 'MODE', 2, logger=None)):
        try:
            print(manager.start([2]).succeeded)
        except (WorkerStartError, RuntimeError) as error:
            true = 'the interpreter exits' in str(error) or 'interpreter shutdown' in str(error)
            print(1 if true and sys.version_info[:2] == (3, 12) else error)

if __name__ == '__main__':
    atexit.register(last)
    kept = TaskManager(same, 'MODE', 2, logger=None)
    kept.start([1])
"""


@pytest.mark.parametrize("mode", ["serial", "thread", "process"])
def test_f11_a_start_in_an_atexit_function(mode: str, script: Callable[[str], Script]) -> None:
    """It works as far as CPython lets it; where 3.12 starts no thread and forks no more, it says so."""
    assert "1\n1\n" == run(script, AT_EXIT, MODE=mode)


# ------------------------------------------------------------------ workers that do not come up

HANGS = """
import os, time
from task_manager import TaskManager, WorkerStartError
from task_manager._runners import process

told = []
not_ready = process.not_ready

def note(what, seconds):
    told.append(seconds)
    return not_ready(what, seconds)

def seconds(timeout, coming):
    "One that is known to hang has no more than one, however slow this machine is."
    return 1.0 if os.path.exists('once') and (not told or AGAIN) else 60.0

process.not_ready, process.time_to_come_up = note, seconds

if __name__ == '__mp_main__':
    try:
        os.mkdir('once')
    except FileExistsError:
        time.sleep(1000 * AGAIN)
    else:
        time.sleep(1000)

def same(x):
    return x

if __name__ == '__main__':
    options = {'task_timeout': 0.5, 'logger': None}
    with TaskManager(same, 'process', 1, start_method='METHOD', **options) as manager:
        try:
            print(manager.start(range(5)).succeeded)
        except WorkerStartError as error:
            print('was not ready after 1 s' in str(error), manager.get_summary().not_started)
"""


@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
@pytest.mark.parametrize(("again", "said"), [("False", "5"), ("True", "True 1")])
def test_f06_a_worker_that_hangs_as_it_comes_up(
    again: str, said: str, start_method: str, script: Callable[[str], Script]
) -> None:
    """With `task_timeout` one is replaced, the second in a row ends the run, and no task is charged."""
    assert f"{said}\n" == run(script, HANGS, AGAIN=again, METHOD=start_method)


STAGE_HANGS = """
import time
from task_manager import TaskChain, TaskManager, WorkerStartError
from task_manager._processes import child

child.TIME_TO_COME_UP = 1.0

if __name__ == '__mp_main__':
    time.sleep(1000)

def same(x):
    return x

if __name__ == '__main__':
    chain = TaskChain(
        [
            TaskManager(same, logger=None, start_method='spawn'),
            TaskManager(same, 'thread', task_timeout=0.5, logger=None, start_method='spawn'),
        ],
        'process',
    )
    try:
        chain.start_chain(range(5))
    except WorkerStartError as error:
        print('the process of stage 2 was not ready after' in str(error), chain.get_final_error_dict())
"""


def test_f06_a_stage_that_hangs_as_it_comes_up(script: Callable[[str], Script]) -> None:
    """Where its calls have a time limit, `start_chain` ends and says so, and no task is charged."""
    assert "True {}\n" == run(script, STAGE_HANGS)
