"""What chains promise, in both modes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import psutil
import pytest

import functions as f
from functions import stage
from task_manager import (
    ConfigurationError,
    StageDiedError,
    TaskChain,
    TaskLogger,
    TaskManager,
    TransportError,
)

CHAIN_MODES = ["serial", "process"]

both = pytest.mark.parametrize("chain_mode", CHAIN_MODES)


def chain_of(chain_mode: str, *funcs: Any, **options: Any) -> TaskChain:
    return TaskChain([stage(func, **options) for func in funcs], chain_mode)


# ------------------------------------------------------------------ flow


@both
@pytest.mark.parametrize("mode", f.MODES)
def test_results_are_those_of_nested_map(chain_mode: str, mode: str) -> None:
    """Every stage mode, in every chain mode: the final results are those of func2(func1(x))."""
    chain = TaskChain([stage(f.plus_one, mode), stage(f.double, mode)], chain_mode)
    summary = chain.start_chain(range(500))

    assert {n: (n + 1) * 2 for n in range(500)} == chain.get_final_result_dict()
    assert {} == chain.get_final_error_dict()
    assert (500, 0, 0, 0) == (summary.succeeded, summary.failed, summary.duplicates, summary.not_started)


@both
def test_results_stand_in_the_order_of_the_initial_tasks(chain_mode: str) -> None:
    """The order of get_final_result_dict is the order in which the tasks were given."""
    chain = chain_of(chain_mode, f.negate, f.negate)
    chain.start_chain(range(300))

    assert list(range(300)) == list(chain.get_final_result_dict())


@both
def test_f24_what_passes_is_passed_one_for_one(chain_mode: str) -> None:
    """None, equal results and results of 300 KB are followed by their number, not their value."""
    chain = chain_of(chain_mode, constant, f.same)
    chain.start_chain(["none", "equal", "same", "large", "list"])

    assert {
        "none": None,
        "equal": 1,
        "same": True,
        "large": "x" * 300_000,
        "list": [1, [2]],
    } == chain.get_final_result_dict()
    assert chain.get_final_result_dict()["same"] is True


def constant(name: str) -> Any:
    return {"none": None, "equal": 1, "same": True, "large": "x" * 300_000, "list": [1, [2]]}[name]


@both
def test_f24_no_tasks(chain_mode: str) -> None:
    """An empty list is a start with nothing to do."""
    summary = chain_of(chain_mode, f.same, f.same).start_chain([])

    assert 0 == summary.taken


@both
def test_a_repeat_among_the_initial_tasks_runs_once(chain_mode: str) -> None:
    """What stands twice in the input of a start goes through once."""
    chain = chain_of(chain_mode, f.same, f.fail_on_odd)
    first = chain.start_chain([0, 1, 2, 0, 1])
    second = chain.start_chain([0, 1, 2])

    assert (2, 1, 2) == (first.succeeded, first.failed, first.duplicates)
    assert (2, 1, 0) == (second.succeeded, second.failed, second.duplicates)


@both
def test_repeats_run_if_the_first_stage_wants_them(chain_mode: str) -> None:
    """deduplicate=False of the first stage lets every initial task through."""
    chain = chain_of(chain_mode, f.same, f.same, deduplicate=False)

    assert 5 == chain.start_chain([1, 1, 1, 2, 2]).succeeded


@both
def test_initial_tasks_may_be_unhashable(chain_mode: str) -> None:
    """As in a manager, they are found by their content."""
    chain = TaskChain([stage(take_x), stage(f.double)], chain_mode)
    chain.start_chain([{"x": 1}, {"x": 2}])

    assert 4 == chain.get_final_result_dict()[{"x": 2}]


def take_x(task: dict[str, int]) -> int:
    return task["x"]


@both
def test_stage_summaries(chain_mode: str) -> None:
    """After the chain, each stage has its own counts, results and errors."""
    first, second = stage(f.fail_on_odd), stage(f.double)
    TaskChain([first, second], chain_mode).start_chain(range(10))

    assert (5, 5) == (first.get_summary().succeeded, first.get_summary().failed)
    assert (5, 0) == (second.get_summary().succeeded, second.get_summary().failed)
    assert [0, 2, 4, 6, 8] == sorted(second.get_result_dict())
    assert [1, 3, 5, 7, 9] == sorted(first.get_error_dict())


# ------------------------------------------------------------------ errors


@both
def test_f22_an_error_knows_its_stage_and_initial_task(chain_mode: str) -> None:
    """One failing task leaves the others; a note names the stage and the initial task."""
    chain = chain_of(chain_mode, f.plus_one, f.fail_on_odd)
    chain.start_chain([1, 2, 3])
    errors = chain.get_final_error_dict()

    assert {1: 2, 3: 4} == chain.get_final_result_dict()
    assert [2] == list(errors)
    assert "odd: 3" == str(errors[2])
    assert "task_manager: in stage 2 of 2 (fail_on_odd), for the initial task 2" in errors[2].__notes__


@both
def test_f05_errors_show_where_they_were_raised(chain_mode: str) -> None:
    """The traceback of the stage's process is shown."""
    chain = chain_of(chain_mode, f.same, f.raise_from)
    chain.start_chain([7])
    text = "".join(traceback.format_exception(chain.get_final_error_dict()[7]))

    assert 'raise ValueError("the effect") from error' in text


