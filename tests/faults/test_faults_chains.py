"""What breaks in a chain. More on F5, F9, F13, F16 and F21 to F24 stands in test_chain.py."""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import os
import signal
import threading
import time
import traceback
import tracemalloc
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

import functions as f
from task_manager import (
    ConfigurationError,
    GetArgsError,
    ProcessResultError,
    StageDiedError,
    TaskChain,
    TaskLogger,
    TaskManager,
    TransportError,
    WorkerStartError,
)
from task_manager._chain.feed import AHEAD

both = pytest.mark.parametrize("chain_mode", ["serial", "thread", "process"])

# ------------------------------------------------------------------ F3 to F5: objects


BASE = [SystemExit, GeneratorExit, asyncio.CancelledError, StopIteration, f.Custom, KeyboardInterrupt]


@both
@pytest.mark.parametrize("error", BASE)
def test_f03_any_exception_in_a_stage(chain_mode: str, error: type[BaseException]) -> None:
    """It is the error of its initial task, and the others arrive."""
    chain = TaskChain([f.stage(with_error), f.stage(f.raise_on_seven, "thread")], chain_mode)
    summary = chain.start_chain([(n, error) for n in range(50)])
    ((task, raised),) = chain.get_final_error_dict().items()

    assert (49, 1, 0) == (summary.succeeded, summary.failed, summary.not_started)
    assert (7, error) == (task[0], type(raised))


def with_error(*task: Any) -> tuple[Any, ...]:
    return task


@pytest.mark.parametrize(("what", "when", "how"), f.BAD_OBJECTS)
def test_f04_an_object_that_cannot_travel_in_a_chain(what: str, when: str, how: str) -> None:
    """One named error at the stage that made it, and 199 results, also where it is a crash."""
    tasks = f.burdened(what, when, how)
    chain = TaskChain([f.stage(f.carry), f.stage(f.same)], "process")
    summary = chain.start_chain(tasks)
    errors = chain.get_final_error_dict()
    error = errors[tasks[77]]

    assert (199, 1, 0) == (summary.succeeded, summary.failed, summary.not_started)
    assert any("in stage 1 of 2" in note for note in error.__notes__)
    if how == "crashes":
        assert StageDiedError is type(error)
    else:
        assert (TransportError, what) == (type(error), error.what)


ODD_ERRORS = [f.raise_unprintable, f.raise_unnotable, f.raise_two_arguments, f.raise_frozen]


@both
@pytest.mark.parametrize("func", ODD_ERRORS)
def test_f04_an_odd_error_in_a_chain(chain_mode: str, func: Any) -> None:
    """Without a text, without notes, without a way to be unpickled: one error, and 49 results."""
    chain = TaskChain([f.stage(func), f.stage(f.same)], chain_mode)
    summary = chain.start_chain(range(50))

    assert (49, 1, 0) == (summary.succeeded, summary.failed, summary.not_started)
    assert [7] == list(chain.get_final_error_dict())


@both
@pytest.mark.parametrize("way", f.WAYS)
def test_f05_errors_of_a_stage_have_their_traceback(chain_mode: str, way: str) -> None:
    """Also through two processes, the stage's worker and the stage: the line, and what it came from."""
    chain = TaskChain([f.stage(f.same), f.manager_of(f.raise_from, way)], chain_mode)
    chain.start_chain([7])
    text = "".join(traceback.format_exception(chain.get_final_error_dict()[7]))

    assert 'raise ValueError("the effect") from error' in text
    assert "KeyError: 'the cause'" in text


# ------------------------------------------------------------------ F8: inside, beside


@both
def test_f08_a_chain_works_outside_the_main_thread(chain_mode: str) -> None:
    """Start may be called in any thread."""
    chain = TaskChain([f.stage(f.plus_one), f.stage(f.double, "process")], chain_mode)
    thread = threading.Thread(target=chain.start_chain, args=(range(20),))
    thread.start()
    thread.join()

    assert {n: (n + 1) * 2 for n in range(20)} == chain.get_final_result_dict()


