"""Where the files of ours sit."""

from __future__ import annotations

from collections.abc import Callable

from scripts import Script

SCRIPT = """
import os, socket, threading
from task_manager._processes.files import standard_files_taken, take_standard_files

said = os.dup(1)
for number in range(3):
    os.close(number)

def opened():
    ends = socket.socketpair()
    numbers = sorted(end.fileno() for end in ends)
    for end in ends:
        end.close()
    return min(numbers) > 2

outcome = [opened()]
with standard_files_taken():
    outcome.append(opened())
    with standard_files_taken():
        outcome.append(opened())
    outcome.append(opened())
    child = os.fork()
    if not child:
        with standard_files_taken():
            pass
        os._exit(not opened())
outcome.append(os.waitpid(child, 0)[1] == 0)
outcome.append(opened())
outcome.append(take_standard_files())
outcome.append(opened())
os.write(said, repr(outcome).encode())
"""


def test_f30_nothing_is_opened_in_place_of_a_standard_file(script: Callable[[str], Script]) -> None:
    """Not in such a block, nor in what is forked in it; after the last one the places are free again."""
    out, err = script(SCRIPT).process.communicate(timeout=20)

    assert "[False, True, True, True, True, False, [0, 1, 2], True]" == out, err
