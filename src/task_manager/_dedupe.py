"""What makes two tasks the same.

A hashable task is its own key, with the equality of a dict.  An unhashable one (a dict, a list, an
array) is known by its content.  One that cannot even be compared is the same as itself alone.
"""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class ContentKey(tuple[Any, ...]):
    """The content of an unhashable task. Never equal to a task that happens to be such a tuple."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ContentKey) and tuple.__eq__(self, other)

    def __hash__(self) -> int:
        return hash(("content", tuple.__hash__(self)))


class IdentityKey:
    """A task that is the same as itself alone. Holds it, so that its id is not given to another."""

    __slots__ = ("_task",)

    def __init__(self, task: Any) -> None:
        self._task = task

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IdentityKey) and self._task is other._task

    def __hash__(self) -> int:
        return id(self._task)


def key_of(task: Any) -> Hashable:
    """The key of any task at all; never raises an Exception."""
    try:
        hash(task)
        bool(task == task)  # a broken __eq__ would break every dict that holds the task
    except Exception:
        return key_of_unhashable(task)
    return task  # type: ignore[no-any-return]


def key_of_unhashable(task: Any) -> Hashable:
    """The key of a task that a dict refused as its key."""
    try:
        key = _content(task)
        hash(key)
    except Exception:  # content that is endless, or refuses to be looked at
        return IdentityKey(task)
    return key if isinstance(key, ContentKey) else IdentityKey(task)


def _content(value: Any) -> Hashable:
    kind = type(value)
    if kind is dict:
        return ContentKey(("dict", frozenset((k, _content(v)) for k, v in value.items())))
    if kind is list or kind is tuple:
        return ContentKey((kind.__name__, *map(_content, value)))
    if kind is set or kind is frozenset:
        return ContentKey(("set", frozenset(value)))
    if kind is bytearray:
        return ContentKey(("bytearray", bytes(value)))
    if "ndarray" in [base.__name__ for base in kind.__mro__] and not value.dtype.hasobject:
        if kind.__name__ != "ndarray":
            raise TypeError("an array with more to it than its elements, as a unit or a mask")
        return ContentKey((kind, str(value.dtype.descr), value.shape, _digest(value.tobytes())))
    if dataclasses.is_dataclass(kind) and "__hash__" in vars(kind):  # the one of its own making: None
        fields = [field.name for field in dataclasses.fields(kind) if field.compare]
        return ContentKey((kind, *(_content(getattr(value, name)) for name in fields)))
    try:
        hash(value)
    except TypeError:
        if "__eq__" not in {name for base in kind.__mro__[:-1] for name in vars(base)}:
            raise  # it is equal to itself alone
        return ContentKey((kind, _digest(pickle.dumps(value))))
    return value  # type: ignore[no-any-return]


def _digest(content: bytes) -> bytes:
    import hashlib  # which loads OpenSSL, for tasks that are seldom seen

    return hashlib.blake2b(content, digest_size=20).digest()


class TaskDict(Mapping[K, V]):
    """A read-only mapping from tasks that a dict cannot hold: looked up by content, yielded as given."""

    def __init__(self, pairs: Iterable[tuple[K, V]]) -> None:
        self._pairs: dict[Hashable, tuple[K, V]] = {}
        for task, value in pairs:
            try:
                self._pairs[key_of(task)] = (task, value)
            except Exception:  # an __eq__ that breaks only on meeting another task
                self._pairs[IdentityKey(task)] = (task, value)

    def __getitem__(self, task: K) -> V:
        for key in (key_of(task), IdentityKey(task)):
            try:
                return self._pairs[key][1]
            except Exception:  # not there, or an __eq__ that breaks on meeting another task
                continue
        raise KeyError(task)

    def __contains__(self, task: object) -> bool:
        try:
            self[task]  # type: ignore[index]
        except KeyError:
            return False
        return True

    def __iter__(self) -> Iterator[K]:
        return (task for task, _ in self._pairs.values())

    def __len__(self) -> int:
        return len(self._pairs)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        return len(self) == len(other) and all(
            task in self and self[task] == value for task, value in other.items()
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        inside = ", ".join(f"{task!r}: {value!r}" for task, value in self._pairs.values())
        return f"TaskDict({{{inside}}})"


def mapping_of(tasks: Sequence[K], values: Sequence[V]) -> Mapping[K, V]:
    """A plain dict where every task can be its key, and a TaskDict otherwise. A later value wins."""
    try:
        return dict(zip(tasks, values, strict=True))
    except Exception:  # an unhashable task, or one whose __hash__ or __eq__ is broken
        return TaskDict(zip(tasks, values, strict=True))
