"""Words counted over many files: on this machine, or on as many as there are. One script.

    python outgrow_one_machine.py --mode process folder
    python outgrow_one_machine.py --mode dask --address tcp://10.0.0.1:8786 folder
    python outgrow_one_machine.py --mode ray folder

A dask scheduler and two workers, which may be on other machines that see the same files, are started by

    dask scheduler
    dask worker tcp://10.0.0.1:8786
    dask worker tcp://10.0.0.1:8786
"""

import argparse
import os
import re
import socket
from collections import Counter
from pathlib import Path

from task_manager import TaskManager


def count_words(path: str) -> tuple[Counter[str], str]:
    words = re.findall(r"[a-z]+", Path(path).read_text(errors="replace").lower())
    return Counter(words), f"{socket.gethostname()}, process {os.getpid()}"


class WordCount(TaskManager[str, tuple[Counter[str], str]]):
    def process_result(self, path: str, result: tuple[Counter[str], str]) -> tuple[Counter[str], str]:
        words, where = result
        total.update(words)
        places[where] += 1
        return result


total: Counter[str] = Counter()
places: Counter[str] = Counter()

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mode", choices=["process", "dask", "ray"], default="process")
    parser.add_argument("--address")
    options = parser.parse_args()
    files = sorted(str(path) for path in options.folder.resolve().rglob("*.*") if path.is_file())
    with WordCount(
        count_words, options.mode, address=options.address, keep_results=False, logger=None
    ) as counter:
        print(counter.start(files))
    for where, count in places.most_common():
        print(f"{count} files by {where}")
    print(", ".join(f"{word} {count}" for word, count in total.most_common(5)))
