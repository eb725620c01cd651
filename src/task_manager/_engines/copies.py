"""An engine that was in use before a fork: its threads are not in the copy, where it would hang."""

from __future__ import annotations

from collections.abc import Callable

from .._platform import after_fork
from ..errors import ConfigurationError


class Copies:
    """Knows whether this process is a copy of one that used the engine.

    name: Of the engine. in_use: Whether this process uses it.
    """

    def __init__(self, name: str, in_use: Callable[[], bool]) -> None:
        self._name = name
        self._in_use = in_use
        self._is_copy = False
        after_fork(self._note)

    def _note(self) -> None:
        self._is_copy = self._is_copy or self._in_use()

    def refuse(self) -> None:
        if self._is_copy:
            raise ConfigurationError(
                f"{self._name} is in use in the process that this one is a copy of (fork), and does not "
                "work in copies: set start_method='spawn', and an address for the same cluster"
            )
