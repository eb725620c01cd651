"""The bar: tqdm, drawn by the parent process only."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any, Self, TextIO

from ._repr import one_line
from .events import Event, Failed, Repeated, Retrying, RunBegan, RunEnded, Succeeded, Waiting


class ProgressManager:
    """A progress bar of done, failed and retried tasks. Also usable by itself, as a context manager.

        with ProgressManager(total=4, desc="Copying") as progress:
            progress.update(1)

    total: Tasks to come; None where unknown, the bar then counts without an end.
    desc: What the bar calls the work.
    file: Where it is drawn; None means sys.stderr.
    """

    def __init__(
        self, total: int | None = None, desc: str = "Processing", file: TextIO | None = None
    ) -> None:
        self._bar: Any = _bar_class()(total=total, desc=one_line(desc), file=file, unit=" task")
        self._failed = 0
        self._retried = 0

    def update(self, done: int = 1, *, failed: int = 0, retried: int = 0) -> None:
        """Count so many more tasks as done, and of these so many as failed; and so many retries."""
        if failed or retried:
            self._failed += failed
            self._retried += retried
            counts = {"failed": self._failed, "retried": self._retried}
            self._bar.set_postfix({k: v for k, v in counts.items() if v}, refresh=False)
        self._bar.update(done)

    def refresh(self) -> None:
        """Draw the bar as of now."""
        self._bar.refresh()

    def settle(self) -> None:
        """Nothing more will come: what is done is all there was, whatever was expected."""
        if self._bar.total is not None:
            self._bar.total = self._bar.n

    def close(self) -> None:
        """Draw the bar for the last time and leave it standing. Closing twice is closing once."""
        self._bar.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ProgressObserver:
    """Moves a bar by the events of a run."""

    name = "bar"

    def __init__(self, desc: str) -> None:
        self._desc = desc
        self._progress: ProgressManager | None = None

    def observe(self, event: Event) -> None:
        match event:
            case RunBegan(total):
                self._progress = ProgressManager(total=total, desc=self._desc)
            case RunEnded(summary):
                self._close(settled=not summary.not_started)
        if self._progress is None:
            return
        match event:
            case Succeeded(indices):
                self._progress.update(len(indices))
            case Failed():
                self._progress.update(1, failed=1)
            case Retrying():
                self._progress.update(0, retried=1)
            case Repeated(tasks):
                self._progress.update(len(tasks))
            case Waiting():
                self._progress.refresh()

    def _close(self, settled: bool) -> None:
        if self._progress is not None:
            if settled:
                self._progress.settle()
            self._progress.close()
            self._progress = None


@cache
def _bar_class() -> Any:
    """tqdm without its multiprocessing lock and its watching thread, as only one process draws.

    The class is made when the first bar is: importing tqdm.auto looks for notebooks.
    """
    from tqdm.auto import tqdm

    class Bar(tqdm):  # type: ignore[type-arg]
        _lock = threading.RLock()
        monitor_interval = 0

    return Bar