@both
def test_retries_inside_a_chain(chain_mode: str, calls: Path) -> None:
    """Each stage retries by its own options, and the chain counts the retries."""
    first = stage(f.flaky, max_retries=2)
    chain = TaskChain([first, stage(f.double)], chain_mode)
    tasks = [(str(calls), k, k) for k in range(4)]
    summary = chain.start_chain(tasks)

    assert {task: 2 * (task[2] + 1) for task in tasks[:3]} == chain.get_final_result_dict()
    assert tasks[3:] == list(chain.get_final_error_dict())
    assert 0 + 1 + 2 + 2 == summary.retries == first.get_summary().retries


@both
def test_what_failed_is_run_again_from_the_start(chain_mode: str, calls: Path) -> None:
    """start_chain(get_final_error_dict()) runs the failures through all stages again."""
    chain = TaskChain([stage(f.flaky, max_retries=0), stage(f.double)], chain_mode)
    task = (str(calls), "a", 1)
    chain.start_chain([task])
    assert [task] == list(chain.get_final_error_dict())

    chain.start_chain(chain.get_final_error_dict())

    assert {task: 4} == chain.get_final_result_dict()
    assert {} == chain.get_final_error_dict()


@pytest.mark.parametrize("kind", [f.CannotPickle, f.CannotUnpickle])
def test_f24_a_result_that_cannot_travel_is_an_error_where_it_was_made(kind: type) -> None:
    """The stage that made it is named; the others arrive."""
    chain = chain_of("process", f.give, f.nothing)
    tasks = [(n, kind) for n in range(20)]
    chain.start_chain(tasks)
    (error,) = chain.get_final_error_dict().values()

    assert tasks[:7] + tasks[8:] == list(chain.get_final_result_dict())
    assert isinstance(error, TransportError)
    assert any("in stage 1 of 2" in note for note in error.__notes__)


def test_an_initial_task_that_cannot_travel_is_an_error_at_the_first_stage() -> None:
    """It never reaches a stage; the others do."""
    chain = chain_of("process", f.nothing)
    tasks = [f.CannotPickle(), 1]
    chain.start_chain(tasks)

    assert [TransportError] == [type(error) for error in chain.get_final_error_dict().values()]
    assert [1] == list(chain.get_final_result_dict())


@both
def test_f13_an_input_that_raises(chain_mode: str) -> None:
    """What was taken goes through all stages, then the error is raised."""

    def tasks() -> Iterator[int]:
        yield from range(10)
        raise LookupError("no more")

    chain = chain_of(chain_mode, f.plus_one, f.double)
    with pytest.raises(LookupError, match="no more"):
        chain.start_chain(tasks())

    assert {n: (n + 1) * 2 for n in range(10)} == chain.get_final_result_dict()


