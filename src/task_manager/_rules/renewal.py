"""When the successor of a worker is started that makes so many calls and no more: just in time."""

from __future__ import annotations

MARGIN = 2.0  # times what the slowest of the last workers took to come up
SOON = 0.03  # seconds in which a successor is started in any case: a worker tells of short calls by then


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
        """Whether it is time, for a worker with so many calls left.

        pace: Seconds a call, of the last ones; 0 where none is known.
        """
        return left <= 1 or 0.0 < left * pace <= MARGIN * self._coming_up + SOON
