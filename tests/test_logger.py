"""What a log says: of which events, in which words, how many together."""

from __future__ import annotations

import re
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import task_manager._log.observer as module
from functions import Unprintable
from logs import SHORT, lines, logged, opened, succeeded
from task_manager import Summary, TaskLogger, TaskManager, WorkerDiedError
from task_manager._log.observer import EVERY, MOST, MOST_TEXT, OWN_RECORD
from task_manager._repr import short_repr
from task_manager.events import Event, Failed, Repeated, Retrying, RunBegan, RunEnded, Succeeded, Waiting


class Clock:
    """The clock of the log, turned by hand."""

    def __init__(self) -> None:
        self.now = 500.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


def same(task: Any) -> Any:
    return task


def refuse(task: Any) -> Any:
    if task == 2:
        raise ValueError("two")
    return task


# ------------------------------------------------------------------ what is written


def test_a_run_is_in_the_log_from_beginning_to_end() -> None:
    """How many tasks, what became of each, and the counts."""
    with TaskManager(refuse, logger=TaskLogger(format=SHORT)) as manager:
        manager.start([1, 2, 3])

    found = [re.sub(r"\[\d+\]|pytest, ", "", line) for line in lines()]
    line = refuse.__code__.co_firstlineno + 2

    assert [
        "INFO|refuse: run begins: serial mode, 1 worker, 3 tasks",
        "ERROR|refuse: failed after 1 attempt: 2: ValueError('two')",
        f'    File "{__file__}", line {line}, in refuse',
        '      raise ValueError("two")',
        "    ValueError: two",
        "SUCCESS|refuse: 2 succeeded in 0.000 s: 1; 3",
    ] == found[:-1]
    assert re.match(r"INFO\|refuse: run ends after \d\.\d{3} s: 2 succeeded, 1 failed", found[-1])


def test_every_record_has_its_time_and_its_level() -> None:
    """The usual format."""
    TaskManager(same).start([1])

    for line in lines():
        assert re.fullmatch(
            r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \| [A-Z]+ +\| \d+ \| same\[\d+\]: .+", line
        )


@pytest.mark.parametrize(
    ("total", "words"), [(3, "3 tasks"), (1, "1 task"), (0, "0 tasks"), (None, "tasks")]
)
def test_the_beginning_says_how_many_tasks_come(total: int | None, words: str) -> None:
    """If anybody knows."""
    observer = TaskLogger(format=SHORT).observer("work")
    observer.observe(RunBegan(total))
    observer.observe(RunEnded(Summary()))

    assert f"INFO|work: run begins: {words}" == lines()[0]


@pytest.mark.parametrize(
    ("summary", "words"),
    [
        (Summary(seconds=1.5), "1.500 s: 0 succeeded, 0 failed"),
        (Summary(3, 2, seconds=0.25), "0.250 s: 3 succeeded, 2 failed"),
        (
            Summary(3, 2, 4, 5, 61.0, 6),
            "61.000 s: 3 succeeded, 2 failed, 4 duplicates, 5 retries, 6 not started",
        ),
        (
            Summary(1, 1, 1, 1, 61.0, 1),
            "61.000 s: 1 succeeded, 1 failed, 1 duplicate, 1 retry, 1 not started",
        ),
    ],
)
def test_the_end_counts_what_there_was(summary: Summary, words: str) -> None:
    """Repeats, retries and what was not started, where there are any."""
    opened().observe(RunEnded(summary))

    assert f"INFO|work: run ends after {words}" == lines()[-1]


STOPPED = Summary(2, not_started=3, interrupted=1, ended_early="KeyboardInterrupt")


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (succeeded("a", seconds=0.02), "SUCCESS|work: succeeded in 0.020 s: 'a'"),
        (succeeded("a", ("b", 1), seconds=0.02), "SUCCESS|work: 2 succeeded in 0.040 s: 'a'; ('b', 1)"),
        (succeeded("a", seconds=2.5), "SUCCESS|work: succeeded in 2.500 s: 'a'"),
        (Failed(0, "a", KeyError("b"), 1), "ERROR|work: failed after 1 attempt: 'a': KeyError('b')"),
        (Failed(0, "a", KeyError("b"), 4), "ERROR|work: failed after 4 attempts: 'a': KeyError('b')"),
        (
            Failed(0, "a", KeyError("b"), 0),
            "ERROR|work: failed before its first attempt: 'a': KeyError('b')",
        ),
        (
            Retrying(0, "a", OSError("no"), 2, 0.256),
            "WARNING|work: attempt 2 failed, again in 0.26 s: 'a': OSError('no')",
        ),
        (Repeated(["a"]), "DEBUG|work: repeated, not run again: 'a'"),
    ],
)
def test_every_event_has_its_record(event: Event, line: str) -> None:
    """Its level, the task, and what there is to know."""
    assert [line] == logged(event)


