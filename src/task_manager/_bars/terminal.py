"""A bar of tqdm's, in a terminal or a notebook."""

from __future__ import annotations

import threading
from functools import cache, partial
from typing import Any, TextIO

from . import above
from .width import fitted


class Drawn:
    """Owns a bar, and its place on the screen.

    in_notebook: It is a widget; otherwise it is drawn with carriage returns.
    """

    def __init__(self, total: int | None, desc: str, file: TextIO | None, in_notebook: bool) -> None:
        self._in_notebook = in_notebook
        self._made = False
        self._guarded: above.Guard | None = None
        kind = bar_class(in_notebook)
        self._bar: Any = kind(total=total, desc=desc, file=file, unit=" task")
        self._closed = bool(self._bar.disable)
        if not in_notebook and not self._closed:
            self._guarded = above.Guard(kind, file)

    def show(self, done: int, note: str) -> None:
        """So many more are done. note: The counts that stand behind the bar."""
        self._bar.postfix = note
        self._bar.update(done)

    def refresh(self) -> None:
        """Draw it as of now."""
        self._bar.refresh()

    def settle(self) -> None:
        """What is done is all there was."""
        if self._bar.total is None:
            return
        self._bar.total = self._bar.n
        if self._in_notebook and not self._closed and self._bar.n:
            self._bar.container.children[1].max = self._bar.n

    def close(self, good: bool) -> None:
        """Draw it for the last time. good: Nothing failed, and nothing was left out."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._in_notebook and not good:
                self._bar.disp(bar_style="danger", check_delay=False)
            self._bar.close()
        finally:
            if self._guarded is not None:
                self._guarded.end()


def kernel_has_widgets() -> bool:
    """tqdm.auto draws widgets here: this is a notebook, and ipywidgets are installed."""
    from tqdm.auto import tqdm

    return hasattr(tqdm, "status_printer") and tqdm.__mro__[1].__module__ == "tqdm.notebook"


@cache
def bar_class(in_notebook: bool) -> Any:
    """tqdm without its multiprocessing lock and its watching thread, as only one process draws.

    The class is made when the first bar is: importing tqdm.auto looks for notebooks.
    """
    import tqdm.auto
    import tqdm.std
    from tqdm.utils import disp_len

    lock_of_tqdm = getattr(tqdm.std, "TqdmDefaultWriteLock", None)
    base: Any = tqdm.auto.tqdm if in_notebook else tqdm.std.tqdm

    class Bar(base):  # type: ignore[misc]
        # The part of tqdm's own lock that is for threads, so that a tqdm.write of the user's does not
        # meet our drawing. The other part is for processes: one that is killed would keep it.
        _lock = getattr(lock_of_tqdm, "th_lock", None) or threading.RLock()
        monitor_interval = 0

        @staticmethod
        def format_meter(n: Any, total: Any, elapsed: float, **options: Any) -> str:
            ncols, bar_format = options.get("ncols"), options.get("bar_format")
            if not ncols or bar_format:  # a width that nobody knows, or a format of the user's
                line: str = base.format_meter(n, total, elapsed, **options)
                return line
            prefix = options.get("prefix") or ""
            others = {k: v for k, v in options.items() if k not in ("ncols", "bar_format", "prefix")}
            meter = partial(base.format_meter, n, total, elapsed, **others)
            known = bool(total) and n < total + 0.5
            return fitted(meter, disp_len, prefix, ncols, known=known)

    return Bar
