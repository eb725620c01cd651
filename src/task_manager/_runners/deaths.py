"""What the death of a worker process comes to: who is charged with it, and what comes home unrun."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from time import sleep  # by name: tests of other code put something else into the module

from .._call import clock
from .._processes.attempts import Sent, Unsent, Worker
from .._rules.suspects import Suspects
from .._task import Failure, Outcomes, Unrun
from . import Answer, NotBegun

SHORTLY = 1.0  # seconds in which a process whose pipe has ended ends as well, if it is what has ended
GAP = 0.002  # seconds between two looks at it


def lives_on(worker: Worker) -> bool:
    """Whether it is its pipe alone that has ended, or is no pipe of ours any more.

    Then the one to charge need not be its current call.
    """
    if not worker.lost and not worker.channel.garbled:
        deadline = clock() + SHORTLY
        while not worker.has_died and clock() < deadline:
            sleep(GAP)  # a process that dies closes its files before it is seen to be dead
    return not worker.has_died


def charge(suspects: Suspects[int], worker: Worker, number: int, going_on: bool) -> int | None:
    """The index of the task that is charged for this death, or None.

    number: Of the call that it was at. going_on: It had not come to its end.
    """
    if not worker.ready or not worker.sent:
        return None
    current = worker.index_of(number)
    if current is None:  # it may have died of receiving the next ones
        return suspects.charge(worker.sent[0].indices_left, None, going_on=False)
    had = [index for sent in worker.sent for index in sent.indices_left]
    return suspects.charge(had, current, going_on)


def given_back(
    worker: Worker, charged: int | None, failure: Failure | None, call: tuple[float, float] | None
) -> list[Answer]:
    """The task of this index has the failure; what else the worker had is not run.

    call: When its call began, and its seconds; None where it had none, or that is not known.
    """
    answers: list[Answer] = []
    had: list[Sent | Unsent] = [*worker.sent, *worker.unsent]
    for given in had:
        unrun = list(given.left)
        for position in given.left if charged is not None else ():
            if given.batch.indices[position] == charged and failure is not None:
                unrun.remove(position)
                outcomes = Outcomes([position], [None], {position: failure}, [])
                if call is not None:
                    began, took = call
                    outcomes = replace(outcomes, seconds=[took], began=[began], workers=[worker.place])
                answers.append((given.batch, outcomes))
        if unrun:
            begun = given.begun(int(worker.last_begun)) if isinstance(given, Sent) else ()
            of_these = [position for position in begun if position in unrun]  # the charged one is not
            answers.append((given.batch, Unrun(unrun, of_these)))
    return answers


def not_made(failures: dict[int, Failure]) -> Outcomes:
    """Outcomes of calls that were not made."""
    return Outcomes(list(failures), [None] * len(failures), failures, [])


def never_begun(parts: Iterable[Unsent], answers: Iterable[Answer], ended: Iterable[Worker]) -> NotBegun:
    """Of a closed runner: what no worker had, what came home unrun, and what each had before it."""
    found = [(part.batch, part.left) for part in parts]
    for batch, outcomes in answers:
        if isinstance(outcomes, Unrun):
            found.append((batch, sorted(set(outcomes.positions).difference(outcomes.begun))))
    for worker in ended:
        number = int(worker.last_begun)
        found += [(sent.batch, sent.left[len(sent.begun(number)) :]) for sent in worker.sent]
        found += [(unsent.batch, unsent.left) for unsent in worker.unsent]
    return found
