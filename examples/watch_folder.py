"""Watches a folder without end, does each file that appears there once, and stops cleanly when told.

    python examples/watch_folder.py      until `kill PID`, as systemd stops a service, or Ctrl-C

Shows: a queue as the input, which a thread fills; a signal handler that stops the run: what is being
done is finished, nothing more is begun; and a journal, so that the next start does only what is new.
"""

import contextlib
import io
import itertools
import queue
import signal
import time
from pathlib import Path
from threading import Thread

from task_manager import TaskManager


def longest_word(name: str) -> None:
    word = max((INBOX / name).read_text().split(), key=len)
    print(f"{name}: {word}\n", end="", flush=True)  # in one go, as threads may print at once


def watch(tasks: queue.Queue[str]) -> None:
    seen: set[str] = set()
    while True:
        for name in sorted({path.name for path in INBOX.glob("*.txt")} - seen):
            tasks.put(name)
            seen.add(name)
        time.sleep(0.1)


def main() -> None:
    tasks: queue.Queue[str] = queue.Queue(maxsize=100)
    with TaskManager(longest_word, "thread", keep_results="errors", journal="watched.db") as manager:
        signal.signal(signal.SIGTERM, lambda *_: manager.stop())
        Thread(target=watch, args=[tasks], daemon=True).start()
        print(manager.start(tasks))


# ------------------------------------------------ somebody who puts files into the folder

INBOX = Path("inbox")


def deliver() -> None:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        import this  # noqa: F401
    for number, line in enumerate(itertools.cycle(printed.getvalue().split("\n")[2:-1]), start=1):
        letter = INBOX / f"{number:06}.txt"
        if not letter.exists():
            letter.with_suffix(".part").write_text(line)
            letter.with_suffix(".part").rename(letter)  # whole, or not there
            time.sleep(0.02)


if __name__ == "__main__":
    INBOX.mkdir(exist_ok=True)
    Thread(target=deliver, daemon=True).start()
    main()
