"""Where and how a run is recorded, so that the next start goes on. What is in it, `_journal` says."""

from __future__ import annotations

import os
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal

from .errors import ConfigurationError

__all__ = ["Journal"]

CODECS = ("pickle", "json")
IN_DOUBT = ("run", "error")


@dataclass(frozen=True, slots=True)
class Journal:
    """The record of a run in a file, and what a second start of the same script makes of it.

    path: The file, made with mode 0600 when the first run begins. Relative to the working directory at
        that moment. A link is followed to the file that it names. Beside it lie `crawl.db-wal` and
        `crawl.db-shm` during a run, and `crawl.db-lock`, which is empty and stays.
    codec: "pickle" holds nearly everything, and is for files that nobody else can write: whoever opens a
        pickle runs what it says. "json" holds None, True, False, numbers, strings, and lists, tuples and
        dicts of these whose keys are strings; what else comes is named in a warning, and run again by
        the next start.
    started: Also write, before a batch of tasks leaves for the workers, that their calls may begin.
    in_doubt: What becomes of a task that had left when the process died, and has no outcome. "run": it
        runs again (at least once). "error": it is an InDoubtError, and runs again only when it is given
        again on purpose (at most once); this needs `started=True`.

    The file is one of SQLite in WAL mode: it belongs on a disk of this machine. WAL shares memory
    between processes, which no network file system can do, and the locks of many of those cannot be
    relied on either (https://sqlite.org/wal.html).

    Never open a journal that a stranger has made or could change: values are pickles, and a pickle can
    run anything. So a file that another user owns, or that others can write, is refused.

    Raises ConfigurationError (a ValueError) for a wrong option.
    """

    path: str | os.PathLike[str]
    _: KW_ONLY
    codec: Literal["pickle", "json"] = "pickle"
    started: bool = False
    in_doubt: Literal["run", "error"] = "run"

    def __post_init__(self) -> None:
        given = isinstance(self.path, str | os.PathLike)
        path = os.fspath(self.path) if given else None
        if not isinstance(path, str) or not path or "\0" in path:
            raise ConfigurationError(f"path must be the path of a file; got {self.path!r}")
        _check("codec", self.codec, CODECS)
        if not isinstance(self.started, bool):
            raise ConfigurationError(f"started must be True or False; got {self.started!r}")
        _check("in_doubt", self.in_doubt, IN_DOUBT)
        if self.in_doubt == "error" and not self.started:
            raise ConfigurationError(
                "in_doubt='error' needs started=True: what is about to be called must be written first"
            )


def _check(name: str, value: Any, choices: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in choices:
        raise ConfigurationError(f"{name} must be one of {', '.join(choices)}; got {value!r}")
