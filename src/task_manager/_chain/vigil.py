"""Stages of a round that say nothing: those that are dead, that do not come up, or that are stuck."""

from __future__ import annotations

from collections.abc import Sequence

from .._call import clock
from .._processes.child import Glance, not_ready, time_to_come_up
from .._run.run import TICK
from ..errors import WorkerStartError
from .intake import Intake
from .stage_process import StageProcess

QUIET = 50  # TICKs, with none that anything has come in; after these, what is on its way is stuck


class Vigil:
    """Owns the count of quiet TICKs in a row: counted, since the clock goes on while all are frozen."""

    def __init__(self, stages: Sequence[StageProcess], intake: Intake) -> None:
        self._stages = stages
        self._intake = intake
        self._glance = Glance()
        self._quiet = 0.0

    def refuse_hanging(self) -> None:
        """Raise WorkerStartError where a stage whose calls have a time limit does not come up."""
        coming = [stage for stage in self._stages if not stage.ready]
        for stage in coming:
            timeout = stage.manager.task_timeout
            if timeout is not None:
                limit = time_to_come_up(timeout, len(coming))
                if clock() - stage.began >= limit:
                    raise WorkerStartError(not_ready(f"the process of stage {stage.number + 1}", limit))

    def silently_dead(self) -> list[StageProcess]:
        """Stages whose death nothing else tells, after what they had to say."""
        dead = self._glance.dead(stage for stage in self._stages if not stage.ended)
        for stage in dead:
            self._intake.drain(stage)
        return [stage for stage in dead if not stage.ended]

    def stuck(self, waited: float, fed: bool) -> list[StageProcess]:
        """The first stage that waits for nothing that will come, where all wait, and not all is done.

        waited: Seconds, with no news, since the last time; 0.0: there was some.
        fed: All that is to enter has been sent.

        So it is if something has written a few bytes into a queue: the reader takes them for the length
        of an item, and waits for the rest. No task is charged, as no stage is at one.
        """
        self._quiet = self._quiet + waited / TICK if waited else 0.0
        if self._quiet < QUIET:
            return []
        going_on = [stage for stage in self._stages if not stage.ended]
        on_its_way = fed or any(self._intake.at(stage) for stage in going_on)
        return going_on[:1] if on_its_way and all(stage.waits for stage in going_on) else []
