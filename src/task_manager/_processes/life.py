"""What every process of ours does at its start and at its end, workers and chain stages alike.

A forked child inherits the parent's ends of all pipes, its own among them.  As long as it holds
them, no pipe comes to an end when the parent dies; so every child closes them first.
"""

from __future__ import annotations

import atexit
import contextlib
import math
import multiprocessing
import signal
import socket
import threading
import weakref
from collections.abc import Callable, Iterator
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any

from .._platform import (
    after_fork,
    blocked,
    blocked_for_start,
    end_with_group,
    end_with_parent,
    forget_locks_of_servants,
    kill_left_behind,
    lead_a_group,
    no_fork_meanwhile,
    pair_of_sockets,
    unblock_after_start,
    wait_for_end,
    without_signal,
)
from .._signals import HeldSignals, ignore_ctrl_c
from ..errors import ConfigurationError, WorkerStartError
from . import launch
from .files import take_standard_files
from .slot import SharedSlot
from .unguarded import refuse_unguarded

NO_MORE = "no process can be started any more: the interpreter exits"

# Held from the making of a pipe until its process is in `_living`. With two starts at once the second
# child could inherit the parent's end of the first one's pipe before that is in _PARENT_ENDS, and keep
# it open: the first child would not see its parent die. And `_kill_the_rest` could miss a process.
_starting = threading.Lock()
_PARENT_ENDS: weakref.WeakSet[socket.socket] = weakref.WeakSet()

_ours: weakref.WeakSet[BaseProcess] = weakref.WeakSet()  # all that were made here
_living: set[BaseProcess] = set()
_exiting = False


def _begin_anew() -> None:
    """In a forked child, whoever forked it: the processes of its parent are none of its business.

    There they have ended well, so that nothing in it signals them, and multiprocessing does not wait
    for them at its exit, which would be an AssertionError. It holds no end of their pipes either: they
    could not see the end of their parent. The thread that held the lock does not exist in it.
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
    forget_locks_of_servants()


after_fork(_begin_anew)


@atexit.register
def _kill_the_rest() -> None:
    """At exit, before multiprocessing waits for its children: atexit begins with what came last.

    It only kills, and waits for none. A run in a daemon thread may wait for the same process: of two
    threads that do, the system tells one alone that it has ended, and the other may wait for ever.
    """
    global _exiting
    with _starting:
        _exiting = True  # under the lock: a start is in `_living` by now, or is refused
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
    refuse_unguarded()
    process = multiprocessing.current_process()
    if process.daemon:
        raise ConfigurationError(
            f"process mode needs a process that may have children; got {process.name}, which is "
            "daemonic, as the workers of multiprocessing.Pool are. Use another mode here, or "
            "concurrent.futures.ProcessPoolExecutor or a TaskManager in place of that pool"
        )


def _stop_if_exiting() -> None:
    """Stop a daemon thread for good, as the end of the interpreter will anywhere.

    Its run would replace what was killed for the exit, and multiprocessing would not wait for that.
    """
    if _exiting and threading.current_thread().daemon:
        threading.Event().wait()


def start_process(
    context: BaseContext, target: Callable[..., None], *args: Any, name: str
) -> tuple[BaseProcess, socket.socket]:
    """Start a process that runs target(pipe, *args); the process, and our end of its pipe.

    To be called inside `uninterrupted`, together with what makes somebody its owner.

    It is no daemon in the sense of multiprocessing, since it may have children of its own: `target`,
    which is `live`, first sees to it that it ends when its parent is gone.
    """
    refuse_daemons()
    with _one_start():
        ours, theirs = pair_of_sockets()
        _PARENT_ENDS.add(ours)

        def make() -> BaseProcess:
            process: BaseProcess = context.Process(  # type: ignore[attr-defined]
                target=target, args=(theirs, *args), name=name
            )
            _ours.add(process)
            return process

        try:
            method = context.get_start_method()
            with no_fork_meanwhile(), blocked_for_start(forked=method == "fork"):
                process = launch.launch(make, method)
        except BaseException as error:
            ours.close()
            if isinstance(error, RuntimeError) and "interpreter shutdown" in str(error):
                # CPython 3.12 forks no more then (gh-104690).
                raise WorkerStartError(NO_MORE) from error
            raise
        finally:
            theirs.close()
        _living.add(process)
    return process, ours


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

    Processes that are started in it take no Ctrl-C, until `live` ignores it: the mask is
    what they inherit. It is no help to this thread, whose handlers run whichever thread a signal hits.
    """
    with HeldSignals(patience=math.inf).held(), blocked({signal.SIGINT}):
        yield


def end_process(process: BaseProcess, patience: float) -> int | None:
    """Give a process some seconds to end, kill it then; its exit code, None where it cannot be known.

    What it has started itself is left alone if it ended well, and is killed with it otherwise.
    """
    _stop_if_exiting()
    _living.discard(process)
    if process.exitcode is None:
        wait_for_end(process, patience)
    if process.exitcode is None:  # alive, whatever the sentinel says, or somebody else waited for it
        process.kill()
        process._popen.wait()  # type: ignore[attr-defined] # join() would ask os.getpid, perhaps a mock
    code = process.exitcode
    if code != 0:
        kill_left_behind(process)
    if code is None:  # multiprocessing takes it for alive
        multiprocessing.process._children.discard(process)  # type: ignore[attr-defined]
    else:
        process.close()
    return code


def live(pipe: socket.socket, shared: Any, target: Callable[..., None], *args: Any) -> None:
    """The life of a process of ours: target(pipe, slot, *args).

    shared: What `SharedSlot.argument` has made in the parent.

    A terminal's Ctrl-C is the parent's business. SIGTERM ends it, whatever handler was inherited.
    """
    lead_a_group()
    # Both before `unblock_after_start`, which lets in what was blocked for the start: the handlers of
    # the script, which a fork has inherited, would be called for it.
    signal.signal(signal.SIGINT, ignore_ctrl_c)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    unblock_after_start()
    end_with_parent()
    take_standard_files()
    without_signal(pipe)
    try:
        slot = SharedSlot.receive(shared, pipe).cells
    except (ConnectionError, EOFError):  # the parent is gone
        end_with_group()
    # In a copy of this process the next write to the slot fails, at the latest after the call.
    after_fork(slot.release)
    target(pipe, slot, *args)
