"""Starts a process through multiprocessing, and sees to what that leaves open.

Its fork server and its resource tracker may be killed at any moment, or may be those of another
process; a start that is refused leaves files behind; and it writes into pipes whose reader may be
dead, which kills a script that has asked for that.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from time import sleep

from .._platform import CAN_FORK, end_of_servant, ready_servants, without_sigpipe
from .script import restore_script_file
from .unguarded import UNGUARDED, unguarded_error

ATTEMPTS = 5  # at one start, while the servants of multiprocessing die
PAUSE = 0.02  # seconds, and more each time: one that dies is not seen to be dead at once
SPARE = {"fork": 4, "spawn": 6, "forkserver": 6}  # files that a start has open at once, at the most

HINTS = {
    errno.EAGAIN: "as many processes and threads as this user or this container may have, as "
    "`ulimit -u` or its pids.max says",
    errno.ENOMEM: "no memory is left",
    errno.EMFILE: "as many files as this process may have open, as `ulimit -n` says",
    errno.ENFILE: "as many files as the system may have open",
}


def launch(make: Callable[[], BaseProcess], method: str) -> BaseProcess:
    """A started process. make: Makes a Process that was not started. method: How it is started.

    Raises what the system refuses, as an OSError or a MemoryError; in the end also the ConnectionError
    of a fork server that does not stay alive, or a WorkerStartError if that says that the script has no
    guard.
    """
    with _broken_streams_aside(), without_sigpipe():
        for attempt in range(1, ATTEMPTS + 1):
            process = make()
            try:
                if method != "fork":
                    restore_script_file()
                    ready_servants(method)
                _keep_spare_files(SPARE[method])
                process.start()
            except BaseException as error:
                _clear_up(error)
                gone = isinstance(error, (ConnectionError, ChildProcessError, EOFError, Warning))
                if method == "fork" or not gone:
                    raise
                if end_of_servant(method) == UNGUARDED:
                    raise unguarded_error() from None
                if attempt == ATTEMPTS:
                    what = "the fork server" if method == "forkserver" else "a new process"
                    raise ConnectionError(
                        f"{what} died at each of {ATTEMPTS} attempts, as it does where processes, files "
                        f"or memory run out; stderr may say which ({type(error).__name__}: {error})"
                    ) from error
                sleep(PAUSE * attempt)
            else:
                if method == "fork" or attempt == ATTEMPTS or not restore_script_file():
                    break
                # The script ended in the middle: this process may not have been told where it is.
                process.kill()
                process.join()
                process.close()
    return process


def refusal(error: BaseException) -> str:
    """What the system has refused, in words."""
    said = str(error) or type(error).__name__
    if isinstance(error, MemoryError):
        return f"{said}: {HINTS[errno.ENOMEM]}"
    hint = HINTS.get(error.errno or 0) if isinstance(error, OSError) else None
    return said if hint is None else f"{said}: {hint}"


@contextlib.contextmanager
def servants_of(method: str) -> Iterator[None]:
    """The time in which something is made, or given up, that the servants of this start method know of.

    They may have been killed; writing to them must not end the script.
    """
    with without_sigpipe():
        if method != "fork":
            restore_script_file()
            ready_servants(method)
        yield


def _keep_spare_files(count: int) -> None:
    """Raise OSError now where files would run out in the middle: CPython then leaves some open."""
    spare: list[int] = []
    try:
        while len(spare) < count:
            spare += os.pipe()
    finally:
        for fd in spare:
            os.close(fd)


def _clear_up(error: BaseException) -> None:
    """Take away what a start that failed has left: open files, or a process without an owner.

    On Windows CPython does so itself, all but the process: that reads the end of its pipe, and ends.
    """
    if not CAN_FORK:
        return
    from multiprocessing import popen_fork

    for frame, _ in traceback.walk_tb(error.__traceback__):
        popen = frame.f_locals.get("self")
        if frame.f_code.co_name != "_launch" or not isinstance(popen, popen_fork.Popen):
            continue
        if popen.method == "fork" and not hasattr(popen, "pid"):  # its pipes are open, and stay so
            for name in ("parent_r", "parent_w", "child_r", "child_w"):
                if name in frame.f_locals:
                    os.close(frame.f_locals[name])
        popen.close()
        if popen.method == "spawn" and hasattr(popen, "pid"):
            popen.kill()
            popen.wait()


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
