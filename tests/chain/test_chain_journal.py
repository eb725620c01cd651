"""What a chain promises with a journal: what is done is done, and the rest goes on from where it was."""

from __future__ import annotations

import asyncio
import sqlite3
import warnings
from pathlib import Path
from typing import Any

import pytest

import functions as f
import steps
from functions import stage
from steps import calls, once
from task_manager import ConfigurationError, Journal, TaskChain
from task_manager.events import Event, Passed

both = pytest.mark.parametrize("chain_mode", ["serial", "thread", "process"])


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class BreakOff:
    """An observer that breaks a start off as a Ctrl-C does, when this task has passed this stage."""

    def __init__(self, stage: int, task: Any) -> None:
        self.stage = stage
        self.task = task

    def observe(self, event: Event) -> None:
        if isinstance(event, Passed) and event.stage == self.stage and self.task in event.tasks:
            raise KeyboardInterrupt


def broken_off(chain_mode: str, stage: int, task: Any, tasks: Any = range(10), **journal: Any) -> None:
    """A start that ends when this task has passed this stage."""
    funcs = (steps.first, steps.second, steps.third)
    chain = TaskChain(
        [f.stage(one) for one in funcs],
        chain_mode,
        observers=[BreakOff(stage, task)],
        journal=Journal("etl.db", **journal),
    )
    with pytest.raises(KeyboardInterrupt):
        chain.start_chain(tasks)


# ------------------------------------------------------------------ what is done


@both
def test_what_is_done_is_a_repeat(chain_mode: str) -> None:
    """In another process, which has the earlier results in the order of the first time."""
    steps.chain(chain_mode).start_chain([3, 1, 2])
    chain = steps.chain(chain_mode)
    summary = chain.start_chain([4, 2, 3])

    assert (1, 0, 2) == (summary.succeeded, summary.failed, summary.duplicates)
    assert [(3, 30), (1, 10), (2, 20), (4, 40)] == list(chain.get_final_result_dict().items())
    assert {name: once(1, 2, 3, 4) for name in ("first", "second", "third")} == calls()


@both
def test_the_same_chain_starts_again(chain_mode: str) -> None:
    """With a journal what an earlier start has done is a repeat, and the ledger is kept."""
    chain = steps.chain(chain_mode)
    chain.start_chain(range(5))
    summary = chain.start_chain(range(7))

    assert (2, 5) == (summary.succeeded, summary.duplicates)
    assert {n: n * 10 for n in range(7)} == chain.get_final_result_dict()
    assert once(*range(7)) == calls()["third"]


@both
def test_nothing_is_left_to_do(chain_mode: str) -> None:
    """It says so, and that the journal has it."""
    steps.chain(chain_mode).start_chain(range(4))
    summary = steps.chain(chain_mode).start_chain(range(4))

    assert "all 4 are done already, as etl.db has it: nothing was run" == summary.remark


@both
def test_results_of_what_is_not_given_this_time(chain_mode: str) -> None:
    """Results and errors of the file are there, whatever is given."""
    steps.refuse("second", 1)
    steps.chain(chain_mode).start_chain(range(3))
    chain = steps.chain(chain_mode)
    summary = chain.start_chain([])
    ((task, error),) = chain.get_final_error_dict().items()

    assert 0 == summary.taken
    assert {0: 0, 2: 20} == chain.get_final_result_dict()
    assert (1, ValueError, "second refuses 1") == (task, type(error), str(error))
    assert any("in stage 2 of 3 (second)" in note for note in error.__notes__)


@both
@pytest.mark.parametrize("keeps", ["errors", False])
def test_results_that_are_not_kept_are_not_restored(chain_mode: str, keeps: Any) -> None:
    """As the last stage says; what is done is known all the same."""
    steps.refuse("first", 1)
    steps.chain(chain_mode, keep_results=keeps).start_chain(range(3))
    chain = steps.chain(chain_mode, keep_results=keeps)
    summary = chain.start_chain([0, 2])

    assert 2 == summary.duplicates
    assert {} == chain.get_final_result_dict()
    assert ([1] if keeps else []) == list(chain.get_final_error_dict())


