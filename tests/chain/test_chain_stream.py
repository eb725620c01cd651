"""What a chain's streams promise, in both modes."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

import functions as f
from scripts import Script
from task_manager import ConfigurationError, Outcome, StageDiedError, TaskChain, TaskManager

both = pytest.mark.parametrize("chain_mode", f.CHAIN_MODES)
STAGES = ["serial", "thread", "async", "process"]


def chain_in(chain_mode: str, *funcs: Callable[..., Any], **options: Any) -> TaskChain[Any, Any]:
    return f.chain_of(chain_mode, *funcs, **{"start_method": "fork", **options})


@both
@pytest.mark.parametrize("mode", STAGES)
def test_three_hundred_of_an_endless_input(chain_mode: str, mode: str) -> None:
    """Through stages of any mode; nothing is kept, in the chain or in its stages."""
    stages = [f.stage(f.plus_one, mode, start_method="fork"), f.stage(f.double, mode, worker_limit=2)]
    chain = TaskChain(stages, chain_mode)
    stream = chain.stream(itertools.count())
    got = {one.task: one.result for one in itertools.islice(stream, 300)}
    stream.close()

    assert {n: 2 * (n + 1) for n in got} == got
    assert 300 == len(got)
    assert [{}] * 3 == [
        chain.get_final_result_dict(),
        stages[0].get_result_dict(),
        stages[1].get_result_dict(),
    ]
    assert "its reader left the stream" == chain.get_summary().ended_early


@both
def test_each_initial_task_has_its_outcome(chain_mode: str) -> None:
    """A result of the last stage, or the error of the one where it failed, with a note; once."""
    chain = chain_in(chain_mode, f.fail_on_odd, f.halve_of_fours, retry_delay=0.0)
    outcomes = list(chain.stream([*range(40), 8]))
    summary = chain.get_summary()

    assert all(type(outcome) is Outcome for outcome in outcomes)
    assert {n: n // 2 for n in range(0, 40, 4)} == {one.task: one.result for one in outcomes if one.ok}
    notes = {one.task: one.error.__notes__[-1] for one in outcomes if one.error is not None}
    assert {n: f"in stage {1 if n % 2 else 2} of 2" in notes[n] for n in notes} == dict.fromkeys(
        (n for n in range(40) if n % 4), True
    )
    assert (10, 30, 1, None) == (
        summary.succeeded,
        summary.failed,
        summary.duplicates,
        summary.ended_early,
    )


@both
def test_results_are_kept_where_that_is_wanted(chain_mode: str) -> None:
    """`keep_results=True`, in the chain and in its stages."""
    chain = chain_in(chain_mode, f.plus_one, f.double)
    list(chain.stream(range(5), keep_results=True))

    assert {n: 2 * (n + 1) for n in range(5)} == chain.get_final_result_dict()
    assert {n: n + 1 for n in range(5)} == chain.stages[0].get_result_dict()


@both
def test_leaving_early_many_times_leaves_nothing_behind(chain_mode: str) -> None:
    """By break; the chain may start again at once."""
    chain = chain_in(chain_mode, f.plus_one, f.double)
    for first in range(50 if chain_mode == "serial" else 10):
        for _ in chain.stream(range(first * 100, first * 100 + 100)):
            break
    chain.start([1])

    assert {1: 4} == chain.get_final_result_dict()


@both
def test_a_slow_reader_slows_all_stages(chain_mode: str) -> None:
    """Of an endless input a bounded number is read, however long the reader takes."""
    read: list[int] = []

    def tasks() -> Iterator[int]:
        for n in itertools.count():
            read.append(n)
            yield n

    stream = chain_in(chain_mode, f.same, f.wait_a_little).stream(tasks())
    next(stream)
    before = len(read)
    time.sleep(0.2)
    after = len(read)
    for _ in itertools.islice(stream, 20):
        time.sleep(0.001)
    stream.close()

    assert before == after
    assert len(read) < 50_000  # what the queue between two processes holds, and a little


def test_what_has_passed_a_fast_stage_waits_in_bounds() -> None:
    """In serial mode: two batches for each worker of the next stage."""
    passed = []

    def fast(n: int) -> int:
        passed.append(n)
        return n

    chain = TaskChain(
        [f.stage(fast), f.stage(f.wait_a_little, "thread", worker_limit=2)], chain_mode="serial"
    )
    stream = chain.stream(itertools.count())
    for _ in itertools.islice(stream, 20):
        pass
    stream.close()

    assert len(passed) < 20 + 1000  # a batch of the fast stage that was on its way, and a little


@both
def test_in_the_order_of_the_input(chain_mode: str) -> None:
    """`ordered=True`, whichever stage fails, and whatever is tried again."""
    stages = [
        f.stage(f.uneven, "thread", worker_limit=3, max_retries=1),
        f.stage(f.fail_on_seven, "thread", worker_limit=3),
    ]
    chain = TaskChain(stages, chain_mode)
    outcomes = list(chain.stream([*range(200), 5, *range(200, 300)], ordered=True))
    endless = itertools.islice(chain.stream(itertools.count(), ordered=True), 50)

    assert list(range(300)) == [one.task for one in outcomes]
    assert [7, *range(39, 300, 40)] == [one.task for one in outcomes if not one.ok]
    assert list(range(50)) == [one.task for one in endless]


@both
def test_in_an_event_loop(chain_mode: str) -> None:
    """stream_async, with stages of all modes and an async input; left early, and started again."""

    async def numbers() -> Any:
        for n in itertools.count():
            yield n

    async def main() -> tuple[list[Any], list[Any]]:
        stages = [f.stage(f.plus_one, mode, start_method="fork", worker_limit=2) for mode in STAGES]
        chain = TaskChain(stages, chain_mode)
        got = []
        async with aclosing(chain.stream_async(numbers(), ordered=True)) as outcomes:
            async for one in outcomes:
                got.append((one.task, one.result))
                if one.task == 99:
                    break
        return got, sorted([one.result async for one in chain.stream_async(range(5))])

    assert ([(n, n + 4) for n in range(100)], list(range(4, 9))) == asyncio.run(main())


@both
def test_errors_of_the_input_and_of_handle_error(chain_mode: str) -> None:
    """Both are raised when all that was taken has its outcome."""

    class Refusing(TaskManager):
        def handle_error(self) -> None:
            raise ArithmeticError("at the end")

    def tasks() -> Iterator[int]:
        yield from range(3)
        raise LookupError("no more")

    got: list[int] = []
    with pytest.raises(LookupError, match="no more"):
        got.extend(one.task for one in chain_in(chain_mode, f.same, f.same).stream(tasks()))
    refusing = Refusing(f.same, logger=None, start_method="fork")
    with pytest.raises(ArithmeticError, match="at the end"):
        got.extend(one.task for one in TaskChain([refusing, f.stage(f.same)], chain_mode).stream([3]))

    assert [0, 1, 2, 3] == sorted(got)


@both
def test_one_start_at_a_time(chain_mode: str) -> None:
    """Of the chain, and of each of its stages; the stream goes on."""
    chain = chain_in(chain_mode, f.wait_a_little, f.same)
    stream = chain.stream(range(20))
    got = [next(stream).task]
    with pytest.raises(RuntimeError, match="one start at a time"):
        chain.start([1])
    with pytest.raises(RuntimeError, match="one run at a time"):
        chain.stages[0].start([1])
    got += [one.task for one in stream]
    with pytest.raises(ConfigurationError, match="at least one stage"):
        next(TaskChain([], chain_mode).stream([1]))

    assert list(range(20)) == sorted(got)


@both
def test_stop_ends_it(chain_mode: str) -> None:
    """In the body, and by a stage's manager."""
    for who in (lambda chain: chain, lambda chain: chain.stages[1]):
        chain = chain_in(chain_mode, f.same, f.same)
        got = 0
        for _ in chain.stream(itertools.count()):
            got += 1
            if got == 10:
                assert who(chain).stop()

        assert "stop()" == chain.get_summary().ended_early
        assert got == chain.get_summary().succeeded


