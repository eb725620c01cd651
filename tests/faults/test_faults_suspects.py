"""F29: a stage dies; that is charged to the task that has caused it, or to none."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import stat
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import functions as f
from task_manager import StageDiedError, TaskChain, TaskManager

WAYS = [("exit", "spawn"), ("SIGKILL", "forkserver"), ("SIGSEGV", "fork")]

any_means = pytest.mark.parametrize(("how", "start_method"), WAYS)


def end_this_process(how: str) -> None:
    if how == "exit":
        os._exit(5)
    f.die_of(how)


class Fatal(TaskManager):
    """Its hooks end the process of its stage, for some tasks."""

    hook = "process_result"
    how = "exit"
    fatal = frozenset({11})

    def get_args(self, task: int) -> Any:
        if self.hook == "get_args" and task in self.fatal:
            end_this_process(self.how)
        return (task,)

    def process_result(self, task: int, result: int) -> int:
        if self.hook == "process_result" and task in self.fatal:
            end_this_process(self.how)
        return result


def check(chain: TaskChain, fatal: set[int], stage: int, count: int = 200) -> None:
    """These tasks, and they alone, are errors that name the stage."""
    summary = chain.start_chain(range(count))
    errors = chain.get_final_error_dict()

    assert fatal == set(errors)
    assert {(StageDiedError, stage)} == {(type(error), error.stage) for error in errors.values()}
    assert (count - len(fatal), len(fatal), 0, 0) == (
        summary.succeeded,
        summary.failed,
        summary.duplicates,
        summary.not_started,
    )
    assert {n: n for n in range(count) if n not in fatal} == chain.get_final_result_dict()


@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize("hook", ["get_args", "process_result"])
@pytest.mark.parametrize("mode", f.MODES)
def test_f29_a_hook_ends_its_stage(mode: str, hook: str, position: int) -> None:
    """One bad task of 200 costs that task, in every mode of the stage and wherever it stands."""
    stages = [f.stage(f.same), f.stage(f.same)]
    fatal = Fatal(f.fit(f.same, mode), mode, worker_limit=2, logger=None)
    fatal.hook = hook
    stages.insert(position, fatal)
    check(TaskChain(stages, "process"), {11}, position + 1)


@any_means
@pytest.mark.parametrize("mode", ["serial", "thread"])
def test_f29_a_hook_ends_its_stage_by_any_means(mode: str, how: str, start_method: str) -> None:
    """A signal as well as an exit, by every start method."""
    fatal = Fatal(f.same, mode, worker_limit=2, logger=None, start_method=start_method)
    fatal.how = how
    chain = TaskChain([fatal, f.stage(f.same, start_method=start_method)], "process")
    check(chain, {11}, 1, count=50)


def die_of(fatal: set[int], how: str, x: int) -> int:
    if x in fatal:
        end_this_process(how)
    return x


async def die_awaiting(fatal: set[int], how: str, x: int) -> int:
    await asyncio.sleep(0)
    return die_of(fatal, how, x)


def deadly(mode: str, fatal: set[int], how: str = "exit", **options: Any) -> TaskManager:
    func = partial(die_awaiting if mode == "async" else die_of, fatal, how)
    return TaskManager(func, mode, worker_limit=4, logger=None, **options)


@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize("mode", ["serial", "thread", "async"])
def test_f29_a_function_ends_its_stage(mode: str, position: int) -> None:
    """Also where many calls are going on, and nobody knows whose it was: all of them run alone."""
    stages = [f.stage(f.same), f.stage(f.same)]
    stages.insert(position, deadly(mode, {11}))
    check(TaskChain(stages, "process"), {11}, position + 1)


@any_means
@pytest.mark.parametrize("mode", ["thread", "async"])
def test_f29_a_function_ends_its_stage_by_any_means(mode: str, how: str, start_method: str) -> None:
    """The same by signals, and by every start method."""
    last = deadly(mode, {11}, how, start_method=start_method)
    check(TaskChain([f.stage(f.same, start_method=start_method), last], "process"), {11}, 2, count=50)


@pytest.mark.parametrize("fatal", [{3, 100, 190}, {10, 11, 12}], ids=["apart", "together"])
@pytest.mark.parametrize("mode", ["serial", "thread", "async"])
def test_f29_three_that_end_their_stage_cost_three(mode: str, fatal: set[int]) -> None:
    """A death that only confirms who was the cause of the one before is no further one."""
    check(TaskChain([f.stage(f.same), deadly(mode, fatal), f.stage(f.same)], "process"), fatal, 2)


class Lethal:
    """Ends the process that unpickles it, unless that is the caller's."""

    def __init__(self, home: int, x: int) -> None:
        self.home = home
        self.x = x

    def __reduce__(self) -> Any:
        return arrive, (self.home, self.x)