@both
def test_f16_handle_error_of_a_stage_raises_to_the_caller(chain_mode: str) -> None:
    """At the end, with the results of all stages intact."""
    chain = TaskChain([HandlesBadly(f.fail_on_odd, logger=None), stage(f.double)], chain_mode)
    with pytest.raises(LookupError, match="2 errors"):
        chain.start_chain(range(4))

    assert {0: 0, 2: 4} == chain.get_final_result_dict()


class HandlesBadly(TaskManager):
    def handle_error(self) -> None:
        raise LookupError(f"{len(self.get_error_dict())} errors")


class Hooked(TaskManager):
    """Hooks that keep state where they run."""

    seen = 0

    def get_args(self, task: int) -> int:
        if task == 3:
            raise KeyError(task)
        return task * 10

    def process_result(self, task: int, result: int) -> tuple[int, int, int]:
        self.seen += 1
        return result, self.seen, os.getpid()


@both
def test_hooks_run_where_the_stage_runs(chain_mode: str) -> None:
    """In serial mode in this process, in process mode in the stage's own; without a lock."""
    chain = TaskChain([Hooked(f.same, "thread", logger=None)], chain_mode)
    chain.start_chain(range(6))
    finals = chain.get_final_result_dict()

    assert {n: n * 10 for n in (0, 1, 2, 4, 5)} == {n: result for n, (result, _, _) in finals.items()}
    assert [1, 2, 3, 4, 5] == sorted(seen for _, seen, _ in finals.values())
    assert (chain_mode == "serial") == ({os.getpid()} == {pid for _, _, pid in finals.values()})
    assert [3] == list(chain.get_final_error_dict())


# ------------------------------------------------------------------ processes


def test_stages_are_processes_side_by_side() -> None:
    """Each stage works in a process of its own, and all work at the same time."""
    chain = chain_of("process", append_pid, append_pid, append_pid)
    chain.start_chain([[n] for n in range(20)])
    pids = {tuple(result[1:]) for _, result in chain.get_final_result_dict().items()}

    assert 1 == len(pids)
    assert 3 == len(set(*pids))


def append_pid(task: list[int]) -> list[int]:
    return [*task, os.getpid()]


def test_f23_a_fast_stage_waits_for_a_slow_one() -> None:
    """Queues are bounded: while the second stage is held up, the first cannot get far."""
    chain = chain_of("process", stamp, stamp_late)
    chain.start_chain((n, b"x" * 20_000) for n in range(2000))
    finals = list(chain.get_final_result_dict().values())
    released = min(second for _, second in finals)

    assert 2000 == len(finals)
    assert sum(first < released for first, _ in finals) < 1000


