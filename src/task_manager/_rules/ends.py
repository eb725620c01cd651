"""When a run is to end though its input has not: too much has failed, or it takes too long."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import DeadlineExceeded, TooManyFailures

ENOUGH = 100  # tasks with an outcome, before a share of them says anything


@dataclass(frozen=True, slots=True)
class Ends:
    """max_failures: Tasks that may fail, or their share; None: all. deadline: Seconds, or None."""

    max_failures: int | float | None = None
    deadline: float | None = None

    def after_failure(self, failed: int, succeeded: int) -> str | None:
        """Why the run is to end, after so many have failed for good; None: it is not."""
        most = self.max_failures
        if most is None:
            return None
        done = failed + succeeded
        if isinstance(most, int):
            if failed <= most:
                return None
        elif done < ENOUGH or failed <= most * done:
            return None
        return f"{TooManyFailures.__name__}: {failed:,} of {done:,} failed, above max_failures={most}"

    def after(self, seconds: float) -> str | None:
        """Why the run is to end, so many seconds after it began; None: it is not."""
        if self.deadline is None or seconds < self.deadline:
            return None
        return f"{DeadlineExceeded.__name__}: the run took longer than deadline={self.deadline:g} s"
