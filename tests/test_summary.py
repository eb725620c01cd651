"""A run says what it came to: as a table, in a notebook, and as a group of its errors."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import pytest

import functions as f
from task_manager import ErrorKind, Summary, TaskChain, TaskManager, TransportError, WorkerDiedError


class TwoArgumentsError(Exception):
    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} {two}")


def fails(task: Any) -> Any:
    match task:
        case "value":
            raise ValueError("<b>no</b>")
        case "key":
            raise KeyError(task)
        case "exit":
            raise SystemExit(3)
        case "two":
            raise TwoArgumentsError("a", "b")
    return task


def summary_of(tasks: list[Any], **options: Any) -> Summary:
    return TaskManager(fails, logger=None, **options).start(tasks)


def test_a_printed_summary_is_a_short_table() -> None:
    """Counts, seconds, rate, and the kinds of errors, the most frequent first."""
    kinds = (
        ErrorKind("ValueError", "crawl.py:12 in fetch", 2, "http://a", ValueError("no")),
        ErrorKind("task_manager.errors.WorkerDiedError", "", 1, "b", KeyError()),
        ErrorKind("task_manager.errors.WorkerDiedError", "", 1, 300, WorkerDiedError(1234567, -11)),
        ErrorKind("x.E (as a TransportError)", "", 1, 5, TransportError("error", "x.E", "lost")),
    )
    summary = Summary(1000, 3, 1, 7, 2.0, 4, 2, kinds=kinds, ended_early="KeyboardInterrupt")

    assert str(summary).splitlines() == [
        "tasks        1,008 in 2.00 s, 501.5 per second",
        "succeeded    1,000",
        "failed       3",
        "duplicates   1",
        "retries      7",
        "not started  4, of which 2 may have begun",
        "ended early  KeyboardInterrupt",
        "  2  ValueError at crawl.py:12 in fetch",
        "     first 'http://a': no",
        "  1  task_manager.errors.WorkerDiedError",
        "     first 'b'",
        "  1  task_manager.errors.WorkerDiedError",
        "     first 300: killed by SIGSEGV: worker process 1234567, with this task in...",
        "  1  x.E (as a TransportError)",
        "     first 5: lost",
    ]
    assert "Summary(succeeded=1000, failed=3, duplicates=1, retries=7" in repr(summary)
    assert "\n" not in repr(summary)


@pytest.mark.parametrize("mode", ["serial", "thread", "process"])
def test_errors_are_counted_by_kind_and_place(mode: str) -> None:
    """The same in every mode: the first task of each kind, and its error."""
    with TaskManager(fails, mode, 1, logger=None, deduplicate=False) as manager:
        kinds = manager.start(["key", "value", "good", "value"]).kinds

    assert [("ValueError", 2, "value"), ("KeyError", 1, "key")] == [
        (kind.name, kind.count, kind.task) for kind in kinds
    ]
    assert all(kind.place.startswith("test_summary.py:") for kind in kinds)
    assert isinstance(kinds[0].error, ValueError)


@pytest.mark.parametrize("chain_mode", ["serial", "thread", "process"])
def test_a_chain_answers_the_same(chain_mode: str) -> None:
    """The kinds are those of the initial tasks, and so are the errors that are raised."""
    chain = TaskChain([f.stage(fails), f.stage(f.same)], chain_mode)
    summary = chain.start_chain(["key", "value", "good"])

    assert [("KeyError", "key"), ("ValueError", "value")] == [(k.name, k.task) for k in summary.kinds]
    assert chain.get_summary() is summary
    with pytest.raises(ExceptionGroup, match="2 of 3 tasks failed"):
        summary.raise_for_errors()


def test_a_notebook_shows_a_table_and_nothing_of_a_text_runs() -> None:
    """What a task or an error says is escaped."""
    html = summary_of(["value", "<script>"])._repr_html_()

    assert "&lt;b&gt;no&lt;/b&gt;" in html
    assert "<b>" not in html
    assert "<table>" in html


def test_raise_for_errors() -> None:
    """A group of all errors; nothing where there is none; no Exception makes a BaseExceptionGroup."""
    summary_of(["good"]).raise_for_errors()
    with pytest.raises(ExceptionGroup) as group:
        summary_of(["good", "key", "value"]).raise_for_errors()
    with pytest.raises(BaseExceptionGroup) as base:
        summary_of(["exit"]).raise_for_errors()

    assert "2 of 3 tasks failed" == group.value.message
    assert ["KeyError", "ValueError"] == [note.split()[1] for note in group.value.__notes__]
    assert [KeyError, ValueError] == list(map(type, group.value.exceptions))
    assert not isinstance(base.value, ExceptionGroup)


def test_the_first_error_of_each_kind_comes_first() -> None:
    """Python prints some fifteen errors of a group: each kind is among them."""
    summary = summary_of(["value"] * 30 + ["key"], deduplicate=False)
    with pytest.raises(ExceptionGroup) as raised:
        summary.raise_for_errors()

    kinds = list(map(type, raised.value.exceptions))
    assert [ValueError, KeyError, *[ValueError] * 29] == kinds
    assert ["30 ValueError", "1 KeyError"] == [n.partition(" at ")[0] for n in raised.value.__notes__]


def test_what_is_held_of_errors_that_nobody_keeps_is_bounded() -> None:
    """The first 20, and the message says so; where errors are kept, all."""
    tasks = ["value"] * 50
    few = summary_of(tasks, deduplicate=False, keep_results=False)
    every = summary_of(tasks, deduplicate=False, keep_results="errors")

    assert (20, 50) == (len(few.errors), len(every.errors))
    with pytest.raises(ExceptionGroup, match=r"50 of 50 tasks failed; here are 20 of the errors"):
        few.raise_for_errors()


def raises_at_many_places(task: int) -> None:
    exec(compile("\n" * task + "raise ValueError(task)", "many.py", "exec"), {"task": task})


def test_kinds_are_bounded() -> None:
    """A hundred, and then the others together, behind them; the counts stay whole."""
    kinds = TaskManager(raises_at_many_places, logger=None).start(range(500)).kinds

    assert (101, 500) == (len(kinds), sum(kind.count for kind in kinds))
    assert ("other kinds", "", 400, 100) == (
        kinds[-1].name,
        kinds[-1].place,
        kinds[-1].count,
        kinds[-1].task,
    )


def test_a_pickled_summary_has_its_counts_and_kinds() -> None:
    """What does not travel is there as its text: no task and no error makes a pickle fail."""
    summary = TaskManager(fails, logger=None).start(["two", "value"])
    kinds = (*summary.kinds, ErrorKind("ValueError", "", 1, lambda: 0, ValueError(1)))
    there = pickle.loads(pickle.dumps(Summary(1, 3, kinds=kinds, ended_early="why")))

    assert (Summary(1, 3), "why") == (there, there.ended_early)
    assert [TransportError, ValueError, ValueError] == [type(kind.error) for kind in there.kinds]
    assert "<function" in there.kinds[2].task
    assert copy.copy(summary) is summary is copy.deepcopy(summary)
    with pytest.raises(ExceptionGroup):
        there.raise_for_errors()


# ------------------------------------------------------------------ repeats, and reset


def test_a_second_start_says_that_nothing_was_run() -> None:
    """And what to do about it."""
    manager = TaskManager(f.same, logger=None)
    first = manager.start(range(4))
    again = manager.start(range(4))
    part = manager.start([3, 4])
    one = manager.start([1])

    assert (None, None) == (first.remark, part.remark)
    assert "all 4 are repeats: nothing was run" == again.remark
    assert "the one task is a repeat: nothing was run" == one.remark
    for shown in (str(again), again._repr_html_()):
        assert "all 4 are repeats: nothing was run; reset() forgets what was done" in shown


def test_reset_forgets_what_was_done() -> None:
    """Results, errors, repeats and the summary; tasks that are unhashable or were changed, too."""

    def pop(task: Any) -> Any:
        return task.pop() if task else {}["empty"]

    tasks: list[list[int]] = [[1, 2], []]
    manager = TaskManager(pop, logger=None)
    manager.start(tasks)
    manager.reset()

    assert (0, 0, Summary()) == (
        len(manager.get_result_dict()),
        len(manager.get_error_dict()),
        manager.get_summary(),
    )
    assert (2, 0) == (manager.start(tasks).succeeded + 1, manager.get_summary().duplicates)
    assert [1] == list(manager.get_result_dict().values())


def test_numbers_go_on_after_a_reset() -> None:
    """An observer never meets one number for two tasks."""
    seen: list[int] = []

    class Observes:
        def observe(self, event: Any, /) -> None:
            seen.extend(getattr(event, "indices", ()) if type(event).__name__ == "Succeeded" else ())

    manager = TaskManager(f.same, logger=None, observers=[Observes()])
    manager.start(["a", "b"])
    manager.reset()
    manager.start(["a"])

    assert [0, 1, 2] == seen


def test_reset_in_the_middle_of_a_run_is_refused() -> None:
    """Nothing is forgotten then. In handle_error the run is over, and its summary is returned still."""

    class Resets(TaskManager):
        def process_result(self, task: Any, result: Any, /) -> Any:
            with pytest.raises(RuntimeError, match="is running"):
                self.reset()
            return result

        def handle_error(self) -> None:
            if self.get_summary().succeeded == 1:
                self.reset()

    manager = Resets(f.same, logger=None)

    assert 2 == manager.start([1, 2]).succeeded
    assert 2 == len(manager.get_result_dict())
    assert 1 == manager.start([3]).succeeded
    assert {} == manager.get_result_dict()


@pytest.mark.parametrize("chain_mode", ["serial", "thread", "process"])
def test_a_chain_and_its_stages_are_reset(chain_mode: str) -> None:
    """The same tasks run again, and a stage in a run of its own refuses."""
    first = f.stage(fails)
    chain = TaskChain([first, f.stage(f.same)], chain_mode)
    chain.start_chain(["a", "key"])
    chain.reset()

    assert [{}, {}, {}, {}] == [
        chain.get_final_result_dict(),
        chain.get_final_error_dict(),
        first.get_result_dict(),
        first.get_error_dict(),
    ]
    assert Summary() == chain.get_summary() == first.get_summary()
    assert (1, 1) == (chain.start_chain(["a", "key"]).succeeded, len(chain.get_final_error_dict()))

    def tasks() -> Iterator[int]:
        with pytest.raises(RuntimeError, match="is running"):
            chain.reset()
        yield 1

    first.start(tasks())
    assert 1 == len(chain.get_final_result_dict())


# ------------------------------------------------------------------ why a run ended early


def test_a_run_that_raised_has_its_summary() -> None:
    """It says what broke the run off, or that the input raised."""

    def interrupts(task: int) -> int:
        if task == 2:
            raise KeyboardInterrupt
        return task

    def tasks() -> Iterator[int]:
        yield 1
        raise ValueError("no more")

    broken_off = TaskManager(interrupts, logger=None)
    with pytest.raises(KeyboardInterrupt):
        broken_off.start(range(4))
    fed = TaskManager(f.same, logger=None)
    with pytest.raises(ValueError, match="no more"):
        fed.start(tasks())

    assert "KeyboardInterrupt" == broken_off.get_summary().ended_early
    assert (2, 1) == (broken_off.get_summary().succeeded, broken_off.get_summary().interrupted)
    assert "the input raised ValueError: no more" == fed.get_summary().ended_early
    assert TaskManager(f.same, logger=None).start([1]).ended_early is None


@pytest.mark.parametrize("chain_mode", ["serial", "thread", "process"])
def test_a_chain_whose_input_raises_says_so(chain_mode: str) -> None:
    """And not one whose handle_error raises: it went to its end."""

    class Handles(TaskManager):
        def handle_error(self) -> None:
            raise RuntimeError("from the hook")

    def tasks() -> Iterator[int]:
        yield 1
        raise ValueError("no more")

    chain = TaskChain([f.stage(f.same)], chain_mode)
    with pytest.raises(ValueError, match="no more"):
        chain.start_chain(tasks())
    hooked = TaskChain([Handles(f.same, logger=None, start_method="fork")], chain_mode)
    with pytest.raises(RuntimeError, match="from the hook"):
        hooked.start_chain([1])

    assert "the input raised ValueError: no more" == chain.get_summary().ended_early
    assert hooked.get_summary().ended_early is None
