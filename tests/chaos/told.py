"""What the reader of a stream was told, compared with what is known of the scenario."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from .account import Account
from .plan import Scenario


def faults_of_stream(scenario: Scenario, last: Account, now: Account, done: set[int]) -> Iterator[str]:
    """done: Numbers of the tasks that have succeeded before, and are not to be run again."""
    assert now.reading is not None
    yield from _told_twice(scenario, now, done)
    if now.reading.ordered:
        yield from _out_of_order(scenario, now)
    if now.summary is not None:
        if now.summary.succeeded < len(now.told_results) or now.summary.failed < len(now.told_errors):
            yield f"{len(now.told)} outcomes were told, more than are counted: {now.summary}"
        exact = now.through and scenario.distinct and not now.stopped
        if exact and now.summary.succeeded + now.summary.failed != len(now.told):
            yield f"{len(now.told)} outcomes were told, fewer than are counted: {now.summary}"
    if now.reading.kept:
        yield from _kept_otherwise(scenario, now)
    elif not scenario.journal and list(last.results) != list(now.results):
        yield f"nothing is to be kept, and other results are there than before: {list(now.results)}"
    elif scenario.journal and now.results:
        yield f"nothing is to be kept, and there are results: {list(now.results)}"
    elif more := set(now.errors) - set(last.errors):
        yield f"nothing is to be kept, and there are errors of {sorted(more)}"


def _kept_otherwise(scenario: Scenario, now: Account) -> Iterator[str]:
    """Where repeats run, the outcome that is kept may be a later one, which nobody was told."""
    if scenario.distinct:
        for told, kept in ((now.told_results, now.results), (now.told_errors, now.errors)):
            if other := [n for n in told if n not in kept or kept[n] is not told[n]]:
                yield f"tasks {other} were told otherwise than it is kept"


def _told_twice(scenario: Scenario, now: Account, done: set[int]) -> Iterator[str]:
    given = Counter(scenario.numbers)
    for number, times in Counter(now.told).items():
        if times > (1 if scenario.distinct else given[number]):
            yield f"task {number} was told {times} times"
        if number in done:
            yield f"task {number} was told, although it had succeeded in an earlier start"


def _out_of_order(scenario: Scenario, now: Account) -> Iterator[str]:
    """In a generator of the numbers each is looked for behind the one before."""
    numbers = iter(dict.fromkeys(scenario.numbers) if scenario.distinct else scenario.numbers)
    if not all(number in numbers for number in now.told):
        yield f"outcomes were told in another order than that of the input: {now.told}"