@pytest.mark.parametrize("way", ["serial", "thread", "process"])
def test_starts_that_are_awaited(way: str) -> None:
    """start_chain_async has the journal, too, and async iterables."""

    async def numbers() -> Any:
        for n in range(5):
            yield n

    steps.refuse("third", 2)
    first = steps.chain(way)
    asyncio.run(first.start_chain_async(numbers()))
    steps.allow("third", 2)
    chain = steps.chain(way)
    summary = asyncio.run(chain.start_chain_async(numbers()))

    assert (1, 4) == (summary.succeeded, summary.duplicates)
    assert {n: n * 10 for n in range(5)} == chain.get_final_result_dict()
    assert once(*range(5)) == calls()["second"]


def test_the_other_chain_mode() -> None:
    """The journal is of the stages, whichever way they run."""
    steps.refuse("third", 3)
    steps.chain("process").start_chain(range(5))
    steps.allow("third", 3)
    chain = steps.chain("serial")
    chain.run_chain_in_serial(range(5))
    chain.run_chain_in_process(range(6))

    assert {n: n * 10 for n in range(6)} == chain.get_final_result_dict()
    assert {"first": once(*range(6)), "second": once(*range(6))} == {
        name: calls()[name] for name in ("first", "second")
    }


# ------------------------------------------------------------------ what is on its way


@both
@pytest.mark.parametrize("again", ["same", "other"])
@pytest.mark.parametrize("name", ["first", "second", "third"])
def test_a_task_that_failed_goes_on_where_it_failed(chain_mode: str, name: str, again: str) -> None:
    """With the value that it had there, in this process and in another one."""
    steps.refuse(name, 3)
    chain = steps.chain(chain_mode)
    chain.start_chain(range(5))
    steps.allow(name, 3)
    if again == "other":
        chain = steps.chain(chain_mode)
    summary = chain.start_chain(range(5))
    expected = {one: once(*range(5)) for one in ("first", "second", "third")}
    expected[name][3] += 1

    assert (1, 0, 4) == (summary.succeeded, summary.failed, summary.duplicates)
    assert list(range(5)) == list(chain.get_final_result_dict())
    assert expected == calls()


@both
def test_a_task_that_fails_again_keeps_what_it_had(chain_mode: str) -> None:
    """Twice failed, it goes on at the same stage; the last error stands."""
    steps.refuse("third", 1)
    for _ in range(3):
        chain = steps.chain(chain_mode)
        chain.start_chain(range(3))
    steps.allow("third", 1)
    steps.chain(chain_mode).start_chain(range(3))

    assert [1] == list(chain.get_final_error_dict())
    assert (1, 1, 4) == tuple(calls()[name][1] for name in ("first", "second", "third"))


@both
@pytest.mark.parametrize("stage", [1, 2])
def test_what_has_passed_stages_goes_on_at_the_next(chain_mode: str, stage: int) -> None:
    """A start that is broken off: of what the journal has as passed, nothing is called again."""
    broken_off(chain_mode, stage, 4)
    with sqlite3.connect("etl.db") as file:
        passed = dict(file.execute("SELECT task, stage FROM tasks WHERE state IN (1, 3)"))
    file.close()
    before = calls()
    chain = steps.chain(chain_mode)
    summary = chain.start_chain(range(10))
    after = calls()

    assert 4 in passed
    assert 10 == summary.succeeded + summary.duplicates
    assert {n: n * 10 for n in range(10)} == chain.get_final_result_dict()
    for place, name in enumerate(("first", "second", "third"), start=1):
        behind = [n for n, reached in passed.items() if (reached or 3) >= place]
        assert [before[name][n] for n in behind] == [after[name][n] for n in behind]


