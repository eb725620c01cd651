"""A chain whose stages are processes: side by side, bounded links, stages that die; its log and bars."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import functions as f
from functions import chain_of, stage
from task_manager import StageDiedError, TaskChain, TaskLogger

both = pytest.mark.parametrize("chain_mode", f.CHAIN_MODES)


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
    """8,000 tasks of 50 KB before a slow stage: no process grows by 100 MB of the 400."""
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
        summary = chain_of("process", fifty_kilobytes, weigh_slowly, keep_results=False).start_chain(
            range(8_000)
        )
    finally:
        over.set()
        watcher.join()

    assert 8_000 == summary.succeeded
    assert len(peaks) >= 3
    assert max(peaks.values()) - before < 100_000_000


def fifty_kilobytes(n: int) -> bytes:
    return bytes([n % 256]) * 50_000


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
    text = re.sub(r"\[\d+\]: ", ": ", file.read_text())  # the numbers of the runs

    assert "First: 4/4, 2 failed" in bars
    assert "Second: 2/2" in bars
    assert "fail_on_odd: failed after 1 attempt: 3: ValueError('odd: 3')" in text
    assert "double: 2 succeeded" in text or "double: succeeded" in text


# ------------------------------------------------------------------ the door


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
