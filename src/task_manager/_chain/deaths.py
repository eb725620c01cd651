"""What the deaths of stages come to: who is charged, and when a stage is given up."""

from __future__ import annotations

from collections.abc import Sequence

from .._rules.suspects import Suspects

RESTARTS = 3  # of dead stages, in one start of a chain


class Deaths:
    """Owns the suspects, and the count of deaths.

    A death that no ticket could be charged for makes suspects, which run alone. If then one of them dies
    alone, it was the cause of the death before: the two count as one.

    suspects: Tickets. concluded: The stages, from 0, whose `handle_error` was called.
    """

    def __init__(self) -> None:
        self.suspects: Suspects[int] = Suspects()
        self.concluded: set[int] = set()
        self._count = 0
        self._unexplained = 0

    @property
    def too_many(self) -> bool:
        return self._count > RESTARTS

    def charge(self, held: Sequence[int], current: int | None, going_on: bool) -> int | None:
        """Take in a death; the ticket that is charged for it, or None.

        held: What the dead stage had taken. current: The last that it had begun. going_on: It had
        not come to the end of that.
        """
        suspected = frozenset(ticket for ticket in held if ticket in self.suspects)
        charged = self.suspects.charge(held, current, going_on, taken=True)
        if charged in suspected and self._unexplained:
            self._unexplained -= 1
        else:
            self._count += 1
            self._unexplained += charged is None and bool(held)
        return charged
