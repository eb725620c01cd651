"""One process of ours, seen from its parent."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import socket
import time
from types import SimpleNamespace
from typing import Any

import pytest

from task_manager._call import IDLE, NEVER, Slot
from task_manager._processes import child
from task_manager._processes.child import Child, FailedStarts, Glance
from task_manager._processes.life import uninterrupted

SPAWN = multiprocessing.get_context("spawn")


def say_and_exit(pipe: socket.socket, slot: Slot, number: float, code: int) -> None:
    slot[0], slot[1] = number, 0.5
    if code < 0:
        time.sleep(600)
    os._exit(code)


def started(target: Any, *args: Any) -> Child:
    one = Child()
    with uninterrupted():
        one.start(SPAWN, target, *args, name="child")
    return one


def test_what_is_known_of_it_when_it_has_ended() -> None:
    """Its pid, its exit code, and what its slot said last; ending and closing twice is once."""
    one = started(say_and_exit, 7.0, 3)
    pid = one.process.pid
    before = one.exitcode, one.told
    one.end(20)
    one.end()
    one.close()
    one.close()

    assert (None, (IDLE, NEVER)) == before
    assert (pid, 3, (7.0, 0.5)) == (one.pid, one.exitcode, one.told)


def test_its_slot_is_not_to_be_asked_when_it_has_ended() -> None:
    """What the slot said is in `told` then."""
    one = started(say_and_exit, 7.0, 3)
    one.close()
    with pytest.raises(RuntimeError, match="has ended"):
        one.slot[0]


def test_one_that_does_not_end_is_killed() -> None:
    """After the time that it was given."""
    one = started(say_and_exit, 7.0, -1)
    one.end(0.0)
    one.close()

    assert one.exitcode in (-getattr(signal, "SIGKILL", 0), -signal.SIGTERM)


@pytest.mark.parametrize("step", ["Channel", "SharedSlot.share"])
def test_a_start_that_fails_midway_leaves_no_process(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`close` takes away what was begun; the fixture of all tests looks for what is left."""

    def refuse(*_: Any) -> Any:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr(f"task_manager._processes.child.{step}", refuse)
    one = Child()
    with pytest.raises(OSError, match="memory"), uninterrupted():
        one.start(SPAWN, say_and_exit, 7.0, -1, name="child")
    one.kill()
    one.close()

    assert [] == multiprocessing.active_children()


def test_a_glance_sees_the_dead_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not more often than every GLANCE seconds."""
    now = [100.0]
    monkeypatch.setattr(child, "monotonic", lambda: now[0])
    glance = Glance()
    ones: list[Any] = [SimpleNamespace(has_died=died) for died in (False, True)]
    seen = []
    for now[0] in (100.1, 100.6, 100.7, 101.2):
        seen.append(glance.dead(ones))

    assert [[], ones[1:], [], ones[1:]] == seen


def dead(exitcode: int, ready: bool = False, refusal: str = "", up: bool = False) -> Any:
    return SimpleNamespace(ready=ready, refusal=refusal, exitcode=exitcode, up=up)


@pytest.mark.parametrize(
    ("one", "most"),
    [
        *[(dead(1), 3), (dead(-signal.SIGTERM), 50), (dead(1, refusal="it hangs"), 2)],
        (dead(-signal.SIGTERM, up=True), 3),  # as it makes its state
    ],
)
def test_f07_so_many_failed_starts_in_a_row_are_too_many(one: Any, most: int) -> None:
    """Killed ones are somebody else's doing, and are given more time; one that is ready ends the row."""
    counted = FailedStarts()
    verdicts = [counted.too_many(one) for _ in range(most)]
    after = [counted.too_many(dead(1, ready=True)), counted.too_many(one)]

    assert [False] * (most - 1) + [True] == verdicts
    assert [False, False] == after
