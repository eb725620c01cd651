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
import select
import signal
import socket
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess

# By name, as a function may mock these modules for a while: a signal must not go to a stranger then.
from os import getpgrp, getpid, getppid, kill, killpg
from pathlib import Path
from time import monotonic
from typing import Any, Protocol, TypeVar

from .._signals import HeldSignals, ignore_ctrl_c
from ..errors import ConfigurationError, WorkerStartError
from . import launch
from .script import script_file

FAREWELL = 1.0  # seconds that a process gets to end by itself before it is killed
STILLBORN = 3  # processes in a row that die before they are ready; then there is no hope
KILLED = 50  # the same, if they were killed: somebody else's doing, which may come to an end
LOST = 255  # what multiprocessing takes for the exit code of a process whose fork server has died
COMING_UP = (
    20.0  # seconds that a process may take to be ready, at least, where its calls have a time limit
)
GLANCE = 0.5  # seconds between two looks at whether the parent, or a worker, still lives
NO_MORE = "no process can be started any more: the interpreter exits"

_starting = threading.Lock()  # no fork between the making of a pipe and its entry in _PARENT_ENDS
_PARENT_ENDS: weakref.WeakSet[socket.socket] = weakref.WeakSet()

_ours: weakref.WeakSet[BaseProcess] = weakref.WeakSet()  # all that were made here
_living: set[BaseProcess] = set()
_exiting = False
_deaf_to: list[int] = []  # signals that were blocked for the last fork


def _begin_anew() -> None:
    """In a forked child, whoever forked it: the processes of its parent are none of its business.

    There they have ended well, so that nothing in it signals them, and multiprocessing does not wait
    for them at its exit, which would be an AssertionError. It holds no end of their pipes either: they
    could not see the end of their parent. And nobody in it will let go of the lock.
    """
    global _starting
    _starting = threading.Lock()
    for process in _ours:
        if process._popen is not None:  # type: ignore[attr-defined]
            process._popen.returncode = 0  # type: ignore[attr-defined]
        multiprocessing.process._children.discard(process)  # type: ignore[attr-defined]
    _ours.clear()
    _living.clear()
    for end in list(_PARENT_ENDS):
        end.close()
    _PARENT_ENDS.clear()
    launch.in_a_copy()


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
    raise WorkerStartError(NO_MORE)


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
        ours, theirs = socket.socketpair()
        _PARENT_ENDS.add(ours)

        def make() -> BaseProcess:
            process: BaseProcess = context.Process(  # type: ignore[attr-defined]
                target=target, args=(theirs, *args), name=name
            )
            _ours.add(process)
            return process

        try:
            with _deaf_births(context.get_start_method()):
                process = launch.launch(make, context.get_start_method())
        except BaseException as error:
            ours.close()
            if isinstance(error, RuntimeError) and "interpreter shutdown" in str(error):
                raise WorkerStartError(NO_MORE) from error  # CPython 3.12 refuses to fork then
            raise
        finally:
            theirs.close()
        _living.add(process)
    return process, ours


@contextlib.contextmanager
def _deaf_births(method: str) -> Iterator[None]:
    """A process that is forked in this block hears no signal that the script handles, until `settle_in`.

    A service that is told to stop is told so with its whole group. The script's handler would run in the
    child as well, and what it raises there, Python's at-fork callbacks swallow.
    """
    numbers: set[int] = set()
    if method == "fork":
        numbers = {number for number in signal.valid_signals() if callable(signal.getsignal(number))}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    _deaf_to[:] = numbers - set(blocked)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _deaf_to)


@contextlib.contextmanager
def refusals_named(what: str) -> Iterator[None]:
    """What the system refuses in this block is a WorkerStartError that names it. what: Is started."""
    try:
        yield
    except (OSError, MemoryError) as error:
        raise WorkerStartError(f"no {what} can be started: {launch.refusal(error)}") from error


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


def tells_of_death(context: BaseContext) -> bool:
    """Whether a sentinel tells of the death of its process, and not also of its fork server's."""
    return context.get_start_method() != "forkserver"


