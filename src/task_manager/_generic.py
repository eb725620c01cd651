"""The types of tasks and results. Where nobody names them, they are Any."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)
    R = TypeVar("R", default=Any)
else:  # defaults come with Python 3.13
    from typing import TypeVar

    T = TypeVar("T")
    R = TypeVar("R")
