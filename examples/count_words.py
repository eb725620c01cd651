"""Counts the words that the names in the standard library are made of, in a chain of three stages.

    python examples/count_words.py                the 1,200 shortest sources
    python examples/count_words.py --limit 300    fewer

        find ─▶ path ─▶ read ─▶ source ─▶ parse ─▶ code ─▶ count ─▶ words

Shows: the same chain one stage after the other, and with every stage in a process of its own, all
at the same time; and at which stage each source failed that is no Python: the tests of Python
itself keep some.
"""

import argparse
import dis
import marshal
import os
import re
import sys
import sysconfig
import textwrap
import tokenize
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import CodeType

from task_manager import TaskChain, TaskManager

STDLIB = Path(sysconfig.get_path("stdlib"))
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")  # in read_all, readAll: read, all


def find(limit: int) -> list[Path]:
    """The shortest sources of the standard library."""
    sources = [path for path in STDLIB.rglob("*.py") if "site-packages" not in path.parts]
    return sorted(sorted(sources, key=lambda path: path.stat().st_size)[:limit])


def read(path: Path) -> str:
    with tokenize.open(path) as file:  # in the encoding that the source declares
        return file.read()


def parse(source: str) -> bytes:
    with warnings.catch_warnings(action="ignore"):  # what Python thinks of the source
        return marshal.dumps(compile(source, "source", "exec"))  # pickle does not take code


def count(code: bytes) -> Counter[str]:
    return Counter(word.lower() for name in names_in(marshal.loads(code)) for word in WORD.findall(name))


def names_in(code: CodeType) -> Iterator[str]:
    """The globals, attributes and modules that it uses, as often as it does."""
    for instruction in dis.get_instructions(code):
        if instruction.opcode in dis.hasname:
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from names_in(constant)


def print_words(words: Counter[str]) -> None:
    total, most = words.total(), max(words.values(), default=1)
    print(f"\nThe names are made of {total:,} words. The most used:")
    for word, times in words.most_common(10):
        print(f"  {word:<12}{times:>8,}{times / total:>8.1%}  {'▪' * round(40 * times / most)}")


def print_failures(errors: Mapping[Path, BaseException]) -> None:
    places = defaultdict(list)
    for path, error in errors.items():
        place = error.__notes__[-1].removeprefix("task_manager: in ").partition(",")[0]
        reason = str(getattr(error, "msg", error)).replace(str(path), path.name)
        places[place].append(f"    {path.name:<26}{textwrap.shorten(reason, 70)}")
    print(f"\n{len(errors)} sources failed:")
    for place, lines in sorted(places.items()):
        print(f"  in {place}", *lines, sep="\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="Count the words in the names of the standard library.")
    parser.add_argument("--limit", type=int, default=1200, help="so many sources (default: 1200)")
    paths = find(parser.parse_args().limit)

    print(f"{'chain mode':<12}{'sources':>8}{'counted':>9}{'failed':>8}{'seconds':>9}", flush=True)
    answers = []
    for mode in ("serial", "process"):
        stages = [TaskManager(stage, logger=None) for stage in (read, parse, count)]
        chain = TaskChain(stages, chain_mode=mode)
        summary = chain.start_chain(paths)
        print(
            f"{mode:<12}{summary.taken:>8,}{summary.succeeded:>9,}{summary.failed:>8,}"
            f"{summary.seconds:>9.2f}",
            flush=True,
        )
        answers.append(chain.get_final_result_dict())

    words: Counter[str] = Counter()
    for of_one in answers[0].values():
        words.update(of_one)
    print_words(words)
    print_failures(chain.get_final_error_dict())
    print(f"\nThe two chains {'agree.' if answers[0] == answers[1] else 'disagree!'}")


if __name__ == "__main__":
    try:
        main()
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit("\nstopped")
    except BrokenPipeError:  # whoever reads the output has enough of it, as head does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