def test_f23_what_is_on_its_way_is_bounded() -> None:
    """20,000 tasks of 20 KB before a slow stage: no process grows by 100 MB of the 400."""
    me = psutil.Process()
    over = threading.Event()
    peaks: dict[int, int] = {}

    def watch() -> None:
        while not over.wait(0.05):
            for process in [me, *me.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    used = process.memory_full_info().uss
                    peaks[process.pid] = max(peaks.get(process.pid, 0), used)

    before = me.memory_full_info().uss
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        summary = chain_of("process", twenty_kilobytes, weigh_slowly, keep_results=False).start_chain(
            range(20_000)
        )
    finally:
        over.set()
        watcher.join()

    assert 20_000 == summary.succeeded
    assert len(peaks) >= 3
    assert max(peaks.values()) - before < 100_000_000


def twenty_kilobytes(n: int) -> bytes:
    return bytes([n % 256]) * 20_000


def weigh_slowly(load: bytes) -> int:
    time.sleep(0.0002)
    return len(load)


def stamp(n: int, load: bytes) -> tuple[float, bytes]:
    return time.monotonic(), load


def stamp_late(first: float, load: bytes) -> tuple[float, float]:
    """The first call takes a second."""
    global late
    time.sleep(0 if late else 1)
    late = True
    return first, time.monotonic()


late = False


def die_on_seven(x: int) -> int:
    if x == 7:
        os._exit(9)
    return x


@pytest.mark.parametrize("position", [0, 1, 2])
def test_f21_a_stage_that_dies_takes_one_task_with_it(position: int) -> None:
    """It is an error that names the stage; what had passed is kept, what waits goes on."""
    funcs = [slow_same, slow_same, slow_same]
    funcs[position] = die_on_seven
    chain = chain_of("process", *funcs)
    summary = chain.start_chain(range(40))
    errors = chain.get_final_error_dict()

    assert 40 == summary.succeeded + summary.failed
    assert [7] == list(errors)
    assert (StageDiedError, position + 1) == (type(errors[7]), errors[7].stage)
    assert "exit code 9" in str(errors[7])
    assert set(range(40)) - set(errors) == set(chain.get_final_result_dict())


def slow_same(x: int) -> int:
    time.sleep(0.002)
    return x


def always_die(x: int) -> int:
    os._exit(9)


@pytest.mark.parametrize("position", [0, 1, 2])
def test_f21_a_stage_that_keeps_dying_ends_the_chain(position: int) -> None:
    """After three restarts there is an error for each task that did not get past it."""
    funcs: list[Any] = [f.same, f.same, f.same]
    funcs[position] = always_die
    chain = chain_of("process", *funcs)
    summary = chain.start_chain(range(2000))

    assert (0, 2000, 0) == (summary.succeeded, summary.failed, summary.not_started)
    assert {StageDiedError} == {type(error) for error in chain.get_final_error_dict().values()}


def test_f09_ctrl_c_ends_a_process_chain() -> None:
    """What has arrived is kept, no child is left (the fixture looks), KeyboardInterrupt is raised."""

    def tasks() -> Iterator[int]:
        yield from range(2000)
        raise KeyboardInterrupt

    chain = chain_of("process", f.same, slow_same)
    with pytest.raises(KeyboardInterrupt):
        chain.start_chain(tasks())
    summary = chain.get_summary()

    assert (0, 0) == (summary.failed, summary.duplicates)
    assert summary.not_started > 0
    assert len(chain.get_final_result_dict()) == summary.succeeded


# ------------------------------------------------------------------ log and bars


@both
def test_log_and_bars_are_written_by_the_parent(
    chain_mode: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """One bar a stage, and one log in which every stage names its tasks."""
    log = TaskLogger(tmp_path / "log")
    chain = TaskChain(
        [
            stage(f.fail_on_odd, show_progress=True, progress_desc="First", logger=log),
            stage(f.double, "thread", show_progress=True, progress_desc="Second", logger=log),
        ],
        chain_mode,
    )
    chain.start_chain(range(4))
    bars = capfd.readouterr().err
    (file,) = (tmp_path / "log").glob("*.log")
    text = file.read_text()

    assert "First: 100%" in bars
    assert "failed=2" in bars
    assert "Second" in bars
    assert "fail_on_odd: failed after 1 attempt: 3: ValueError('odd: 3')" in text
    assert "double: 2 succeeded" in text or "double: succeeded" in text


# ------------------------------------------------------------------ the door


def test_a_chain_needs_a_stage() -> None:
    """Starting without one is a ValueError that says so."""
    with pytest.raises(ValueError, match="at least one stage"):
        TaskChain([]).start_chain([1])


@pytest.mark.parametrize("index", [2, -3])
def test_remove_stage_out_of_range(index: int) -> None:
    """An IndexError says how many stages there are."""
    with pytest.raises(IndexError, match="the chain has 2"):
        chain_of("serial", f.same, f.same).remove_stage(index)


@pytest.mark.parametrize("index", [stage(f.same), slice(None), "0", 1.0, None])
def test_remove_stage_takes_an_index(index: Any) -> None:
    """A TypeError says so, and no stage is gone."""
    chain = chain_of("serial", f.same, f.same)
    with pytest.raises(TypeError, match="index must be a whole number"):
        chain.remove_stage(index)

    assert 2 == len(chain.stages)


@pytest.mark.parametrize(("stages", "name"), [(None, "NoneType"), (stage(f.same), "TaskManager")])
def test_stages_are_iterable(stages: Any, name: str) -> None:
    """One manager is no list of managers."""
    with pytest.raises(ConfigurationError) as caught:
        TaskChain(stages)

    assert f"stages must be an iterable of managers, as a list; got {name}" == str(caught.value)


class StartsTheChain(TaskManager):
    """Starts its chain once more, in the middle of a start."""

    chain: TaskChain
    mode = ""
    refused = ""
    asked: ClassVar[list[int]] = []

    def get_args(self, task: int) -> int:
        self.asked.append(task)
        return task

    def handle_error(self) -> None:
        try:
            getattr(self.chain, f"run_chain_in_{self.mode}")([2])
        except RuntimeError as error:
            self.refused = str(error)


@both
def test_a_chain_makes_one_start_at_a_time(chain_mode: str) -> None:
    """Another start is refused before a hook of any stage has seen its tasks."""
    first, second = StartsTheChain(f.same, logger=None), stage(f.plus_one)
    first.asked.clear()
    first.mode = chain_mode
    first.chain = TaskChain([first, second])
    first.chain.start_chain([1])

    assert "this chain is running; a chain makes one start at a time" == first.refused
    assert [1] == first.asked
    assert {1: 2} == first.chain.get_final_result_dict()


def test_a_start_that_failed_gives_the_turn_back() -> None:
    """Whatever it raised, the next start is made."""
    chain = chain_of("serial", f.same)
    with pytest.raises(ConfigurationError):
        chain.start_chain(None)  # type: ignore[arg-type]

    assert 1 == chain.start_chain([1]).succeeded


def test_a_chain_can_be_copied() -> None:
    """Also in the middle of a start: the copy makes its own."""
    chain = chain_of("serial", f.same)
    with chain._turn.one_run("the first"):
        copy = pickle.loads(pickle.dumps(chain))

    assert 1 == copy.start_chain([1]).succeeded


def test_stages_are_managers() -> None:
    """What is no manager, or is in the chain already, is refused."""
    manager = stage(f.same)
    with pytest.raises(ConfigurationError, match="must be a TaskManager"):
        TaskChain([f.same])  # type: ignore[list-item]
    with pytest.raises(ConfigurationError, match="is in the chain"):
        TaskChain([manager, manager])


def test_wrong_chain_modes() -> None:
    """Constructor and setter say what is right."""
    with pytest.raises(ValueError, match="serial, process; got 'proces'"):
        TaskChain([stage(f.same)], "proces")
    with pytest.raises(ValueError, match="serial, process; got None"):
        chain_of("serial", f.same).set_chain_mode(None)  # type: ignore[arg-type]


def test_f08_a_serial_chain_with_an_async_stage_inside_a_loop() -> None:
    """It is refused at once, with what to do, and that does it."""
    chain = TaskChain([stage(f.plus_one, "async")])

    async def main() -> None:
        with pytest.raises(ConfigurationError) as caught:
            chain.start_chain([1])
        assert (
            "a serial chain with an async stage cannot start inside a running event loop: "
            "use `await asyncio.to_thread(chain.start_chain, tasks)` there"
        ) == str(caught.value)
        await asyncio.to_thread(chain.start_chain, [1])

    asyncio.run(main())

    assert {1: 2} == chain.get_final_result_dict()


def test_f14_an_endless_input_of_repeats_does_not_deafen_a_chain() -> None:
    """The stages are heard meanwhile: what an input waits for comes."""
    chain = chain_of("process", f.plus_one, f.plus_one)

    def tasks() -> Iterator[int]:
        deadline = time.monotonic() + 20
        while not chain.get_final_result_dict() and time.monotonic() < deadline:
            yield 1

    chain.start_chain(tasks())

    assert {1: 3} == chain.get_final_result_dict()
    assert chain.get_summary().seconds < 20