def run_chain(chain_mode: str) -> dict[int, int]:
    chain = TaskChain([f.stage(f.plus_one), f.stage(f.double, "process")], chain_mode)
    chain.start_chain(range(5))
    return dict(chain.get_final_result_dict())


@both
@pytest.mark.parametrize("way", ["serial", "thread", "fork", "spawn"])
def test_f08_a_chain_works_inside_a_task(way: str, chain_mode: str) -> None:
    """With its processes, also in a process of a manager's."""
    with f.manager_of(run_chain, way) as manager:
        manager.start([chain_mode])

        assert {chain_mode: {n: (n + 1) * 2 for n in range(5)}} == manager.get_result_dict()


# ------------------------------------------------------------------ F14 to F16: input, hooks


def test_f14_a_chain_reads_a_few_batches_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an endless input: eight that the first stage has not taken, and what is in its hands."""
    monkeypatch.setattr("task_manager._rules.batch_size.MOST_ATTEMPTS", 8)
    chain = TaskChain([f.stage(f.same, start_method="fork")], "process")
    ahead = []

    def tasks() -> Iterator[int]:
        for n in range(20_000):
            if n % 100 == 0:
                ahead.append(n - len(chain.get_final_result_dict()))
            yield n

    chain.start_chain(tasks())

    assert max(ahead) <= 8 * (AHEAD + 3)


def test_f14_a_chain_that_keeps_nothing_does_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    """With keep_results=False and deduplicate=False: less than 50 bytes a task, in the parent."""
    # What the links hold is bounded, but by more tiny tasks than these: let it hold fewer.
    monkeypatch.setattr("task_manager._rules.batch_size.MOST_ATTEMPTS", 64)

    def peak(count: int) -> int:
        tracemalloc.start()
        try:
            assert count == chain.start_chain(iter(range(count))).succeeded
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    options = {"keep_results": False, "deduplicate": False, "start_method": "fork"}
    chain = TaskChain([f.stage(f.same, **options), f.stage(f.same, **options)], "process")
    peak(1000)

    assert peak(30_000) - peak(10_000) < 20_000 * 50


@both
def test_f15_any_object_can_be_an_initial_task(chain_mode: str) -> None:
    """Unhashable, broken and huge ones: each is found by itself, and the log shows them in short."""
    tasks = f.odd_tasks()
    chain = TaskChain([f.stage(f.nothing, logger=TaskLogger("log")), f.stage(f.same)], chain_mode)
    summary = chain.start_chain(tasks)
    results = chain.get_final_result_dict()
    (log,) = Path("log").iterdir()

    assert (len(tasks), 0, 0) == (summary.succeeded, summary.failed, summary.duplicates)
    assert [id(task) for task in tasks] == [id(task) for task in results]
    assert "<unreprable BrokenRepr>" in log.read_text()
    assert log.stat().st_size < 20_000


class FailingHooks(TaskManager):
    def get_args(self, task: int) -> Any:
        if task == 3:
            raise KeyError("no such field")
        return (task,)

    def process_result(self, task: int, result: int) -> int:
        if task == 5:
            raise ConnectionError("cannot store")
        return result


@both
def test_f16_a_hook_of_a_stage_that_raises(chain_mode: str) -> None:
    """It is the error of its initial task, and says which hook and which stage."""
    chain = TaskChain([f.stage(f.same), FailingHooks(f.same, logger=None)], chain_mode)
    summary = chain.start_chain(range(50))
    errors = chain.get_final_error_dict()

    assert (48, 2, 0, 0) == (summary.succeeded, summary.failed, summary.retries, summary.not_started)
    assert {3: GetArgsError, 5: ProcessResultError} == {t: type(e) for t, e in errors.items()}
    assert "no such field" in "".join(traceback.format_exception(errors[3]))
    assert "cannot store" in "".join(traceback.format_exception(errors[5]))
    assert all("in stage 2 of 2" in "".join(error.__notes__) for error in errors.values())


# ------------------------------------------------------------------ F19, F20: retries


def flaky_at(folder: str, n: int, failures: int) -> list[Any]:
    if f.count_calls(folder, n) <= failures:
        raise ConnectionError
    time.sleep(0.01)
    return [n, time.monotonic()]


@both
def test_f19_a_waiting_retry_holds_no_worker_of_a_stage(
    chain_mode: str, calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """4 workers, 4 tasks that wait for a second, 40 ready ones of 10 ms: these go ahead."""
    monkeypatch.setattr("random.random", lambda: 1.0)  # the whole delay
    waits = f.stage(flaky_at, "thread", worker_limit=4, retry_delay=1.0, start_method="fork")
    chain = TaskChain([waits, f.stage(f.same)], chain_mode)
    summary = chain.start_chain([(str(calls), n, n < 4) for n in range(44)])
    ended = dict(chain.get_final_result_dict().values())

    assert (44, 4) == (summary.succeeded, summary.retries)
    assert {0, 1, 2, 3} == set(sorted(ended, key=lambda n: ended[n])[40:])


@both
def test_f20_the_last_error_of_a_stage_stands(chain_mode: str, calls: Path) -> None:
    """After max_retries retries it is kept as raised, with its count of attempts."""
    chain = TaskChain([f.stage(f.flaky, max_retries=2), f.stage(f.same)], chain_mode)
    summary = chain.start_chain([(str(calls), "never", 99), (str(calls), "twice", 2)])
    (error,) = chain.get_final_error_dict().values()

    assert (1, 1, 4) == (summary.succeeded, summary.failed, summary.retries)
    assert (ConnectionError, "call 3") == (type(error), str(error))
    assert "task_manager: failed after 3 attempts" in error.__notes__
    assert [3, 3] == [(calls / name).stat().st_size for name in ("never", "twice")]


# ------------------------------------------------------------------ F21: stages that die


def end_slowly(x: int, ends: dict[int, str]) -> tuple[int, dict[int, str]]:
    """One task at a time is in the hands of a stage whose tasks are this slow."""
    time.sleep(0.02)
    if ends.get(x) == "exit":
        os._exit(9)
    if x in ends:
        f.die_of(ends[x])
    return x, ends


def pass_on(x: int, ends: dict[int, str]) -> tuple[int, dict[int, str]]:
    return x, ends


def initial(errors: Any) -> dict[int, BaseException]:
    return {task[0]: error for task, error in errors.items()}


@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize(
    ("how", "exitcode"), [("SIGKILL", -9), ("SIGSEGV", -11), ("SIGTERM", -15), ("exit", 9)]
)
def test_f21_a_stage_dies(position: int, how: str, exitcode: int) -> None:
    """The task in its hands, and that alone, is an error that names the stage."""
    check_deaths(position, {7: how}, exitcode, "fork", count=20)


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_f21_a_stage_dies_by_other_start_methods(start_method: str) -> None:
    """It is started again by the same method."""
    check_deaths(1, {7: "SIGKILL"}, -9, start_method, count=20)


@pytest.mark.parametrize("position", [0, 1])
def test_f21_a_stage_dies_and_leaves_a_copy_of_itself(position: int) -> None:
    """It holds the stage's end of all pipes; the death is seen nevertheless, and the copy ended."""
    began = time.monotonic()
    stages = [f.stage(f.same), f.stage(f.same)]
    stages.insert(position, f.stage(f.leave_a_copy_on_seven))
    chain = TaskChain(stages, "process")
    summary = chain.start_chain(range(20))
    errors = chain.get_final_error_dict()

    assert (19, 1, 0) == (summary.succeeded, summary.failed, summary.not_started)
    assert [7] == list(errors)
    assert {3} == {error.exitcode for error in errors.values()}
    assert time.monotonic() - began < 15


