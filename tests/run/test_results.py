"""Results and errors, kept by index and offered by task."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from task_manager._run.results import Results
from task_manager.events import Event, Failed, Repeated, Retrying, Succeeded


def succeeded(*entries: tuple[int, Any, Any]) -> Succeeded:
    indices, tasks, results = (list(column) for column in zip(*entries, strict=True))
    return Succeeded(indices, tasks, results, [0.0] * len(entries), [1] * len(entries))


def after(*events: Event, repeats_run: bool = False) -> Results:
    results = Results()
    results.begin_run(repeats_run)
    for event in events:
        results.observe(event)
    return results


def test_before_the_first_run_there_is_nothing() -> None:
    """No results, no errors."""
    assert ({}, {}) == (Results().values(), Results().errors())


def test_results_and_errors_stand_in_the_order_in_which_tasks_were_taken() -> None:
    """In whatever order they came."""
    error, other = ValueError("b"), ValueError("e")
    results = after(
        Failed(4, "e", other, 1),
        succeeded((2, "c", 3), (0, "a", 1)),
        Failed(1, "b", error, 1),
        succeeded((3, "d", 4)),
    )

    assert [("a", 1), ("c", 3), ("d", 4)] == list(results.values().items())
    assert [("b", error), ("e", other)] == list(results.errors().items())


def test_only_the_last_word_on_a_task_is_kept() -> None:
    """News of a retry or of a repeat is neither a result nor an error."""
    results = after(Retrying(0, "a", ValueError(), 1, 0.5), Repeated(["b"]))

    assert ({}, {}) == (results.values(), results.errors())


def test_a_later_success_takes_the_error_away() -> None:
    """What failed in one run and succeeded in the next is a result, and in its old place."""
    error = ValueError()
    results = after(
        Failed(0, "a", error, 1),
        Failed(1, "b", error, 1),
        succeeded((2, "c", 3)),
        succeeded((0, "a", 1)),
    )

    assert [("a", 1), ("c", 3)] == list(results.values().items())
    assert {"b": error} == results.errors()


def test_a_later_error_takes_the_place_of_the_earlier_one() -> None:
    """What failed in two runs has the error of the second."""
    second = ValueError("second")
    results = after(Failed(0, "a", ValueError("first"), 1), Failed(0, "a", second, 1))

    assert {"a": second} == results.errors()


def test_another_thread_may_look_while_the_run_goes_on() -> None:
    """At outcomes as they are at that moment, though one of them changes from error to result."""
    results = after(*[Failed(index, index, ValueError(), 1) for index in range(2000)])
    looks = []

    def look() -> None:
        while not over.is_set():
            looks.append(len(results.errors()))

    over = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(look)
        for _ in range(20):
            for index in range(2000):
                results.observe(succeeded((index, index, None)))
                results.observe(Failed(index, index, ValueError(), 1))
        over.set()
        looking.result()

    assert {1999, 2000} >= set(looks)
    assert looks


@pytest.mark.parametrize("repeats_run", [False, True])
def test_none_is_a_result(repeats_run: bool) -> None:
    """A task without a return value has succeeded."""
    results = after(succeeded((0, "a", None)), repeats_run=repeats_run)

    assert ({"a": None}, {}) == (results.values(), results.errors())


@pytest.mark.parametrize("repeats_run", [False, True])
def test_unhashable_tasks_are_found_by_content(repeats_run: bool) -> None:
    """get_result_dict()[{"a": 1}] works, and so does get_error_dict()[[2]]."""
    error = ValueError()
    results = after(
        succeeded((0, {"a": 1}, "result")), Failed(1, [2], error, 1), repeats_run=repeats_run
    )

    assert "result" == results.values()[{"a": 1}]
    assert error is results.errors()[[2]]


ERROR = ValueError("failed")
outcomes = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c", ("d",)]), st.integers(0, 9) | st.just(ERROR))
)


@settings(deadline=None)
@given(outcomes, st.randoms(use_true_random=False))
def test_where_repeats_are_run_the_last_outcome_stands(
    taken: list[tuple[Any, Any]], random: Any
) -> None:
    """One task, one outcome: of the last time that it was taken, whenever that outcome came."""
    last = dict(taken).items()
    events: list[Event] = [
        Failed(index, task, ERROR, 1) if outcome is ERROR else succeeded((index, task, outcome))
        for index, (task, outcome) in enumerate(taken)
    ]
    random.shuffle(events)
    results = after(*events, repeats_run=True)
    good = [(task, outcome) for task, outcome in last if outcome is not ERROR]
    bad = [(task, outcome) for task, outcome in last if outcome is ERROR]

    assert (len(good), len(bad)) == (len(results.values()), len(results.errors()))
    assert [outcome for _, outcome in good] == [results.values()[task] for task, _ in good]
    assert [outcome for _, outcome in bad] == [results.errors()[task] for task, _ in bad]


def test_unhashable_tasks_whose_repeats_run_are_found() -> None:
    """As at a stage of a chain: the last outcome of a task stands, also where no other failed."""
    results = Results()
    results.begin_run(repeats=True)
    results.observe(Succeeded([0, 1], [[1], [2]], ["a", "b"], [0.0, 0.0], [1, 1]))
    before = dict_of(results)
    results.observe(Failed(2, [2], ValueError(), 1))

    assert ([([1], "a"), ([2], "b")], [([1], "a")]) == (before, dict_of(results))


def dict_of(results: Results) -> list[tuple[Any, Any]]:
    return list(results.values().items())
