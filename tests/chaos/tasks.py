"""The tasks and the results, each of which carries a number: by that alone they are followed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

WORTH_A_SHARE = 200_000  # letters of a big result


class Numbered:
    """Something that carries a number. Equal to itself alone."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.n})"


class Equal(Numbered):
    """Equal to others of its number."""

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.n == self.n

    def __hash__(self) -> int:
        return hash(self.n)


class Unkeyed(Numbered):
    def __hash__(self) -> int:
        raise RuntimeError("no hash")


class Silent(Equal):
    """Its repr panics, as an extension in another language may."""

    def __repr__(self) -> str:
        raise Panic


class Panic(BaseException):
    """Derives from no Exception."""


class Unpicklable(Equal):
    def __reduce__(self) -> Any:
        raise TypeError("will not be pickled")


class Unloadable(Equal):
    def __reduce__(self) -> Any:
        return _refuse, (self.n,)


def _refuse(n: int) -> Any:
    raise ValueError(f"{n} will not be unpickled")


class UnhashableClass(type):
    def __eq__(cls, other: object) -> bool:
        return cls is other

    __hash__ = None  # type: ignore[assignment]


class Odd(Equal, metaclass=UnhashableClass):
    """Its class cannot be looked up in a dict, and so cannot be pickled either."""


class Tasks:
    """Makes the tasks of a scenario, for each of its starts."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._made: dict[int, Any] = {}

        self._given: list[tuple[int, Any]] = []

    def of(self, numbers: Sequence[int]) -> list[Any]:
        tasks = [self._one(number, place) for place, number in enumerate(numbers)]
        self._given += zip(numbers, tasks, strict=True)
        return tasks

    def number_of(self, task: Any) -> int:
        """Also of one that was changed beyond recognition, if it is the very object that was given."""
        if isinstance(task, dict | list):
            for number, given in self._given:
                if given is task:
                    return number
        return number_of(task)

    def _one(self, n: int, place: int) -> Any:
        match self._kind:
            case "int":
                return n
            case "tuple":
                return (n, "x")
            case "dict":
                return {"n": n, "more": [n]}
            case "list":
                return [n, {"more": n}]
            case "equal":
                return Equal(n)
            case "mixed":
                return float(n) if place % 2 else n
            case "text":
                return str(n)
            case "odd":
                return Odd(n)
            case "silent":
                return Silent(n)
            case "thing":
                return self._made.setdefault(n, Numbered(n))
            case "unkeyed":
                return self._made.setdefault(n, Unkeyed(n))
        raise ValueError(self._kind)


def number_of(task: Any) -> int:
    """Of a task, a result on its way, or the first argument of a call."""
    match task:
        case int() | float() | str():
            return int(task)
        case tuple() | list():
            return number_of(task[0])
        case dict():
            return int(task["n"])
    return int(task.n)


def result_of(form: str, n: int) -> Any:
    match form:
        case "int":
            return n
        case "tuple":
            return (n, "y")
        case "list":
            return [n, None]
        case "dict":
            return {"n": n}
        case "big":
            return [n, "x" * WORTH_A_SHARE]
        case "none":
            return None
        case "same":
            return "always the same"
    raise ValueError(form)
