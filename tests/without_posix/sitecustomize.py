"""Makes this interpreter lack what Python lacks where there is no POSIX, as on Windows.

Put this folder on PYTHONPATH: it holds for every Python that starts, children too.  It is stricter than
Windows where that is of use: what must not be called there ends the process, or is an error.  SIGKILL
stays, which the multiprocessing of the system below needs.  It is not Windows: see docs/platforms.md.
"""

import os
import select
import selectors
import signal
import socket
import stat
import sys

OF_POSIX = {
    os: "fork forkpty register_at_fork memfd_create killpg setpgid getpgrp getpgid setsid "
    "sched_getaffinity pidfd_open wait4 waitid O_ASYNC geteuid fchmod mkfifo",
    signal: "pthread_sigmask pthread_kill sigwait sigpending setitimer alarm SIG_BLOCK SIG_UNBLOCK "
    "SIG_SETMASK SIGTTIN SIGTTOU SIGTSTP SIGCHLD SIGHUP SIGUSR1 SIGALRM SIGPIPE SIGIO",
    socket: "send_fds recv_fds SCM_RIGHTS CMSG_LEN MSG_NOSIGNAL",
    select: "poll epoll",
    selectors: "PollSelector EpollSelector KqueueSelector DevpollSelector",
}

for module, names in OF_POSIX.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)


def _end_whoever_asks(pid: int, number: int, kill: object = os.kill) -> None:
    if number == 0:
        os.write(2, b"os.kill(pid, 0) is CTRL_C_EVENT for all\n")
        os._exit(99)
    kill(pid, number)  # type: ignore[operator]


def _pair_over_tcp(*_: object) -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        other, address = server.accept()
        while address != one.getsockname():  # a stranger was faster
            other.close()
            other, address = server.accept()
    return one, other


class _SocketsOnly(selectors.SelectSelector):
    def register(self, fileobj, events, data=None):  # type: ignore[no-untyped-def]
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            raise OSError(10038, "An operation was attempted on something that is not a socket")
        return super().register(fileobj, events, data)

    def select(self, timeout=None):  # type: ignore[no-untyped-def]
        if not self.get_map():
            raise OSError(10022, "An invalid argument was supplied")
        return super().select(timeout)


os.kill = _end_whoever_asks
socket.socketpair = _pair_over_tcp
selectors.DefaultSelector = _SocketsOnly

import multiprocessing  # noqa: E402 - after the names are gone
import multiprocessing.context  # noqa: E402

_spawn = multiprocessing.context._concrete_contexts["spawn"]
multiprocessing.context._concrete_contexts = {"spawn": _spawn}
multiprocessing.get_all_start_methods = lambda: ["spawn"]
multiprocessing.set_start_method("spawn", force=True)
sys.modules["fcntl"] = None  # type: ignore[assignment]
