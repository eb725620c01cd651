"""The calls of a script that is killed: each writes for itself when it began and when it ended.

A record is written at one stroke, at the end of the file: no kill leaves a half, and none is lost.
"""

from __future__ import annotations

import asyncio
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

RECORD = struct.Struct("<cBid")  # began or ended, stage from 0, number of the task, by time.monotonic
STAGE = 1_000_000  # what a stage of a chain adds to the number of a task
FAILING = 97  # of so many tasks one fails, where some are to fail

_open: dict[int, int] = {}  # the file, by process


class Call(NamedTuple):
    ended: bool
    stage: int
    number: int
    at: float


def write(what: bytes, value: int) -> None:
    file = _open.get(os.getpid())
    if file is None:
        path = os.environ["KILLS_CALLS"]
        file = _open[os.getpid()] = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, RECORD.pack(what, value // STAGE, value % STAGE, time.monotonic()))


def read(path: Path) -> Iterator[Call]:
    for what, stage, number, at in RECORD.iter_unpack(path.read_bytes() if path.exists() else b""):
        yield Call(what == b"e", stage, number, at)


def made(path: Path) -> int:
    """How many have begun, about."""
    return path.stat().st_size // RECORD.size // 2 if path.exists() else 0


def seconds(value: int) -> float:
    """Of a call: most take none, some a millisecond, some ten."""
    return (0.0, 0.0, 0.0, 0.001, 0.0, 0.0, 0.001, 0.0, 0.0, 0.01)[value % STAGE % 10]


def fails(value: int) -> bool:
    return "KILLS_FAILING" in os.environ and value % FAILING == 5


def call(value: int) -> int:
    write(b"b", value)
    time.sleep(seconds(value))
    write(b"e", value)
    if fails(value):
        raise ValueError(value)
    return value + STAGE


async def call_async(value: int) -> int:
    write(b"b", value)
    await asyncio.sleep(seconds(value))
    write(b"e", value)
    if fails(value):
        raise ValueError(value)
    return value + STAGE


def first(value: int) -> int:
    return call(value)


def second(value: int) -> int:
    return call(value)


def third(value: int) -> int:
    return call(value)