@both
def test_with_a_journal_what_was_left_goes_on(chain_mode: str, tmp_path: Path) -> None:
    """Each stage is called once for each task, however often the stream was left."""
    calls = tmp_path / "calls"
    calls.mkdir()

    def chain() -> TaskChain[Any, Any]:
        stages = [f.stage(f.count_here, start_method="fork"), f.stage(f.again, start_method="fork")]
        return TaskChain(stages, chain_mode, journal=tmp_path / "chain.db")

    for _ in itertools.islice(chain().stream(range(60)), 10):
        pass
    for _ in chain().stream(range(60), ordered=True):
        break
    last = chain()
    summary = last.start(range(60))

    assert dict.fromkeys(range(60), 1) == last.get_final_result_dict()
    assert summary.duplicates >= 10
    assert 60 == len(list(calls.iterdir()))


@both
def test_f40_a_ctrl_c(chain_mode: str) -> None:
    """In the body it is the reader's; while the reader waits, it breaks the start off."""
    chain = chain_in(chain_mode, f.same, f.wait_a_little)
    caught = 0
    for _ in chain.stream(range(10)):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            caught += 1

    def tasks() -> Iterator[int]:
        yield 1
        signal.raise_signal(signal.SIGINT)
        yield 2

    with pytest.raises(KeyboardInterrupt):
        list(chain.stream(tasks()))

    assert 10 == caught
    assert "KeyboardInterrupt" == chain.get_summary().ended_early
    assert 1 == chain.start([5]).succeeded


def test_f40_a_stage_dies_while_it_is_read() -> None:
    """Its task alone is an error; all others have their outcomes."""
    chain = chain_in("process", f.same, f.kill_self_on_seven)
    outcomes = []
    for one in chain.stream(range(40)):
        outcomes.append(one)
        time.sleep(0.002)

    assert list(range(40)) == sorted(one.task for one in outcomes)
    assert {7: StageDiedError} == {one.task: type(one.error) for one in outcomes if not one.ok}


@both
def test_f40_a_copy_that_has_the_stream(chain_mode: str) -> None:
    """It may close it, or go on with it: without a word, and the parent's goes on."""
    stream = chain_in(chain_mode, f.same, f.same).stream(range(300))
    got = [next(stream).task]
    for deed in (stream.close, lambda: list(stream)):
        child = os.fork()
        if not child:
            try:
                deed()
            finally:
                os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) in (0, 7)
    got += [one.task for one in stream]

    assert list(range(300)) == sorted(got)


OPEN = """
import itertools, time
from task_manager import TaskChain, TaskManager

def work(x):
    time.sleep(60 if x > 15 else 0.001)
    return x

def body():
    stream = chain.stream(itertools.count())
    for outcome in stream:
        if outcome.task == 10:
            return stream

if __name__ == "__main__":
    stages = [TaskManager(abs, logger=None), TaskManager(work, "process", logger=None)]
    chain = TaskChain(stages, MODE, journal="chain.db")
    stream = body()
    time.sleep(0.1)
    print("end", flush=True)
"""


@both
def test_f40_the_script_ends_with_an_open_stream(
    chain_mode: str, script: Callable[[str], Script]
) -> None:
    """At once, without a word, and no process is left."""
    running = script(OPEN.replace("MODE", repr(chain_mode)))
    out, err = running.process.communicate(timeout=10)

    assert ("end\n", "", 0) == (out, err, running.process.returncode)
    assert [] == running.left_after(10)
