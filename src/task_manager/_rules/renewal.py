"""When the successor of a worker is started that makes so many calls and no more: just in time."""

from __future__ import annotations

MARGIN = 2.0  # times what the slowest of the last workers took to come up
SOON = 0.03  # seconds in which a successor is started in any case: a worker tells of short calls by then
RECENT = 8  # calls over which the time from one to the next is averaged, about
SLOWER = 4.0  # times the average: more is a pause, as between two runs, and says little of what follows


class Usage:
    """How fast a worker uses up its calls: by the clock, as a limit or the input may keep them apart.

    seconds: From one call to the next, of the last ones; 0 where none is known.
    """

    __slots__ = ("_seen", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        self._seen: tuple[float, float] | None = None

    def look(self, now: float, left: float) -> float:
        """It has so many calls left, and something to do. Returns `seconds`."""
        if self._seen is None:
            self._seen = now, left
        since, before = self._seen
        calls = before - left
        if calls > 0:
            each = (now - since) / calls
            if self.seconds:
                each = min(each, SLOWER * self.seconds)
                each = self.seconds + (each - self.seconds) * calls / (calls + RECENT)
            self.seconds = each
            self._seen = now, left
        return self.seconds


class Renewal:
    """Owns how long workers take to come up, with the state that they make.

    most: Calls of one worker.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._coming_up = 0.0

    def came_up(self, seconds: float) -> None:
        """One took so long: more is believed at once, less later."""
        self._coming_up = max(seconds, self._coming_up / 2)

    def due(self, left: float, pace: float) -> bool:
        """Whether it is time, for a worker that has something to do, with so many calls left.

        To be asked whenever it was given something: a short call may be over at the next look.
        pace: Seconds from one call to the next, of the last ones; 0 where none is known.
        """
        return left <= 1 or 0.0 < left * pace <= MARGIN * self._coming_up + SOON