@both
def test_the_stages_have_what_goes_on_elsewhere_as_repeats(chain_mode: str) -> None:
    """The first stage's own summary accounts for all tasks; the others for what came to them."""
    steps.refuse("third", 1)
    steps.chain(chain_mode).start_chain(range(3))
    steps.allow("third", 1)
    chain = steps.chain(chain_mode)
    chain.start_chain(range(4))
    counts = [
        (summary.succeeded, summary.duplicates)
        for summary in (one.get_summary() for one in chain.stages)
    ]

    assert [(1, 3), (1, 0), (2, 0)] == counts


@both
def test_input_without_an_end(chain_mode: str) -> None:
    """What goes on further down counts as read: a generator that knows no length is read to its end."""
    for n in range(30):
        steps.refuse("second", n)
    steps.chain(chain_mode).start_chain(iter(range(30)))
    for n in range(30):
        steps.allow("second", n)
    chain = steps.chain(chain_mode)
    summary = chain.start_chain(iter(range(40)))

    assert 40 == summary.succeeded
    assert once(*range(40)) == calls()["first"]


class Unpicklable:
    def __init__(self, n: int) -> None:
        self.n = n

    def __reduce__(self) -> Any:
        raise TypeError("stays here")


def opened(n: int) -> Unpicklable:
    steps.call("second", n)
    return Unpicklable(n)


def read(one: Unpicklable) -> int:
    steps.call("third", one.n)
    return one.n * 10


