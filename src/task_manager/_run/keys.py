"""What makes two tasks the same.

A hashable task is its own key, with the equality of a dict.  An unhashable one (a dict, a list, an
array) is known by its content: small content is kept, of big content a digest.  One that cannot even
be compared is the same as itself alone.
"""

from __future__ import annotations

import dataclasses
import marshal
import pickle
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any, Generic, TypeVar

from .._signals import let_through
from .digest import PLAIN, compared_fields, digest_of, is_big

K = TypeVar("K")
V = TypeVar("V")

FEW = 64  # elements, or 16 characters each: content up to here is kept as it is
_STEADY = PLAIN | {tuple, frozenset}  # a dict can hold them, or they say at once that it cannot


class ContentKey(tuple[Any, ...]):
    """The content of an unhashable task. Never equal to a task that happens to be such a tuple."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if type(other) is not ContentKey:
            return False
        try:
            return tuple.__eq__(self, other)
        except BaseException as error:  # an object inside that breaks on meeting another one
            let_through(error)
            return False

    def __ne__(self, other: object) -> bool:  # that of a tuple would not ask __eq__
        return not self == other

    __hash__ = tuple.__hash__


class HashedKey:
    """A hashable task of a class of its own, as it is now: equal to what was equal and still is."""

    __slots__ = ("_hash", "_task")

    def __init__(self, task: Any) -> None:
        self._task = task
        self._hash = hash(task)

    def __eq__(self, other: object) -> bool:
        if type(other) is HashedKey:
            if self._hash != other._hash:
                return False
            other = other._task
        try:
            return self._task is other or bool(self._task == other)
        except BaseException as error:
            let_through(error)
            return False

    def __hash__(self) -> int:
        return self._hash


class IdentityKey:
    """A task that is the same as itself alone. Holds it, so that its id is not given to another."""

    __slots__ = ("_task",)

    def __init__(self, task: Any) -> None:
        self._task = task

    def __eq__(self, other: object) -> bool:
        return type(other) is IdentityKey and self._task is other._task

    def __hash__(self) -> int:
        return id(self._task)


def key_of(task: Any) -> Hashable:
    """The key of any task at all, as it is now; never raises."""
    kind: Any = type(task)
    if kind is dict or kind is list:
        return key_of_unhashable(task)
    try:
        hash(task)
    except BaseException as error:
        let_through(error)
        return key_of_unhashable(task)
    return task if _is_steady(kind) else HashedKey(task)


def _is_steady(kind: Any) -> bool:
    """Whether what is hashable and of this type cannot be changed, or is equal to itself alone."""
    try:
        steady = kind.__hash__ is object.__hash__ and kind.__eq__ is object.__eq__
        steady = steady or kind in _STEADY
    except BaseException as error:  # the class itself cannot be hashed
        let_through(error)
        return False
    return steady


def key_of_unhashable(task: Any) -> Hashable:
    """The key of a task that a dict refused as its key."""
    try:
        if is_big(task, FEW):
            key: Hashable = ContentKey(("digest", *digest_of(task, _other)))
        elif type(task) is bytearray:
            key = ContentKey(("bytearray", bytes(task)))
        else:
            key = _content(task)
        hash(key)
    except BaseException as error:  # content that is endless, or refuses to be looked at
        let_through(error)
        return IdentityKey(task)
    return key if type(key) is ContentKey else IdentityKey(task)


def all_hashable(tasks: list[Any]) -> bool:
    """Whether a dict can certainly hold all these. Asked for many at once, it costs next to nothing."""
    try:
        if PLAIN.issuperset(map(type, tasks)):
            return True
        if not _STEADY.issuperset(map(type, tasks)):
            return False
        hash(tuple(tasks))
    except BaseException as error:  # a tuple that holds a list, or a class that cannot be hashed
        let_through(error)
        return False
    return True


def _content(value: Any) -> Hashable:
    """Small content, as a tuple that is hashable."""
    kind = type(value)
    if kind in PLAIN:
        return value  # type: ignore[no-any-return]
    if kind is dict:
        plain = PLAIN.issuperset(map(type, value.values()))
        items = value.items() if plain else [(k, _content(v)) for k, v in value.items()]
        return ContentKey(("dict", frozenset(items)))
    if kind is list or kind is tuple:
        plain = PLAIN.issuperset(map(type, value))
        return ContentKey((kind.__name__, *(value if plain else map(_content, value))))
    if kind is set or kind is frozenset:
        return ContentKey(("set", frozenset(value)))
    if kind is bytearray:
        return bytes(value)
    return _content_of_object(kind, value)


def _content_of_object(kind: type, value: Any) -> Hashable:
    if "ndarray" in [base.__name__ for base in kind.__mro__] and not value.dtype.hasobject:
        if kind.__name__ != "ndarray":
            raise TypeError("an array with more to it than its elements, as a unit or a mask")
        return ContentKey((kind, str(value.dtype.descr), value.shape, _digest(value.tobytes())))
    if compared := compared_fields(kind):
        return ContentKey((kind, *(_content(getattr(value, name)) for name in compared)))
    try:
        hash(value)
    except TypeError:
        if "__eq__" not in {name for base in kind.__mro__[:-1] for name in vars(base)}:
            raise  # it is equal to itself alone
        if dataclasses.is_dataclass(kind) and "__hash__" in vars(kind):  # frozen, with a list in it
            fields = [field.name for field in dataclasses.fields(kind) if field.compare]
            return ContentKey((kind, *(_content(getattr(value, name)) for name in fields)))
        return ContentKey((kind, _digest(pickle.dumps(value))))
    return value  # type: ignore[no-any-return]


def _other(value: Any) -> tuple[Hashable, bytes]:
    """For a digest: the type and content of an object, or the object itself where it is hashable."""
    key = _content_of_object(type(value), value)
    if type(key) is ContentKey:
        kind, *content = key
        try:
            return kind, marshal.dumps(content, 2)
        except ValueError:  # content that is no plain one
            pass
    return key, b""


def _digest(content: bytes) -> bytes:
    import hashlib  # which loads OpenSSL, for tasks that are seldom seen

    return hashlib.blake2b(content, digest_size=20).digest()


class TaskDict(Mapping[K, V]):
    """A read-only mapping from tasks that a dict cannot hold; it yields the very objects given.

    A task is found by the very object, whatever has become of it, and by the content that it had
    when it was entered.

    keys: What the content of each task was, if that was noted; otherwise it is what it is now.
    distinct: The tasks are known to differ, also where their keys do not tell: hashable ones that were
        changed and are equal now. Otherwise a later value wins.
    """

    def __init__(
        self,
        pairs: Iterable[tuple[K, V]],
        keys: Iterable[Hashable | None] = repeat(None),
        distinct: bool = False,
    ) -> None:
        self._pairs: dict[Hashable, tuple[K, V]] = {}
        self._objects: _Objects[K, V] | None = None  # made at the first look
        for pair, noted in zip(pairs, keys, strict=False):
            task = pair[0]
            key = key_of(task) if noted is None else noted
            try:
                if distinct and key in self._pairs:
                    key = object()
                self._pairs[key] = pair
            except BaseException as error:  # an __eq__ that breaks only on meeting another task
                let_through(error)
                self._pairs[IdentityKey(task)] = pair

    def at(self, key: Hashable, task: Any) -> tuple[K, V] | None:
        """The pair with this key, which is the one of `task`; None where there is none."""
        for known in (key, IdentityKey(task)):
            try:
                return self._pairs[known]
            except BaseException as error:  # not there, or an __eq__ that breaks on meeting another task
                let_through(error)
        return None

    def __getitem__(self, task: K) -> V:
        if self._objects is None:
            self._objects = _Objects(self._pairs.values())
        pair = self._objects.only(task) or self.at(key_of(task), task) or self._objects.last(task)
        if pair is None:
            raise KeyError(task)
        return pair[1]

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


class _Objects(Generic[K, V]):
    """Pairs by the very objects. One object may stand in several: what it held was changed between."""

    def __init__(self, pairs: Iterable[tuple[K, V]]) -> None:
        self._last: dict[int, tuple[K, V]] = {}
        self._several: set[int] = set()
        for pair in pairs:
            if self._last.setdefault(id(pair[0]), pair) is not pair:
                self._last[id(pair[0])] = pair
                self._several.add(id(pair[0]))

    def only(self, task: Any) -> tuple[K, V] | None:
        return None if id(task) in self._several else self._last.get(id(task))

    def last(self, task: Any) -> tuple[K, V] | None:
        return self._last.get(id(task))


def mapping_of(
    tasks: Sequence[K],
    values: Sequence[V],
    keys: Sequence[Hashable] | None = None,
    distinct: bool = False,
) -> Mapping[K, V]:
    """A plain dict where every task can be its key, and a TaskDict otherwise.

    keys: None where all tasks are hashable, as far as is known. distinct: As of a TaskDict.
    """
    if keys is None:
        try:
            plain = dict(zip(tasks, values, strict=True))
            if not distinct or len(plain) == len(tasks):
                return plain
        except BaseException as error:  # an unhashable task, or one whose __hash__ or __eq__ is broken
            let_through(error)
    return TaskDict(zip(tasks, values, strict=True), repeat(None) if keys is None else keys, distinct)
