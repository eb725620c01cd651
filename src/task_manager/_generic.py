"""The type variables of managers and chains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import ParamSpec, TypeVar

    T = TypeVar("T", default=Any)  # of a task; where nobody names it, it is Any
    R = TypeVar("R", default=Any)  # of a result
    # Those of a function, as constructors find them. By the bound the parameter of a lambda is Any.
    Task = TypeVar("Task", bound=Any, default=Any)
    Result = TypeVar("Result", default=Any)
    More = ParamSpec("More", default=...)
else:  # defaults come with Python 3.13
    from typing import ParamSpec, TypeVar

    T = TypeVar("T")
    R = TypeVar("R")
    Task = TypeVar("Task")
    Result = TypeVar("Result")
    More = ParamSpec("More")