def arrive(home: int, x: int) -> Any:
    if home != os.getpid() and x == 11:
        os._exit(5)
    return Lethal(home, x)


def unload(lethal: Lethal) -> int:
    return lethal.x


@pytest.mark.parametrize("mode", f.MODES)
def test_f29_a_result_that_ends_the_next_stage(mode: str) -> None:
    """As it is unpickled there: it is one error, of the stage that died, and the others arrive."""
    first = f.stage(partial(Lethal, os.getpid()))
    chain = TaskChain([first, f.stage(unload, mode, worker_limit=2)], "process")
    check(chain, {11}, 2)


def close_all_files(x: int) -> int:
    """The next report cannot be sent any more."""
    if x == 11:
        os.closerange(3, 1000)
    return x


@pytest.mark.parametrize("position", [0, 1])
@pytest.mark.parametrize("mode", ["serial", "thread"])
def test_f29_a_stage_dies_while_it_reports(mode: str, position: int) -> None:
    """The call was over: those that were not told of run alone, and one of them is charged."""
    stages = [f.stage(f.same)]
    stages.insert(position, f.stage(close_all_files, mode, worker_limit=1))
    check(TaskChain(stages, "process"), {11}, position + 1)


def test_f29_what_waits_to_be_tried_again_is_no_suspect_for_long(
    calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that has come back from an attempt does not hold up the others until the next one.

    That would take longer than a test may.
    """
    monkeypatch.setattr("random.random", lambda: 1.0)  # the whole delay
    tasks = [(str(calls), n) for n in range(40)]
    stage = f.stage(fail_first, "thread", worker_limit=40, retry_delay=1.0, start_method="fork")
    chain = TaskChain([stage], "process")
    summary = chain.start_chain(tasks)

    assert (39, 1) == (summary.succeeded, summary.failed)


def fail_first(folder: str, n: int) -> int:
    if n == 39:
        time.sleep(0.2)
        os._exit(5)
    if f.count_calls(folder, n) <= 2:
        raise ConnectionError
    return n


class Concludes(TaskManager):
    """Counts how often its stage has come to its end."""

    folder = ""
    name = ""
    ends = False

    def handle_error(self) -> None:
        f.count_calls(self.folder, self.name)
        if self.ends:
            os._exit(5)


def test_f29_handle_error_is_called_once_a_start(calls: Path) -> None:
    """A stage that is through does not come to its end again when a later one has died."""
    first = Concludes(f.same, logger=None)
    first.folder, first.name = str(calls), "first"
    last = f.stage(die_late)
    chain = TaskChain([first, f.stage(f.same), last], "process")
    check(chain, {199}, 3)

    assert 1 == (calls / "first").stat().st_size


def die_late(x: int) -> int:
    if x == 199:
        time.sleep(0.5)  # the stages before are through
        os._exit(5)
    return x


@pytest.mark.parametrize("mode", ["serial", "thread"])
def test_f29_a_handle_error_that_ends_its_stage(mode: str, calls: Path) -> None:
    """No task is charged for it; `start_chain` raises the death, and the stage comes to its end once."""
    first = Concludes(f.same, mode, logger=None)
    first.folder, first.name, first.ends = str(calls), "first", True
    chain = TaskChain([first, f.stage(f.same)], "process")
    with pytest.raises(StageDiedError, match="stage 1"):
        chain.start_chain(range(200))

    assert (200, 0, 0) == (
        chain.get_summary().succeeded,
        chain.get_summary().failed,
        chain.get_summary().not_started,
    )
    assert 1 == (calls / "first").stat().st_size


def write_into_all_sockets(x: int) -> int:
    """Something that no stage says, into the pipe and the links of this one."""
    if x == 11:
        for fd in range(3, 200):
            with contextlib.suppress(OSError):
                if stat.S_ISSOCK(os.fstat(fd).st_mode):
                    os.write(fd, b"what no stage says" * 10)
    return x


@pytest.mark.parametrize("position", [0, 1])
@pytest.mark.parametrize("mode", ["serial", "thread"])
def test_f30_a_stage_that_writes_into_its_sockets(mode: str, position: int) -> None:
    """Garbage is the death of the stage that it comes from: one task, and not the chain."""
    stages = [f.stage(f.same), f.stage(f.same)]
    stages.insert(position, f.stage(write_into_all_sockets, mode, start_method="spawn", worker_limit=1))
    check(TaskChain(stages, "process"), {11}, position + 1, count=50)


def kill_a_stage(number: int) -> Callable[[], None]:
    def kill() -> None:
        for child in multiprocessing.active_children():
            if child.name == f"task_manager-stage-{number}":
                child.kill()

    return kill


@pytest.mark.parametrize("mode", ["thread", "async"])
def test_f29_a_stage_that_is_killed_from_outside_costs_nothing(mode: str, calls: Path) -> None:
    """What was in its hands is run once more, alone, and does nothing: nobody is charged."""
    func = partial(await_the_kill if mode == "async" else wait_for_the_kill, calls)
    slow = TaskManager(func, mode, worker_limit=4, logger=None)
    chain = TaskChain([f.stage(f.same), slow], "process")
    killer = threading.Thread(target=kill_one_that_waits, args=(calls,))
    killer.start()
    summary = chain.start_chain(range(50))
    killer.join()

    assert (calls / "killed").exists()
    assert (50, 0) == (summary.succeeded, summary.failed)


def kill_one_that_waits(folder: Path) -> None:
    """Stage 2, once its calls wait, and more tasks have come to it than the one that it calls."""
    deadline = time.monotonic() + 30
    while not (folder / "waits").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)
    kill_a_stage(2)()
    (folder / "killed").touch()


def wait_for_the_kill(folder: Path, x: int) -> int:
    """The first twenty do not, so that the others come many at a time."""
    if x >= 20 and not (folder / "killed").exists():
        (folder / "waits").touch()
        time.sleep(30)
    return x


async def await_the_kill(folder: Path, x: int) -> int:
    if x >= 20 and not (folder / "killed").exists():
        (folder / "waits").touch()
        await asyncio.sleep(30)
    return x


def waits_for_the_others(task: tuple[int, str]) -> int:
    """The first one goes on until most others were called; the second one ends its worker."""
    number, folder = task
    calls = Path(folder) / "calls"
    if number == 700:
        until = time.monotonic() + 20.0
        while time.monotonic() < until and calls.stat().st_size < 3000:
            time.sleep(0.01)
        return calls.stat().st_size
    if number == 1400:
        os._exit(3)
    with calls.open("ab") as file:
        file.write(b".")
    time.sleep(0.0001)  # so that a batch is some hundred calls, none of which is reported by itself
    return 0


def test_f08_suspects_do_not_wait_behind_a_long_call(tmp_path: Path) -> None:
    """What is run again after a death, each alone, is run by the workers that are free."""
    tasks = [(number, str(tmp_path)) for number in range(6000)]
    (tmp_path / "calls").touch()
    with TaskManager(
        waits_for_the_others,
        execution_mode="process",
        worker_limit=2,
        max_retries=0,
        logger=None,
    ) as manager:
        manager.start([(task,) for task in tasks])
        (called,) = [called for called in manager.get_result_dict().values() if called]

    assert 3000 <= called
    assert 1 == len(manager.get_error_dict())
