"""Hands events to observers, and detaches those that fail."""

from __future__ import annotations

from collections.abc import Sequence

from .._platform import this_process
from .._repr import text_of
from .._summary import Summary
from .._warning import warn
from ..events import Event, Observer, RunEnded
from .tally import Tally


class Recorder:
    """Owns the observers of one run.

    essential: Told first. What they raise ends the run.
    others: One that fails is detached with one warning, and the run and its results go on.
    keeps_errors: One of the essential keeps all errors, so that the summary may have them.
    tally: The counts, always kept.

    In a copy of this process that a hook has forked, and that ends in the middle of the run, the
    others are told nothing: the bar and the log are those of the parent.
    """

    def __init__(
        self, essential: Sequence[Observer], others: Sequence[Observer], keeps_errors: bool = False
    ) -> None:
        self.tally: Tally = Tally(keeps_errors)
        self._essential = (*essential, self.tally)  # what is counted is kept, whatever raises
        self._others = list(others)
        self._home = this_process()

    def record(self, event: Event) -> None:
        self.keep(event)
        self.tell(event)

    def keep(self, event: Event) -> None:
        """Record it for those who keep and count; whoever calls this calls `tell` next."""
        for observer in self._essential:
            observer.observe(event)

    def tell(self, event: Event) -> None:
        """Tell the others, who may end the run."""
        if self._others and self._home is this_process():
            for observer in tuple(self._others):
                try:
                    observer.observe(event)
                except Exception as error:
                    self._detach(observer, error)

    @property
    def watched(self) -> bool:
        """Somebody besides those who keep and count is told: otherwise some news need not be made."""
        return bool(self._others)

    def close(self, summary: Summary, stage: int | None = None) -> None:
        """Tell of the end, once."""
        self.record(RunEnded(summary, stage))
        self._others.clear()

    def _detach(self, observer: Observer, error: Exception) -> None:
        self._others = [other for other in self._others if other is not observer]
        warn(
            f"the {_name_of(observer)} failed and is left out of the rest of this run, "
            f"which goes on: {text_of(error)}"
        )


def _name_of(observer: Observer) -> str:
    """What users call it."""
    name = getattr(observer, "name", None)
    return name if isinstance(name, str) else f"observer {type(observer).__qualname__}"
