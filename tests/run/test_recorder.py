"""Hands events to observers."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from task_manager import Summary
from task_manager._run.recorder import Recorder
from task_manager.events import Event, Failed, Repeated, Retrying, RunBegan, Succeeded, Waiting

EVENT = Repeated(["a"])

STEPS = {
    "RunBegan": lambda recorder: recorder.record(RunBegan(3)),
    "Repeated": lambda recorder: recorder.record(EVENT),
    "Waiting": lambda recorder: recorder.record(Waiting()),
    "RunEnded": lambda recorder: recorder.close(Summary()),
}


class DiaryObserver:
    """Writes down what it is told; fails at one kind of event, if it is to."""

    def __init__(self, diary: list[Any], name: str = "observer", fails_at: str = "") -> None:
        self._diary = diary
        self.name = name
        self._fails_at = fails_at

    def observe(self, event: Event) -> None:
        kind = type(event).__name__
        self._diary.append((self.name, kind, event))
        if kind == self._fails_at:
            raise OSError(28, "No space left on device")


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def summary_of(*events: Event) -> Summary:
    recorder = Recorder([], [])
    for event in events:
        recorder.record(event)
    return recorder.tally.summary(1.5, 2)


def test_the_tally_counts_what_happens() -> None:
    """Every event is counted once, by the tasks that it speaks of."""
    summary = summary_of(
        Succeeded([0, 1, 2], ["a", "b", "c"], [1, 2, 3], [0.0] * 3, [1] * 3),
        Retrying(3, "d", ValueError(), 1, 0.1),
        Retrying(3, "d", ValueError(), 2, 0.2),
        Failed(3, "d", ValueError(), 3),
        Repeated(["a", "b", "c", "d"]),
        Succeeded([4], ["e"], [5], [0.0], [1]),
    )

    assert Summary(4, 1, 4, 2, 1.5, not_started=2) == summary
    assert 4 + 1 + 4 + 2 == summary.taken


def test_nothing_happened() -> None:
    """A run without a task has a summary of zeros."""
    assert Summary(seconds=1.5, not_started=2) == summary_of()


def test_everyone_is_told_the_essential_ones_first() -> None:
    """Results are in place before the log or a bar hears of them."""
    diary: list[Any] = []
    recorder = Recorder(
        [DiaryObserver(diary, "results")], [DiaryObserver(diary, "bar"), DiaryObserver(diary, "log")]
    )
    recorder.record(EVENT)

    assert [(name, "Repeated", EVENT) for name in ("results", "bar", "log")] == diary


def test_the_end_is_told_once() -> None:
    """A run that has ended is over: closing twice is closing once."""
    diary: list[Any] = []
    recorder = Recorder([], [DiaryObserver(diary)])
    summary = Summary(succeeded=3)
    recorder.close(summary, stage=2)
    recorder.close(summary)

    assert [("observer", "RunEnded", summary, 2)] == [
        (name, kind, event.summary, event.stage) for name, kind, event in diary
    ]


@pytest.mark.parametrize("verb", STEPS)
def test_an_observer_that_fails_is_detached_with_one_warning(verb: str) -> None:
    """F17: the run goes on, the other observers are told, and the failed one is never asked again."""
    diary: list[Any] = []
    observers = [
        DiaryObserver(diary, "first"),
        DiaryObserver(diary, "broken", fails_at=verb),
        DiaryObserver(diary, "last"),
    ]
    recorder = Recorder([], observers)
    with warnings.catch_warnings(record=True, action="always") as warned:
        for step in STEPS.values():
            step(recorder)
        recorder.record(Waiting())

    verbs = list(STEPS)
    told = {name: [verb for other, verb, _ in diary if other == name] for name, _, _ in diary}
    assert {"first": verbs, "broken": verbs[: verbs.index(verb) + 1], "last": verbs} == told
    assert [
        (
            RuntimeWarning,
            "the broken failed and is left out of the rest of this run, which goes on: "
            "OSError: [Errno 28] No space left on device",
            __file__,
        )
    ] == [(warning.category, str(warning.message), warning.filename) for warning in warned]


@pytest.mark.parametrize("verb", STEPS)
def test_warnings_that_are_errors_end_nothing(verb: str) -> None:
    """F17: start never raises for an observer, however warnings are treated."""
    diary: list[Any] = []
    recorder = Recorder([], [DiaryObserver(diary, fails_at=verb)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        STEPS[verb](recorder)
        recorder.record(Waiting())

    assert [verb] == [told for _, told, _ in diary]


def test_an_error_without_a_text_ends_nothing() -> None:
    """F17: an observer may fail with an exception whose __str__ fails."""
    diary: list[Any] = []

    class Broken(DiaryObserver):
        def observe(self, event: Event) -> None:
            super().observe(event)
            raise Unprintable

    recorder = Recorder([], [Broken(diary)])
    recorder.record(Waiting())
    recorder.record(Waiting())

    assert 1 == len(diary)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("verb", STEPS)
def test_an_interrupt_is_no_failure_of_an_observer(verb: str, error: type[BaseException]) -> None:
    """A Ctrl-C while the log is written ends the run, as anywhere."""

    class Interrupted(DiaryObserver):
        def observe(self, event: Event) -> None:
            raise error

    with pytest.raises(error):
        STEPS[verb](Recorder([], [Interrupted([])]))


def test_what_the_essential_ones_raise_ends_the_run() -> None:
    """Results that cannot be kept are no matter for a warning."""
    diary: list[Any] = []
    recorder = Recorder(
        [DiaryObserver(diary, "results", fails_at="Repeated")], [DiaryObserver(diary, "log")]
    )
    with pytest.raises(OSError, match="No space left"):
        recorder.record(EVENT)

    assert ["results"] == [name for name, _, _ in diary]


def test_an_observer_without_a_name_is_named_by_its_class() -> None:
    """The warning says whose observer it was; its twin of the same value stays."""

    class Mine:
        def __init__(self, diary: list[Any], fails: bool) -> None:
            self.diary = diary
            self.fails = fails

        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = object.__hash__

        def observe(self, event: Event) -> None:
            self.diary.append(event)
            if self.fails:
                raise OSError(28, "No space left on device")

    first: list[Any] = []
    second: list[Any] = []
    recorder = Recorder([], [Mine(first, fails=False), Mine(second, fails=True)])
    with pytest.warns(RuntimeWarning, match=r"the observer .*Mine failed and is left out"):
        recorder.record(EVENT)
    recorder.record(EVENT)

    assert ([EVENT, EVENT], [EVENT]) == (first, second)
