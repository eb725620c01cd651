"""The journal of one start of a chain: outcomes, and how far each initial task has got, with what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .._repr import short_repr
from .._warning import warn
from ..events import Event, Passed, Retrying, RunBegan, Succeeded
from ..journal import Journal
from .codec import CodecError
from .known import Known
from .record import Record
from .schema import PASSED, STARTED


class ChainRecord(Record):
    """Owns the same, of a chain. An index is the ticket of an initial task.

    A value that does not encode leaves its task, in the file, where it was before.
    """

    def __init__(self, journal: Journal, functions: Sequence[Callable[..., Any]], known: Known) -> None:
        super().__init__(journal, functions, True, known)
        self._flows = False  # what has passed a stage may be with the next one at once
        self._warned = False

    @property
    def marks(self) -> bool:
        """What is about to be called is noted."""
        return self._marks

    @property
    def strict(self) -> bool:
        """Where it is in doubt whether it was called, it is not called again."""
        return self._strict

    def resumes(self, tickets: Iterable[int]) -> dict[int, tuple[int, Any]]:
        """Of these tasks, those that have got somewhere: the stages behind each, and the result of the
        last of them.
        """
        known = self._known.partly
        partly = [ticket for ticket in tickets if ticket in known] if known else []
        if not partly:
            return {}
        by_id = dict(zip(self._known.ids_of(partly), partly, strict=True))
        rows = self._store.partly(list(by_id))
        values = self._codec.decode_all([value for _, _, value in rows])
        found: dict[int, tuple[int, Any]] = {}
        for (number, stage, _), value in zip(rows, values, strict=True):
            if type(value) is CodecError:
                self._warn(
                    f"what a stage has made of a task cannot be read from the journal {self.name} any "
                    f"more ({value}): such tasks run from the first stage again"
                )
            else:
                found[by_id[number]] = stage, value
        return found

    def _note(self, event: Event) -> None:
        match event:
            case Passed():
                self._pass(event)
            case Succeeded(indices):
                super()._note(event)
                self._known.partly.difference_update(indices)
            case Retrying() if self._flows:
                pass  # its next call may have begun when this is told
            case RunBegan(mode=mode):
                self._flows = mode != "serial"
                super()._note(event)
            case _:
                super()._note(event)

    def _pass(self, event: Passed) -> None:
        values = self._codec.encode_all(event.results)
        if CodecError in map(type, values):
            event = self._without_lost(event, values)
        state = STARTED if self._marks and self._flows else PASSED
        self._outcomes(
            state,
            event.stage,
            event.indices,
            event.tasks,
            event.results,
            event.attempts,
            event.seconds,
        )
        self._known.partly.update(event.indices)
        if state == PASSED:
            self._marked.difference_update(event.indices)

    def _without_lost(self, event: Passed, values: list[Any]) -> Passed:
        """Those whose value can be held."""
        lost = next(place for place, value in enumerate(values) if type(value) is CodecError)
        self._warn(
            f"the journal {self.name} cannot hold what stage {event.stage} has made of the task "
            f"{short_repr(event.tasks[lost])}: {values[lost]}. If the run ends early, such tasks go on "
            "from the last stage whose input is known"
        )
        good = [place for place, value in enumerate(values) if type(value) is not CodecError]
        return Passed(
            [event.indices[place] for place in good],
            [event.tasks[place] for place in good],
            [event.results[place] for place in good],
            [event.seconds[place] for place in good],
            [event.attempts[place] for place in good],
            event.stage,
        )

    def _warn(self, text: str) -> None:
        """Once a start."""
        if not self._warned:
            self._warned = True
            warn(text)
