"""What every process of ours does at its start and at its end, workers and chain stages alike.

A forked child inherits the parent's ends of all pipes, its own among them.  As long as it holds
them, nobody sees the end of a pipe; so every child closes them first.
"""

from __future__ import annotations

import atexit
import contextlib
import math
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ._signals import HeldSignals, ignore_ctrl_c
from .errors import ConfigurationError, WorkerStartError

FAREWELL = 1.0  # seconds that a process gets to end by itself before it is killed
STILLBORN = 3  # processes in a row that die before they are ready; then there is no hope
KILLED = 50  # the same, if they were killed: somebody else's doing, which may come to an end
GLANCE = 0.5  # seconds between two looks at whether the parent, or a worker, still lives

_starting = threading.Lock()  # no fork between the making of a pipe and its entry in _PARENT_ENDS
_PARENT_ENDS: weakref.WeakSet[socket.socket] = weakref.WeakSet()

_living: set[BaseProcess] = set()
_exiting = False


def _begin_anew() -> None:
    """In a forked child: it has no processes yet, and nobody in it will let go of the lock."""
    global _starting
    _starting = threading.Lock()
    _living.clear()


os.register_at_fork(after_in_child=_begin_anew)


@atexit.register
def _kill_the_rest() -> None:
    """At exit, before multiprocessing waits for its children: registered after its own.

    It only kills. A run in a daemon thread may be at work on the very same processes, and what two
    threads wait for at once, one of them may wait for in vain.
    """
    global _exiting
    with _starting:
        _exiting = True
    for process in list(_living):
        with contextlib.suppress(Exception):
            process.kill()


@contextlib.contextmanager
def _one_start() -> Iterator[None]:
    """The time of one start; never again once the interpreter exits."""
    with _starting:
        if not _exiting:
            yield
            return
    _stop_if_exiting()
    raise WorkerStartError("no process can be started any more: the interpreter exits")


def refuse_daemons() -> None:
    """Raise ConfigurationError where multiprocessing allows no children."""
    process = multiprocessing.current_process()
    if process.daemon:
        raise ConfigurationError(
            f"process mode needs a process that may have children; got {process.name}, which is "
            "daemonic, as the workers of multiprocessing.Pool are. Use another mode here, or "
            "concurrent.futures.ProcessPoolExecutor or a TaskManager in place of that pool"
        )


def _stop_if_exiting() -> None:
    """Stop a daemon thread for good, as the end of the interpreter will anywhere.

    Its run would replace what was killed for the exit, and take it out of multiprocessing's hands.
    """
    if _exiting and threading.current_thread().daemon:
        threading.Event().wait()


def start_process(
    context: BaseContext, target: Callable[..., None], *args: Any, name: str
) -> tuple[BaseProcess, socket.socket]:
    """Start a process that runs target(pipe, *args); the process, and our end of its pipe.

    To be called inside `uninterrupted`, together with what makes somebody its owner.

    It is no daemon in the sense of multiprocessing, since it may have children of its own: `target`
    calls `settle_in` first, which ends it when its parent is gone.
    """
    refuse_daemons()
    with _one_start():
        if context.get_start_method() != "fork":
            # Where it has to be started, it unblocks SIGINT; the child must be born with that blocked.
            resource_tracker.ensure_running()
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        ours, theirs = socket.socketpair()
        _PARENT_ENDS.add(ours)
        try:
            process = context.Process(target=target, args=(theirs, *args), name=name)  # type: ignore[attr-defined]
            with _broken_streams_aside():
                process.start()
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        _living.add(process)
    return process, ours


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """What a signal's handler raises waits for the end of this block: what is begun in it gets an owner.

    Processes that are started in it are born deaf to Ctrl-C, until `settle_in` ignores it: the mask is
    what they inherit. It is no help to this thread, whose handlers run whichever thread a signal hits.
    """
    with HeldSignals(patience=math.inf).held():
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextlib.contextmanager
def _broken_streams_aside() -> Iterator[None]:
    """multiprocessing flushes stdout and stderr before a start; one that is gone must not stop it."""
    broken = {}
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        try:
            if stream is not None:
                stream.flush()
        except AttributeError:  # multiprocessing takes that well
            continue
        except (OSError, ValueError):
            broken[name] = stream
            setattr(sys, name, None)
    try:
        yield
    finally:
        for name, stream in broken.items():
            setattr(sys, name, stream)