def test_a_value_that_cannot_be_held_goes_back_to_the_last_that_can() -> None:
    """In serial mode: one warning, the run is whole, and what failed goes on from an earlier stage."""
    steps.refuse("third", 1)
    stages = [steps.first, opened, read]
    with pytest.warns(RuntimeWarning) as caught:
        summary = TaskChain([f.stage(one) for one in stages], journal="etl.db").start_chain(range(3))
    steps.allow("third", 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TaskChain([f.stage(one) for one in stages], journal="etl.db").start_chain(range(3))
    (text,) = [str(one.message) for one in caught]

    assert (2, 1, None) == (summary.succeeded, summary.failed, summary.journal)
    assert text.startswith(
        "the journal etl.db cannot hold what stage 2 has made of the task 0: pickle refuses a value of "
        "type Unpicklable: TypeError: stays here"
    )
    assert [(1, 2, 2)] == [tuple(calls()[name][1] for name in ("first", "second", "third"))]


class Gone:
    """As if its class had been renamed since: what was pickled is not found any more."""

    def __reduce__(self) -> Any:
        return _made, ()


def _made() -> Gone:
    if Path("gone").exists():
        raise LookupError("the class is gone")
    return Gone()


def makes_one(n: int) -> Gone:
    steps.call("second", n)
    return Gone()


def takes_one(one: Gone) -> str:
    steps.call("third", 0)
    return "taken"


@both
def test_a_value_that_cannot_be_read_any_more(chain_mode: str) -> None:
    """One warning, and its task runs from the first stage again."""
    stages = [steps.first, makes_one, takes_one]
    steps.refuse("third", 0)
    TaskChain([stage(one) for one in stages], chain_mode, journal="etl.db").start_chain(range(3))
    steps.allow("third", 0)
    Path("gone").touch()
    chain = TaskChain([stage(one) for one in stages], "serial", journal="etl.db")
    with pytest.warns(RuntimeWarning, match="cannot be read from the journal etl.db any more") as caught:
        chain.start_chain(range(3))

    assert 1 == len(caught)
    assert dict.fromkeys(range(3), "taken") == chain.get_final_result_dict()
    assert dict.fromkeys(range(3), 2) == calls()["first"]


@both
def test_a_value_that_json_cannot_hold(chain_mode: str) -> None:
    """codec="json": it is named, and the run is whole."""
    chain = TaskChain([stage(as_set), stage(len)], chain_mode, journal=Journal("etl.db", codec="json"))
    with pytest.warns(RuntimeWarning, match="what stage 1 has made of the task 1: .*set"):
        summary = chain.start_chain([1])

    assert ({1: 1}, None) == (chain.get_final_result_dict(), summary.journal)


def as_set(n: int) -> set[int]:
    return {n}


def test_what_has_arrived_leaves_nothing_in_memory() -> None:
    """Of where it had got to."""
    chain = steps.chain("serial", keep_results=False)
    chain.start_chain(range(20))

    assert set() == chain._starts._known.partly


def test_a_value_is_held_as_it_was_passed_on() -> None:
    """A function that changes what it is given, and fails: the next start gives it what it was."""
    TaskChain([stage(as_list), stage(spoil)], journal="etl.db").start_chain([1])
    chain = TaskChain([stage(as_list), stage(spoil)], journal="etl.db")
    Path("good").touch()
    chain.retry_failed()

    assert {1: [1]} == chain.get_final_result_dict()


def as_list(n: int) -> list[int]:
    return [n]


def spoil(found: list[int]) -> list[int]:
    if not Path("good").exists():
        found.clear()
        raise ValueError
    return found


# ------------------------------------------------------------------ again


@both
def test_retry_failed_with_a_journal(chain_mode: str) -> None:
    """In a new process: what failed, and it alone, goes on at its stage."""
    for n in (1, 3):
        steps.refuse("second", n)
    steps.chain(chain_mode).start_chain(range(5))
    steps.allow("second", 3)
    chain = steps.chain(chain_mode)
    summary = chain.retry_failed()

    assert (1, 1, 0, 2) == (summary.succeeded, summary.failed, summary.duplicates, summary.taken)
    assert [0, 2, 3, 4] == list(chain.get_final_result_dict())
    assert [1] == list(chain.get_final_error_dict())
    assert once(*range(5)) == calls()["first"]


@both
def test_retry_failed_without_a_journal(chain_mode: str) -> None:
    """Through all stages, as it was before."""
    steps.refuse("second", 1)
    chain = steps.chain(chain_mode, path=None)
    chain.start_chain(range(3))
    steps.allow("second", 1)
    summary = asyncio.run(chain.retry_failed_async())

    assert (1, 0, 1) == (summary.succeeded, summary.failed, summary.taken)
    assert {0: 0, 1: 10, 2: 20} == chain.get_final_result_dict()
    assert 2 == calls()["first"][1]


@both
def test_retry_failed_where_nothing_failed(chain_mode: str) -> None:
    """Nothing is run, before the first start as well."""
    chain = steps.chain(chain_mode)
    summaries = [chain.retry_failed(), chain.start_chain([1]), chain.retry_failed()]

    assert [0, 1, 0] == [summary.taken for summary in summaries]


def test_retry_failed_where_no_errors_are_kept() -> None:
    """The journal knows them; without one nobody does, and that is said."""
    steps.refuse("third", 1)
    steps.chain("serial", keep_results=False).start_chain(range(3))
    summary = steps.chain("serial", keep_results=False).retry_failed()

    assert (0, 1) == (summary.succeeded, summary.failed)
    with pytest.raises(ConfigurationError, match="this chain does not know what failed"):
        steps.chain("serial", path=None, keep_results=False).retry_failed()


@both
def test_reset_forgets_what_is_in_memory(chain_mode: str) -> None:
    """Not the file: the next start reads it again."""
    chain = steps.chain(chain_mode)
    chain.start_chain(range(3))
    chain.reset()
    empty = dict(chain.get_final_result_dict())
    summary = chain.start_chain(range(4))

    assert {} == empty
    assert (1, 3) == (summary.succeeded, summary.duplicates)
    assert {n: n * 10 for n in range(4)} == chain.get_final_result_dict()