def has_died(process: BaseProcess) -> bool:
    """Asked of the system: a sentinel is silent as long as anybody holds a copy of its other end."""
    if process.exitcode not in (None, LOST):
        return True
    try:
        kill(process.pid or 0, 0)
    except ProcessLookupError:  # somebody else has waited for it
        return True
    except PermissionError:  # it lives, as another user
        return False
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
        self._last = monotonic()

    def dead(self, keepers: Iterable[K]) -> list[K]:
        """Those whose process has died; none where the last look was not GLANCE seconds ago."""
        now = monotonic()
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
        # Not multiprocessing's wait, which asks the clock: that may be stopped, by tests of other code.
        poller = select.poll()
        poller.register(process.sentinel, select.POLLIN)
        poller.poll(patience * 1000)
    if process.exitcode is None:  # alive, whatever the sentinel says, or somebody else waited for it
        process.kill()
        process._popen.wait()  # type: ignore[attr-defined] # join() would ask os.getpid, perhaps a mock
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
            killpg(process.pid, signal.SIGKILL)


def time_to_come_up(timeout: float, coming: int) -> float:
    """Seconds after which a process that is not ready hangs, as in an import that never ends.

    A slow import is no fault: each has COMING_UP, or the time limit of a call if that is more, and in
    proportion more where so many come up at once that they wait for each other's processors.
    """
    return max(timeout, COMING_UP) * max(1.0, coming / (os.cpu_count() or 1))


def not_ready(what: str, seconds: float) -> str:
    """What to tell of a process, which `what` names, that hangs as it comes up."""
    return (
        f"{what} was not ready after {seconds:g} s. If it needs longer, as for its imports, set a "
        "larger task_timeout: that holds for this as well"
    )


def hopeless(stillborn: int, exitcode: int | None) -> bool:
    """Whether so many processes in a row that died before they were ready are too many."""
    killed = exitcode in (-signal.SIGKILL, -signal.SIGTERM)
    return stillborn >= (KILLED if killed else STILLBORN)


def stillborn_error(
    what: str, exitcode: int | None, start_method: str | None = None
) -> WorkerStartError:
    """What to raise when processes, which `what` names, keep dying before they are ready.

    start_method: How they were started; None where that is not known.
    """
    script = script_file()
    advice = "stderr says what they died of, as a lack of memory"
    if start_method == "fork":
        pass
    elif script is None or Path(script).exists():
        advice = (
            "If this is a script, start under `if __name__ == '__main__':`, as other processes import "
            f"the script; otherwise {advice}"
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
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGPIPE, *_deaf_to})
    _watch_parent()


def _watch_parent() -> None:
    """See to it that this process ends when its parent is gone, also in the middle of a call."""
    parent = multiprocessing.parent_process()
    sentinel = None if parent is None else parent.sentinel
    # The sentinel tells at once, unless a younger sibling holds a copy of its other end (fork).
    poller = select.poll()
    if sentinel is not None:
        poller.register(sentinel, select.POLLIN)
    known = _file_at(sentinel)
    parent_id = getppid()
    # Where a fork server stands between, its death is not our parent's.
    direct = parent is None or parent.pid == parent_id

    def gone(wait: float) -> bool:
        for end, _ in poller.poll(wait * 1000):
            if _file_at(end) == known:
                return True
            poller.unregister(end)  # the user's function has closed it: that is no news of our parent
        return direct and getppid() != parent_id

    def watch() -> None:
        while not gone(GLANCE):
            continue
        kill_own_group()

    try:
        threading.Thread(target=watch, name="task_manager-watch", daemon=True).start()
    except (RuntimeError, MemoryError):  # the system has no thread for us, and may have none for long
        _watch_by_signal(sentinel, gone)


def _watch_by_signal(sentinel: int | None, gone: Callable[[float], bool]) -> None:
    """The same without a thread: SIGIO comes when the other end of the sentinel is closed."""
    import fcntl

    def look(*_: object) -> None:
        if gone(0.0):
            kill_own_group()

    if sentinel is not None and hasattr(os, "O_ASYNC"):
        signal.signal(signal.SIGIO, look)
        fcntl.fcntl(sentinel, fcntl.F_SETOWN, getpid())
        fcntl.fcntl(sentinel, fcntl.F_SETFL, fcntl.fcntl(sentinel, fcntl.F_GETFL) | os.O_ASYNC)
        look()  # it may have been closed before


def _file_at(fd: int | None) -> tuple[int, int] | None:
    """Which file has this number; None if none has."""
    if fd is None:
        return None
    try:
        found = os.fstat(fd)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def kill_own_group() -> None:
    """End this process, and with it what the user's function has started in it."""
    if getpgrp() == getpid():
        killpg(0, signal.SIGKILL)
    signal.raise_signal(signal.SIGKILL)
