"""What came of one task, as a stream yields it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

from ._generic import R, T

__all__ = ["Outcome"]


@dataclass(frozen=True, slots=True, eq=False)
class Outcome(Generic[T, R]):
    """A result, or the error after all attempts.

    task: The object as given.
    result: What the function, or `process_result`, has returned; None where it failed.
    error: None where it succeeded.
    attempts: How many there were; 0 where no call was made.
    seconds: How long the last call took; None where there was none, or where nobody knows.
    """

    task: T
    result: R | None
    error: BaseException | None
    attempts: int
    seconds: float | None

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return self.error is None