def fork_on_some(folder: Path, x: int) -> int:
    f.count_calls(folder, x)
    if x % 50 == 7:
        os.fork()
    return x


@pytest.mark.parametrize("mode", ["serial", "thread"])
def test_a_copy_of_a_stage_that_returns_is_not_heard(
    mode: str, calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the function forks and forgets to end the child: each task has its one result."""
    monkeypatch.setattr("task_manager._call.PROMPT", 10.0)  # a fork may be faster than this
    func = partial(fork_on_some, calls)
    chain = TaskChain([f.stage(func, mode, worker_limit=1), f.stage(f.same)], "process")
    summary = chain.start_chain(range(1000))

    assert (1000, 0) == (summary.succeeded, summary.failed)
    assert {n: n for n in range(1000)} == chain.get_final_result_dict()
    if mode == "serial":  # it calls nothing either
        assert {1} == {(calls / str(n)).stat().st_size for n in range(1000)}


def die_on_some(x: int, when: str) -> Any:
    if when == "error" and x % 1000 == 778:
        raise ValueError("a neighbour")
    if when == "never" or x % 1000 != 777:
        return x, when
    match when:
        case "result":
            return f.Bad("pickle", "crashes")
        case "error":
            raise f.BadError("pickle", "crashes")
        case _:
            os._exit(5)


@pytest.mark.parametrize("position", [0, 1])
@pytest.mark.parametrize("when", ["call", "result", "error"])
def test_f21_a_stage_that_dies_in_a_batch_takes_one_task_with_it(when: str, position: int) -> None:
    """Of a thousand tiny ones in its hands: the one of the call, or whose result or error it pickles."""
    stages = [f.stage(pass_on) for _ in range(2)]
    stages.insert(position, f.stage(die_on_some))
    chain = TaskChain(stages, "process")
    summary = chain.start_chain([(n, when) for n in range(3000)])
    errors = initial(chain.get_final_error_dict())
    deaths = {n: error.exitcode for n, error in errors.items() if isinstance(error, StageDiedError)}

    assert (3000, 0) == (summary.succeeded + summary.failed, summary.not_started)
    assert {777: 5, 1777: 5, 2777: 5} == deaths
    assert ([778, 1778, 2778] if when == "error" else []) == [n for n in errors if n not in deaths]


def test_f21_a_stage_whose_threads_die_with_it_takes_one_task_with_it() -> None:
    """Of all that are in its hands, as each is run alone afterwards; and the rest goes on."""
    chain = TaskChain([f.stage(die_on_some, "thread", worker_limit=1), f.stage(pass_on)], "process")
    summary = chain.start_chain([(n, "call" if n == 777 else "never") for n in range(20_000)])

    assert (19_999, 1, 0) == (summary.succeeded, summary.failed, summary.not_started)
    assert [777] == list(initial(chain.get_final_error_dict()))


def test_f21_a_stage_is_started_three_times_again() -> None:
    """Three deaths cost three tasks, and all others arrive."""
    check_deaths(1, dict.fromkeys([3, 7, 11], "exit"), 9, "fork", count=20)


def pass_on_slowly(x: int, ends: dict[int, str]) -> tuple[int, dict[int, str]]:
    time.sleep(0.06)
    return x, ends


def test_f21_what_has_passed_a_stage_that_dies_goes_on() -> None:
    """From where it had got to: here some are waiting for the next stage, which is slower."""
    check_deaths(1, {7: "SIGKILL"}, -9, "fork", count=12, last=pass_on_slowly)


def check_deaths(
    position: int,
    ends: dict[int, str],
    exitcode: int,
    start_method: str,
    count: int,
    last: Any = pass_on,
) -> None:
    funcs: list[Any] = [pass_on, pass_on, last]
    funcs[position] = end_slowly
    stages = [f.stage(func, start_method=start_method) for func in funcs]
    chain = TaskChain(stages, "process")
    summary = chain.start_chain([(n, ends) for n in range(count)])
    errors = initial(chain.get_final_error_dict())

    assert (count - len(ends), len(ends), 0, 0) == (
        summary.succeeded,
        summary.failed,
        summary.duplicates,
        summary.not_started,
    )
    assert list(ends) == list(errors)
    assert [(StageDiedError, position + 1, exitcode)] * len(ends) == [
        (type(error), error.stage, error.exitcode) for error in errors.values()
    ]


def test_f21_the_fourth_death_is_the_last() -> None:
    """What has not passed the stage is an error, what has passed it arrives, and the chain ends."""
    ends = dict.fromkeys([3, 5, 7, 9], "exit")
    chain = TaskChain([f.stage(pass_on), f.stage(end_slowly), f.stage(pass_on)], "process")
    summary = chain.start_chain([(n, ends) for n in range(100)])
    errors = initial(chain.get_final_error_dict())

    assert [0, 1, 2, 4, 6, 8] == [task[0] for task in chain.get_final_result_dict()]
    assert [3, 5, 7, *range(9, 100)] == sorted(errors)
    assert {(StageDiedError, 2)} == {(type(error), error.stage) for error in errors.values()}
    assert 0 == summary.not_started


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def kill_the_stage(x: int, folder: str) -> int:
    Path(folder, str(os.getpid())).touch()
    if x == 7:
        stage = multiprocessing.parent_process()
        assert stage is not None
        os.kill(stage.pid, signal.SIGKILL)
    time.sleep(60 if x == 7 else 0.02)
    return x


@pytest.mark.parametrize("start_method", f.START_METHODS)
def test_f21_a_stage_that_is_killed_leaves_no_orphan(start_method: str, calls: Path) -> None:
    """Its worker, in the middle of a long call, ends with it; what waited for it goes on."""
    last = f.stage(kill_the_stage, "process", worker_limit=1, start_method=start_method)
    chain = TaskChain([f.stage(pass_on), last], "process")
    summary = chain.start_chain([(n, str(calls)) for n in range(20)])
    errors = initial(chain.get_final_error_dict())
    workers = [int(path.name) for path in calls.iterdir()]
    until = time.monotonic() + 10  # a call takes a minute
    while any(map(lives, workers)) and time.monotonic() < until:
        time.sleep(0.02)

    assert (20, 0) == (summary.succeeded + summary.failed, summary.not_started)
    assert [7] == list(errors)
    assert {(StageDiedError, 2, -9)} == {(type(e), e.stage, e.exitcode) for e in errors.values()}
    assert [] == list(filter(lives, workers))
    assert len(workers) >= 2


# ------------------------------------------------------------------ F23: a stage that cannot go on


class Locked:
    """Can be pickled by nothing."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __call__(self, task: Any) -> Any:
        return task


class ExitsInHook(TaskManager):
    def process_result(self, task: int, result: int) -> int:
        if task == 7:
            raise SystemExit("in a hook")
        return result


def interrupt_on_seven(x: int) -> int:
    if x == 7:
        raise KeyboardInterrupt
    return x


BROKEN_OFF = {
    "its function cannot be sent": (lambda: f.stage(Locked(), "process"), ConfigurationError),
    "its workers cannot start": (lambda: f.stage(f.LoadsNowhere(), "process"), WorkerStartError),
    "its hook exits": (lambda: ExitsInHook(f.same, logger=None), SystemExit),
    "its function is interrupted": (lambda: f.stage(interrupt_on_seven), KeyboardInterrupt),
}


@pytest.mark.parametrize("chain_mode", ["thread", "process"])
@pytest.mark.parametrize(("make", "kind"), BROKEN_OFF.values(), ids=BROKEN_OFF)
def test_f23_a_stage_that_is_broken_off_ends_the_chain(
    make: Any, kind: type[BaseException], chain_mode: str
) -> None:
    """Its error is raised, and the stage before it is not left waiting: here for an endless input."""
    last = TaskManager(f.same, logger=None)
    chain = TaskChain([f.stage(f.same), make(), last], chain_mode)
    with pytest.raises(kind):
        chain.start_chain(itertools.count())
    summary = chain.get_summary()

    assert 0 == summary.failed
    assert summary.not_started > 0 or chain_mode == "thread"  # or it has ended before it read any
    assert len(chain.get_final_result_dict()) == summary.succeeded


def test_f21_an_input_that_nobody_takes_any_more_is_no_good_end() -> None:
    """A stage is given up while input of unknown length has more to give: its death is raised."""
    ends = dict.fromkeys([3, 5, 7, 9], "exit")
    chain = TaskChain([f.stage(pass_on), f.stage(end_slowly), f.stage(pass_on)], "process")
    with pytest.raises(StageDiedError):
        chain.start_chain((n, ends) for n in itertools.count())

    assert [0, 1, 2, 4, 6, 8] == [task[0] for task in chain.get_final_result_dict()]
