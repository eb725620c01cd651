"""The names of many tasks, in the texts of as few records as hold them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from .._repr import WHOLE
from .._reprs import plain_reprs, short_reprs

MOST_TEXT = 2000  # characters of one record
LEAST_ROOM = 40  # characters of a task's name where many share a record


def records_of(tasks: list[Any]) -> Iterator[tuple[int, str]]:
    """The names of tasks in texts of MOST_TEXT characters at most, and how many are in each."""
    room = min(WHOLE, max(LEAST_ROOM, MOST_TEXT // len(tasks) - 2))
    names = plain_reprs(tasks, room)
    if names is not None:
        length = len("; ".join(names))
        if length <= (room + 2) * len(names) and (lines := _lines(names, 1.1 * length / len(names))):
            yield from lines
            return
    names = short_reprs(tasks, room)
    if names[0].startswith("<") and len(set(names)) < len(names):  # shown by their type, they look alike
        yield from _counted(names)
        return
    yield from _lines(names, max(map(len, names)) + 2)


def _lines(names: list[str], each: float) -> list[tuple[int, str]]:
    """So many names as fit into a record if each takes so many characters; nothing where they do not."""
    fit = max(1, int(MOST_TEXT / each))
    groups = [names[first : first + fit] for first in range(0, len(names), fit)]
    texts = list(map("; ".join, groups))
    return list(zip(map(len, groups), texts, strict=True)) if max(map(len, texts)) <= MOST_TEXT else []


def _counted(names: list[str]) -> Iterator[tuple[int, str]]:
    """The same; those that follow each other and are alike are named once."""
    pieces: list[str] = []
    number = length = 0
    for name, alike in groupby(names):
        count = sum(1 for _ in alike)
        piece = name if count == 1 else f"{name} ({count} tasks)"
        if pieces and length + len(piece) > MOST_TEXT:
            yield number, "; ".join(pieces)
            pieces, number, length = [], 0, 0
        pieces.append(piece)
        number += count
        length += len(piece) + 2
    yield number, "; ".join(pieces)
