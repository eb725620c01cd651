"""All that one system has and another lacks: no module outside of these names any of it.

     copies     forked copies of a process          fork
     signals    signals that wait, that are ignored masks, SIGPIPE
     processes  deaths, ends, what dies with whom   kill(pid, 0), process groups, poll
     watch      a process ends with its parent      poll, SIGIO
     sharing    sockets and memory of two processes passing of files, memfd
     locks      whether a file is locked            F_GETLK of Linux
     terminal   escapes are taken for what they are a console of Windows
     owners     whose a file is                     owners, modes
     servants   processes of multiprocessing's own  fork server, resource tracker

A capability is known by what there is (`hasattr`), never by the name of the system.  Without POSIX
each does what can be done, or nothing, so that no other module asks.  What is lost: docs/platforms.md.
"""

from .copies import CAN_FORK, after_fork, end_a_copy, no_fork_meanwhile, this_process
from .locks import is_locked
from .owners import HAS_OWNERS, foreign_hands, make_private, may_use
from .processes import (
    CAN_POLL,
    KILLED_CODES,
    cores,
    end_with_group,
    has_died,
    is_alive,
    kill_left_behind,
    lead_a_group,
    wait_for_end,
    when_ready,
)
from .servants import end_of_servant, forget_locks_of_servants, ready_servants, track_semaphores
from .sharing import (
    NO_SIGNAL,
    MemoryByArgument,
    MemoryByPipe,
    memory_of_machine,
    pair_of_sockets,
    shared_by_argument,
    without_signal,
)
from .signals import blocked, blocked_for_start, unblock_after_start, without_sigpipe
from .terminal import takes_escapes
from .watch import end_with_parent, parent_pid

__all__ = [
    "CAN_FORK",
    "CAN_POLL",
    "HAS_OWNERS",
    "KILLED_CODES",
    "NO_SIGNAL",
    "MemoryByArgument",
    "MemoryByPipe",
    "after_fork",
    "blocked",
    "blocked_for_start",
    "cores",
    "end_a_copy",
    "end_of_servant",
    "end_with_group",
    "end_with_parent",
    "foreign_hands",
    "forget_locks_of_servants",
    "has_died",
    "is_alive",
    "is_locked",
    "kill_left_behind",
    "lead_a_group",
    "make_private",
    "may_use",
    "memory_of_machine",
    "no_fork_meanwhile",
    "pair_of_sockets",
    "parent_pid",
    "ready_servants",
    "shared_by_argument",
    "takes_escapes",
    "this_process",
    "track_semaphores",
    "unblock_after_start",
    "wait_for_end",
    "when_ready",
    "without_signal",
    "without_sigpipe",
]