def has_died(process: BaseProcess) -> bool:
    """Asked of the system: a sentinel is silent as long as anybody holds a copy of its other end."""
    if process.exitcode is not None:
        return True
    try:
        os.kill(process.pid or 0, 0)
    except ProcessLookupError:  # somebody else has waited for it
        return True
    return False


class Keeper(Protocol):
    """Who owns a process."""

    process: BaseProcess


K = TypeVar("K", bound=Keeper)


class Glance:
    """Looks now and then whether processes have died whose pipe and sentinel look alive.

    They do where a child of the dead one holds copies of both.
    """

    def __init__(self) -> None:
        self._last = time.monotonic()

    def dead(self, keepers: Iterable[K]) -> list[K]:
        """Those whose process has died; none where the last look was not GLANCE seconds ago."""
        now = time.monotonic()
        if now - self._last < GLANCE:
            return []
        self._last = now
        return [keeper for keeper in keepers if has_died(keeper.process)]


def end_process(process: BaseProcess, patience: float) -> int | None:
    """Give a process some seconds to end, kill it then; its exit code, None where nobody knows it.

    What it has started itself is left alone if it ended well, and is killed with it otherwise.
    """
    _stop_if_exiting()
    _living.discard(process)
    if process.exitcode is None:
        wait([process.sentinel], patience)
    if process.exitcode is None:  # alive, whatever the sentinel says, or somebody else waited for it
        process.kill()
        process.join()
    code = process.exitcode
    if code != 0:
        _kill_group(process)
    if code is None:  # multiprocessing takes it for alive
        multiprocessing.process._children.discard(process)  # type: ignore[attr-defined]
    else:
        process.close()
    return code


def _kill_group(process: BaseProcess) -> None:
    """Kill what a dead process of ours has left behind in its group."""
    if process.pid:
        with contextlib.suppress(OSError):  # there is nothing, or it had not come to have a group
            os.killpg(process.pid, signal.SIGKILL)


def hopeless(stillborn: int, exitcode: int | None) -> bool:
    """Whether so many processes in a row that died before they were ready are too many."""
    killed = exitcode in (-signal.SIGKILL, -signal.SIGTERM)
    return stillborn >= (KILLED if killed else STILLBORN)


def stillborn_error(what: str, exitcode: int | None) -> WorkerStartError:
    """What to raise when processes, which `what` names, keep dying before they are ready."""
    script = getattr(sys.modules["__main__"], "__file__", None)
    if script is None or Path(script).exists():
        advice = (
            "If this is a script, start under `if __name__ == '__main__':`, as other processes import "
            "the script; otherwise stderr says what they died of"
        )
    else:
        advice = (
            f"They import the script, and there is no file {script}: put it into one, or use "
            "start_method='fork'"
        )
    return WorkerStartError(
        f"the {what} die before they are ready, one after the other (the last one with "
        f"exit code {exitcode}). {advice}"
    )


def settle_in() -> None:
    """The first thing that a process of ours does.

    It gets a group of its own, so that it can be killed with what the user's function starts in it,
    and so that a terminal's Ctrl-C does not reach it: that is the parent's business. In the background
    of the terminal, reading from that is an error; as it comes, a process would be stopped for good.
    SIGTERM ends the process, whatever handler was inherited.
    """
    with contextlib.suppress(PermissionError):  # it leads a session already
        os.setpgid(0, 0)
    signal.signal(signal.SIGTTIN, signal.SIG_IGN)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    signal.signal(signal.SIGINT, ignore_ctrl_c)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    for end in list(_PARENT_ENDS):
        end.close()
    _PARENT_ENDS.clear()
    threading.Thread(target=_end_with_parent, name="task_manager-watch", daemon=True).start()


def _end_with_parent() -> None:
    """Kill this process and its group when its parent is gone, also in the middle of a call."""
    parent = multiprocessing.parent_process()
    parent_id = os.getppid()
    sentinels = [] if parent is None else [parent.sentinel]
    known = [_file_at(sentinel) for sentinel in sentinels]
    # The sentinel tells at once, unless a younger sibling holds a copy of its other end (fork).
    while os.getppid() == parent_id:
        if not wait(sentinels, GLANCE):
            continue
        if [_file_at(sentinel) for sentinel in sentinels] == known:
            break
        sentinels = []  # the user's function has closed it: that is no news of our parent
    kill_own_group()


def _file_at(fd: int) -> tuple[int, int] | None:
    """Which file has this number; None if none has."""
    try:
        found = os.fstat(fd)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def kill_own_group() -> None:
    """End this process, and with it what the user's function has started in it."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