@pytest.mark.parametrize(
    ("total", "summary", "end"),
    [
        (12, STOPPED, "0 failed, 3 not started, of which 1 may have begun, 7 not read"),
        (None, STOPPED, "0 failed, 3 not started, of which 1 may have begun"),
        (12, Summary(2), "2 succeeded, 0 failed"),  # a stage, where others failed before it
    ],
)
def test_a_run_that_is_broken_off_says_what_is_left(
    total: int | None, summary: Summary, end: str
) -> None:
    """In the words of the line after a Ctrl-C; what was not read is told where the length was known."""
    observer = TaskLogger(format=SHORT).observer("work")
    observer.observe(RunBegan(total))
    observer.observe(RunEnded(summary))

    assert lines()[-1].endswith(end)


def test_an_error_of_ours_is_in_the_log_by_its_text() -> None:
    """What matters is no part of its repr."""
    died = Failed(0, 3, WorkerDiedError(8205, -11), 1)
    text = f"task_manager.errors.WorkerDiedError: {died.error}"

    assert f"ERROR|work: failed after 1 attempt: 3: {text}" == logged(died)[-1]


def test_every_repeat_has_a_record() -> None:
    """At the level of debugging."""
    assert [f"DEBUG|work: repeated, not run again: {n}" for n in range(3)] == logged(
        Repeated([0, 1]), Repeated([2])
    )


@pytest.mark.parametrize(
    "task",
    ["{x} {0} {}", "{", "<red>task</red>", r"\<b>", "%s %d", "{time:YYYY}", {"a": {"b": 1}}, "日本語"],
)
def test_a_task_is_shown_as_it_is(task: Any) -> None:
    """Braces, tags and percents are no format."""
    logged_lines = logged(succeeded(task), Failed(0, task, ValueError(task), 1))

    assert [
        f"ERROR|work: failed after 1 attempt: {task!r}: {ValueError(task)!r}",
        f"SUCCESS|work: succeeded in 0.000 s: {task!r}",
    ] == logged_lines


def test_a_title_is_shown_as_it_is() -> None:
    """The name of a lambda is in angle brackets, which are no markup."""
    TaskManager(lambda task: task, logger=TaskLogger(format=SHORT)).start([1])

    assert re.match(r"INFO\|<lambda>\[\d+\]: run begins: .*1 task$", lines()[0])


def test_a_task_without_a_repr_is_in_the_log() -> None:
    """F15: by the name of its type, and so is an error without a text."""
    assert [
        "ERROR|work: failed after 1 attempt: <unreprable Broken>: <unreprable Unprintable>"
    ] == logged(Failed(0, Broken(), Unprintable(), 1))


def test_a_record_is_one_line() -> None:
    """Whatever a task or an error says; what an error says in more lines stands below it, indented."""
    record, *more = logged(Failed(0, "a\nb", ValueError("c\nERROR|d"), 1))

    assert "ERROR|work: failed after 1 attempt: 'a\\nb': ValueError('c\\nERROR|d')" == record
    assert ["    ValueError: c", "      ERROR|d"] == more


# ------------------------------------------------------------------ grouping


def test_fast_successes_share_a_record(clock: Clock) -> None:
    """One record names all that succeeded since the last one, in at most so many seconds."""
    observer = opened()
    for n in range(5):
        observer.observe(succeeded(n, seconds=0.01))
        clock.now += EVERY / 4
    observer.observe(succeeded(5, 6, seconds=0.01))
    observer.observe(RunEnded(Summary()))

    assert [
        "SUCCESS|work: 5 succeeded in 0.050 s: 0; 1; 2; 3; 4",
        "SUCCESS|work: 2 succeeded in 0.020 s: 5; 6",
    ] == lines()[1:-1]


