"""What the report is written to: how wide it is, and whether it takes colours."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from typing import TextIO

from tqdm.utils import disp_len

from .._bars.width import cut
from .._journal.schema import DONE, FAILED, PASSED, STARTED
from .._platform import takes_escapes

IN_A_PIPE = 100  # columns where there is no terminal
LEAST = 20
BOLD, RED, GREEN, YELLOW = 1, 31, 32, 33
COLOURS = {DONE: GREEN, FAILED: RED, PASSED: YELLOW, STARTED: YELLOW}

Paint = Callable[[str], str]


class Screen:
    """Owns stdout.

    columns, rows: As they are at the moment.
    moves: It is a terminal, in which what was written can be written over.
    """

    def __init__(self, file: TextIO | None = None) -> None:
        self._file = sys.stdout if file is None else file
        self.moves = takes_escapes(self._file)
        self._coloured = self.moves and not os.environ.get("NO_COLOR")
        self._drawn = 0
        self.measure()

    def measure(self) -> None:
        """Look how large it is."""
        self.columns, self.rows = IN_A_PIPE, 1000
        try:
            if self._file.isatty():
                self.columns, self.rows = os.get_terminal_size(self._file.fileno())
            self.columns = int(os.environ.get("COLUMNS", "")) or self.columns
        except (ValueError, OSError):
            pass
        self.columns = max(self.columns, LEAST)

    def fit(self, line: str) -> str:
        """A line, no wider than the terminal; in a pipe it is whole."""
        if not self.moves or disp_len(line) <= self.columns:
            return line
        bare = self._bare(line)
        return line if disp_len(bare) <= self.columns else cut(bare, self.columns, disp_len)

    def _bare(self, line: str) -> str:
        """Without the colours: these alone are escapes in it."""
        for code in (0, BOLD, RED, GREEN, YELLOW):
            line = line.replace(f"\x1b[{code}m", "")
        return line

    def write(self, lines: Iterable[str]) -> None:
        """Write lines, and have them written before it returns."""
        self._file.write("".join(f"{line}\n" for line in lines))
        self._file.flush()

    def redraw(self, lines: list[str], *, whole: bool = False) -> None:
        """Write lines over those that were drawn before.

        whole: All of them, for the last time; otherwise as many as the terminal has room for.
        """
        if not whole:
            lines = lines[: max(self.rows - 1, 1)]
        up = f"\x1b[{self._drawn}F" if self._drawn else ""
        self._file.write(up + "\x1b[J" + "".join(f"{line}\n" for line in lines))
        self._file.flush()
        self._drawn = len(lines)

    def bold(self, text: str) -> str:
        """As a heading."""
        return self._painted(BOLD, text)

    def red(self, text: str) -> str:
        """As a failure."""
        return self._painted(RED, text)

    def paint(self, state: int) -> Paint:
        """The colour of a state."""
        return lambda text: self._painted(COLOURS[state], text)

    def _painted(self, code: int, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._coloured else text
