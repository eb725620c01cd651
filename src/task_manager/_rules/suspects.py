"""Who is charged for a death, and who travels alone from then on: one rule, for workers and stages.

     a death ──▶ charge() ──▶ the one that has the error, or none
                    │
                    └──▶ suspects ──▶ parts(): each alone, the others together

A death is charged to one task at most: the one whose call was going on.  Where that is not known, all
that it may have been run once more, each alone; then it is known.  This knows no process and no pipe.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence, Set
from typing import Generic, TypeVar

MOST_DEATHS = 3  # deaths that one and the same may have been about; with the last one it is charged

N = TypeVar("N", bound=Hashable)


class Suspects(Generic[N]):
    """Owns who is under suspicion. Each is known by a name of its caller's, as an index or a ticket."""

    def __init__(self) -> None:
        self._deaths: dict[N, int] = {}  # that each may have caused

    def __bool__(self) -> bool:
        return bool(self._deaths)

    def __contains__(self, name: N) -> bool:
        return name in self._deaths

    def clear(self, names: Iterable[N]) -> None:
        """These have an outcome: they are no suspects any more."""
        for name in names:
            self._deaths.pop(name, None)

    def parts(self, names: Sequence[N]) -> list[slice]:
        """How to part what would travel together: each suspect alone, those between them together."""
        return parts_of(names, self._deaths.keys())

    def charge(
        self, held: Sequence[N], current: N | None, going_on: bool, taken: bool = False
    ) -> N | None:
        """Who is charged for this death, or None. Who may have caused it besides is a suspect.

        held: What the dead worker or stage had, and had not reported yet, in the order of the calls.
        current: The one whose call was the last to begin; None if that call is none of these.
        going_on: That call was not over.
        taken: It is known that it had taken these, even if no call had begun.
        """
        if not held:
            return None
        last = None if current is None else held.index(current)
        if last is not None and going_on:
            # What was called before it may have left a thread behind that kills: it runs alone, too.
            self._suspect(held[:last])
            return self._charged(held[last])
        suspects = held if last is None else held[: last + 1]
        self._suspect(suspects)
        if len(suspects) == 1 and (taken or last is not None):
            return self._charged(suspects[0])
        for name in suspects:
            if self._deaths[name] >= MOST_DEATHS:
                return self._charged(name)
        return None

    def _suspect(self, names: Iterable[N]) -> None:
        for name in names:
            self._deaths[name] = self._deaths.get(name, 0) + 1

    def _charged(self, name: N) -> N:
        self._deaths.pop(name, None)
        return name


def parts_of(names: Sequence[N], alone: Set[N]) -> list[slice]:
    """Each of those that run alone is a part, and so are all between two of them."""
    if alone.isdisjoint(names):
        return [slice(0, len(names))]
    parts: list[slice] = []
    first = 0
    for position, name in enumerate(names):
        if name in alone:
            parts += [slice(first, position), slice(position, position + 1)]
            first = position + 1
    parts.append(slice(first, len(names)))
    return [part for part in parts if part.start < part.stop]