def test_a_success_does_not_wait_for_others_that_do_not_come(clock: Clock) -> None:
    """While nothing happens, what is held back is written, once."""
    observer = opened()
    observer.observe(succeeded(1))
    before = lines()[1:]
    observer.observe(Waiting())
    observer.observe(Waiting())
    after = lines()[1:]
    observer.observe(RunEnded(Summary()))

    assert ([], ["SUCCESS|work: succeeded in 0.000 s: 1"]) == (before, after)


def test_a_slow_task_has_a_record_of_its_own(clock: Clock) -> None:
    """At once, and after those that came before it."""
    observer = opened()
    observer.observe(succeeded(1))
    observer.observe(succeeded(2))
    observer.observe(succeeded("slow", seconds=OWN_RECORD))
    written = lines()[1:]
    observer.observe(succeeded("nearly", seconds=OWN_RECORD * 0.99))
    observer.observe(RunEnded(Summary()))

    assert [
        "SUCCESS|work: 2 succeeded in 0.000 s: 1; 2",
        "SUCCESS|work: succeeded in 0.100 s: 'slow'",
    ] == written
    assert "SUCCESS|work: succeeded in 0.099 s: 'nearly'" == lines()[3]


def test_a_slow_task_among_fast_ones_has_a_record_of_its_own(clock: Clock) -> None:
    """However they came together, each with its own seconds."""
    tasks, seconds = ["a", "slow", "b", "slower"], [0.01, 1.0, 0.02, 2.0]

    assert [
        "SUCCESS|work: succeeded in 1.000 s: 'slow'",
        "SUCCESS|work: succeeded in 2.000 s: 'slower'",
        "SUCCESS|work: 2 succeeded in 0.030 s: 'a'; 'b'",
    ] == logged(Succeeded([0, 1, 2, 3], tasks, tasks, seconds, [1] * 4))


@pytest.mark.parametrize("count", [MOST - 1, MOST, MOST + 1, 3 * MOST + 7])
def test_a_record_names_so_many_tasks_at_most(count: int, clock: Clock) -> None:
    """A large batch has several records, and their seconds add up."""
    records = logged(succeeded(*range(count), seconds=0.001))
    numbers = [int(record.split()[1]) for record in records]
    seconds = [float(record.split()[4]) for record in records]

    assert count == sum(numbers)
    assert max(numbers) <= MOST
    assert max(map(len, records)) <= MOST_TEXT + 100
    assert count * 0.001 == pytest.approx(sum(seconds), abs=0.01)


def test_many_small_batches_do_not_wait_for_long(clock: Clock) -> None:
    """A full record is written, also when no time has passed."""
    observer = opened()
    for n in range(MOST - 1):
        observer.observe(succeeded(n))
    before = len(lines())
    observer.observe(succeeded(MOST - 1))
    after = len(lines())
    observer.observe(RunEnded(Summary()))

    assert (1, 3) == (before, after)


steps = st.one_of(
    st.lists(st.tuples(st.integers(), st.sampled_from([0.0, 5.0])), min_size=1, max_size=5).map(
        lambda tasks: ("succeeded", tasks)
    ),
    st.integers(1, 400).map(lambda count: ("succeeded", [(n, 0.0) for n in range(count)])),
    st.floats(0.0, 1.0).map(lambda seconds: ("passed", seconds)),
    st.just(("ticked", None)),
)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(steps, max_size=12))
def test_every_task_is_in_the_log(
    clock: Clock, tmp_path_factory: pytest.TempPathFactory, happened: list[tuple[str, Any]]
) -> None:
    """However successes come, each is named once."""
    folder = tmp_path_factory.mktemp("logs")
    observer = opened(log_dir=folder)
    tasks = []
    for what, value in happened:
        match what:
            case "succeeded":
                tasks += [task for task, _ in value]
                names, seconds = [task for task, _ in value], [took for _, took in value]
                observer.observe(
                    Succeeded(list(range(len(names))), names, names, seconds, [1] * len(names))
                )
            case "passed":
                clock.now += value
            case "ticked":
                observer.observe(Waiting())
    observer.observe(RunEnded(Summary()))
    named = [name for line in lines(folder)[1:-1] for name in line.split(" s: ")[1].split("; ")]

    assert Counter(short_repr(task) for task in tasks) == Counter(named)
