"""What is shown by its type and shape, or by its type alone: what would take too long to show whole.

One repr of an array of 50 floats takes 100 us, that of a frame a millisecond; a log names every task.
"""

from __future__ import annotations

from time import perf_counter  # bound here, as tests of other code stop the clock
from typing import Any

SLOW = 30e-6  # seconds that a repr may take
ONCE = 4.0  # what one slow repr counts at most, however long it took: it may have been an accident
TOO_OFTEN = 5.0  # what it takes for a type to be shown by its name from then on
MOST_TYPES = 256  # that are known to have been slow, or are suspects
MOST_SHAPED = 64  # types that are known to have a shape, or none

clock = perf_counter

Name = tuple[str, str]


def name_of_type(kind: type) -> Name:
    """Its module and its qualified name, whatever a metaclass makes of them; bounded."""
    module = _MODULE.__get__(kind)
    return (module[:200] if type(module) is str else "", _QUALNAME.__get__(kind)[:200])


class SlowTypes:
    """Knows which types are slow to show.

    Goes by their names, as types may be made on the fly: those of one name are one.  A slow repr counts
    for what it took, up to ONCE, and a quick one takes 1 back: one accident, as a pause for garbage, is
    none, and two in a row are slow.
    """

    def __init__(self) -> None:
        self._counts: dict[Name, float] = {}

    def __len__(self) -> int:
        return len(self._counts)

    def has(self, kind: type) -> bool:
        """Whether it is to be shown by its name."""
        return bool(self._counts) and self._counts.get(name_of_type(kind), 0.0) >= TOO_OFTEN

    def took(self, kind: type, seconds: float) -> None:
        """A repr of this type took so long."""
        if seconds <= SLOW and not self._counts:
            return  # nearly always
        name = name_of_type(kind)
        if seconds > SLOW:
            if len(self._counts) >= MOST_TYPES and name not in self._counts:
                for oldest in list(self._counts)[:1]:
                    self._counts.pop(oldest, None)  # another thread may have been here
            self._counts[name] = self._counts.get(name, 0.0) + min(ONCE, seconds / SLOW)
        elif name in self._counts:
            left = self._counts[name] - 1.0
            if left > 0.0:
                self._counts[name] = left
            else:
                self._counts.pop(name, None)


class Shapes:
    """Knows arrays, frames and tensors by what their classes have, without importing any of them."""

    def __init__(self) -> None:
        self._shaped: dict[int, tuple[type, bool, bool]] = {}  # with the type, whose id stays its own so
        self._dtypes: dict[int, tuple[Any, str]] = {}

    def __len__(self) -> int:
        return len(self._shaped)

    def of(self, value: Any) -> str | None:
        """As "ndarray (50,) float64" or "DataFrame (1000, 3)"; None of what has no shape.

        Raises what the object raises.
        """
        kind = type(value)
        known = self._shaped.get(id(kind))
        if known is None:
            known = (kind, _has_shape(kind), _has(kind, "dtype"))
            _keep(self._shaped, id(kind), known)
        if not known[1]:
            return None
        sizes = _sizes(value.shape)
        if sizes is None:
            return None
        name = _QUALNAME.__get__(kind)
        return f"{name} {sizes} {self._dtype(value.dtype)}" if known[2] else f"{name} {sizes}"

    def _dtype(self, dtype: Any) -> str:
        """As text, which takes longer than all the rest: remembered."""
        known = self._dtypes.get(id(dtype))
        if known is None:
            known = (dtype, str(dtype)[:40])
            _keep(self._dtypes, id(dtype), known)
        return known[1]


def _keep(known: dict[int, Any], key: int, value: Any) -> None:
    """Remember it, and forget the oldest where there are many; other threads may be here, too."""
    while len(known) >= MOST_SHAPED:
        for oldest in list(known)[:1]:
            known.pop(oldest, None)
    known[key] = value


def _has_shape(kind: type) -> bool:
    """By the classes alone: an object may do anything when it is asked."""
    return _has(kind, "shape") and any(_has(kind, name) for name in _BESIDE)


def _has(kind: type, name: str) -> bool:
    return any(name in _DICT.__get__(base) for base in _MRO.__get__(kind))


def _sizes(shape: Any) -> str | None:
    """As Python shows a tuple; None of a single number, which is soon shown itself."""
    if not issubclass(type(shape), tuple) or len(shape) == 0:
        return None
    # Of a frame that is lazy, or distributed, a length may be anything.
    sizes = ", ".join([str(size) if type(size) is int else "?" for size in shape[:8]])
    return f"({sizes},)" if len(shape) == 1 else f"({sizes})"


_BESIDE = ("dtype", "dtypes", "columns", "column_names")
_QUALNAME: Any = vars(type)["__qualname__"]
_MODULE: Any = vars(type)["__module__"]
_MRO: Any = vars(type)["__mro__"]
_DICT: Any = vars(type)["__dict__"]
