"""Progress of a run, shown by the parent process only: a bar, or lines where no bar can move."""

from __future__ import annotations

import sys
from typing import Any, Self, TextIO

from ._bars.above import is_terminal, unwrapped
from ._bars.lines import Lines
from ._bars.terminal import Drawn, kernel_has_widgets
from ._repr import one_line
from ._summary import Summary
from .events import Event, Failed, Repeated, Retrying, RunBegan, RunEnded, Succeeded, Waiting

DESC = "Processing"  # where nobody says what the work is


class ProgressManager:
    """A progress bar of done, failed and retried tasks. Also usable by itself, as a context manager.

        with ProgressManager(total=4, desc="Copying") as progress:
            progress.update(1)

    In a terminal and in a notebook it is a bar; where the file is neither, as in a pipe, it is a line
    every 30 seconds and one at the end. tqdm's variables hold, as TQDM_DISABLE and TQDM_MININTERVAL.

    total: Tasks to come; None where unknown, the bar then counts without an end.
    desc: What the bar calls the work.
    file: Where it is drawn; None means sys.stderr, and in a notebook the cell.
    """

    def __init__(self, total: int | None = None, desc: str = DESC, file: TextIO | None = None) -> None:
        self._failed = 0
        self._retried = 0
        self._remark = ""
        self._broken_off = False
        desc = one_line(desc)
        stream: Any = unwrapped(sys.stderr if file is None else file)
        self._view: Drawn | Lines
        if _of_a_kernel(stream):
            widgets = kernel_has_widgets()
            self._view = Drawn(total, desc, None if widgets else stream, in_notebook=widgets)
        elif is_terminal(stream):
            self._view = Drawn(total, desc, stream, in_notebook=False)
        else:
            self._view = Lines(total, desc, stream)

    def update(self, done: int = 1, *, failed: int = 0, retried: int = 0) -> None:
        """Count so many more tasks as done, and of these so many as failed; and so many retries."""
        self._failed += failed
        self._retried += retried
        self._view.show(done, self._note())

    def refresh(self) -> None:
        """Draw the bar as of now."""
        self._view.refresh()

    def settle(self) -> None:
        """Nothing more will come: what is done is all there was, whatever was expected."""
        self._view.settle()

    def remark(self, text: str) -> None:
        """A sentence about the whole of it, that stands with the counts at the end."""
        self._remark = one_line(text)
        self._view.show(0, self._note())

    def break_off(self) -> None:
        """What is done is not all there was: a bar in a notebook ends red, as one with failures does."""
        self._broken_off = True

    def close(self) -> None:
        """Draw the bar for the last time and leave it standing. Closing twice is closing once."""
        self._view.close(good=not (self._failed or self._broken_off))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.break_off()
        self.close()

    def _note(self) -> str:
        """The counts, and what is remarked."""
        form = "{1} {0}" if isinstance(self._view, Lines) else "{0}={1}"
        shown = [("failed", self._failed), ("retried", self._retried)]
        texts = [form.format(name, count) for name, count in shown if count]
        return ", ".join([*texts, self._remark] if self._remark else texts)


class ProgressObserver:
    """Moves a bar by the events of a run."""

    name = "bar"

    def __init__(self, desc: str) -> None:
        self._desc = desc
        self._progress: ProgressManager | None = None

    def named(self, name: str) -> ProgressObserver:
        """The same by this name, where nobody has given it one: one of several bars."""
        return ProgressObserver(name) if self._desc == DESC else self

    def observe(self, event: Event) -> None:
        match event:
            case RunBegan(total):
                self._progress = ProgressManager(total=total, desc=self._desc)
            case RunEnded(summary):
                self._close(summary)
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

    def _close(self, summary: Summary) -> None:
        progress, self._progress = self._progress, None
        if progress is None:
            return
        if summary.not_started or summary.ended_early is not None:
            progress.break_off()
        else:
            progress.settle()
        if summary.remark:
            progress.remark(summary.remark)
        progress.close()


def _of_a_kernel(stream: Any) -> bool:
    """Whether it writes to the frontend of a notebook, or of a console that is one, as Spyder's."""
    return "ipykernel" in sys.modules and type(stream).__module__.startswith("ipykernel.")
