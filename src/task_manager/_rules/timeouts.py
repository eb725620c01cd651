"""What a time limit yields: the same for every runner, and whenever anybody looked."""

from __future__ import annotations

from .._task import Failure, Outcomes
from ..errors import TaskTimeoutError, WorkerDiedError

_ENDED = (TaskTimeoutError, WorkerDiedError)  # what a runner tells of calls that did not come back


def too_late(outcomes: Outcomes, timeout: float) -> dict[int, Failure]:
    """What ended above its time limit before anybody looked: the same as what was ended for it.

    What a late call raised is the cause of its TaskTimeoutError. One that has ended its worker is no
    late call: it did not come back at all.
    """
    late = {}
    for position, took in zip(outcomes.positions, outcomes.seconds, strict=True):
        failure = outcomes.failures.get(position)
        if took > timeout and (failure is None or failure.kind not in _ENDED):
            error = TaskTimeoutError(timeout)
            if failure is not None:
                error.__cause__ = failure.error
            late[position] = Failure(error, TaskTimeoutError)
    return late
