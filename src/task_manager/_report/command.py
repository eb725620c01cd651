"""The command: what may be given to it, what it does with that, and how it ends.

0    it has shown what was asked for, or as much of it as somebody wanted to read
2    the file, or what was given, is wrong: a sentence on stderr says why
130  Ctrl-C
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

FINE, WRONG, INTERRUPTED = 0, 2, 130
PROGRAM = "python -m task_manager"
GROUPS, FIRST, SLOWEST, RUNS = 5, 3, 5, 10  # in the report
ALL_FIRST, ALL_RUNS = 10, 1000  # in the document

DESCRIPTION = """\
Shows what is in a journal, the file that TaskManager(..., journal="crawl.db") and
TaskChain(..., journal="crawl.db") write: how many tasks are done and how many failed, the
runs, how fast they were, the slowest tasks, and the errors by their type and place. It only
reads: a script may be writing the file at the same time, and nothing in it is unpickled.
"""

EPILOG = """\
examples:
  python -m task_manager crawl.db                          the report
  python -m task_manager crawl.db --follow                 the same while a script runs
  python -m task_manager crawl.db --errors | less          every error
  python -m task_manager crawl.db --tasks failed > again   what failed, one task a line
  python -m task_manager crawl.db --csv > crawl.csv        a table, for a spreadsheet
  python -m task_manager crawl.db --json | jq .counts      a document, for a program

states of a task:
  done      it has its result
  failed    it has an error for good
  passed    in a chain: it has passed some stages, and is on its way
  started   a call may have begun, and no outcome is known: what runs now, or was running
            when the script was killed (with Journal(..., started=True))

The exit code is 0; 2 where the file is no journal or cannot be read, as a sentence on stderr
says; 130 after Ctrl-C. NO_COLOR=1 takes the colours away, COLUMNS=80 sets the width.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks for, and answer with the exit code."""
    try:
        return _done(_parsed(arguments))
    except KeyboardInterrupt:
        _forget_output()
        return INTERRUPTED
    except OSError as error:
        # On Windows a pipe whose reader has gone is an invalid argument.
        if isinstance(error, BrokenPipeError) or error.errno == errno.EINVAL:
            _forget_output()
            return FINE
        _forget_output()
        return _say(f"the output cannot be written: {error.strerror or error}")


def _done(given: argparse.Namespace) -> int:
    try:
        from .file import JournalFile, WrongFileError
    except ImportError as error:
        return _say(f"this Python has no SQLite: {error}")
    if sys.stdout is None:
        return _say("there is no stdout to write to")
    try:
        with JournalFile(Path(given.journal)) as file:
            _prepare_output(given)
            _show(file, given)
            sys.stdout.flush()
    except WrongFileError as wrong:
        with suppress(OSError):
            sys.stdout.flush()
        return _say(str(wrong))
    return FINE


def _show(file: Any, given: argparse.Namespace) -> None:
    from .._journal.schema import FAILED, STATES
    from . import lists, text
    from .follow import follow
    from .reading import seen_in
    from .rows import cells_in, tasks_in
    from .screen import Screen

    limit: int | None = given.limit
    state = {word: number for number, word in STATES.items()}.get(given.tasks or "")

    if given.json:
        wanted = tasks_in(file, state, limit) if given.tasks else None
        shown = None if given.tasks else limit
        seen = seen_in(file, shown, ALL_FIRST, shown or ALL_FIRST, ALL_RUNS)
        _write(lists.as_json(file.shown, seen, wanted))
    elif given.csv:
        _write(lists.tasks_as_csv(tasks_in(file, state, limit)))
    elif given.tasks:
        _write(lists.tasks_as_lines(cells_in(file, state, limit)))
    elif given.errors:
        screen = Screen()
        groups = seen_in(file, limit, 0, 0, 1).groups
        if not groups:
            screen.write(["no task has failed"])
        for group in groups:
            for part in text.all_errors(group, tasks_in(file, FAILED, None, group), screen):
                screen.write(part)
    elif given.follow:
        screen = Screen()
        follow(
            lambda: seen_in(file, GROUPS, FIRST, SLOWEST, RUNS),
            lambda seen, brief: text.report(file.shown, seen, screen, brief=brief),
            screen,
            given.every,
        )
    else:
        screen = Screen()
        seen = seen_in(file, limit or GROUPS, FIRST, limit or SLOWEST, limit or RUNS)
        screen.write(text.report(file.shown, seen, screen))


def _write(parts: Iterator[str]) -> None:
    for part in parts:
        sys.stdout.write(part)


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("journal", help="the file")
    parser.add_argument(
        "--errors",
        action="store_true",
        help="every failed task with what its error says, by type and place",
    )
    parser.add_argument(
        "--tasks",
        choices=("failed", "done", "started", "passed", "all"),
        help="the tasks in this state, one a line; with --csv or --json, these rows",
    )
    parser.add_argument("--json", action="store_true", help="one document, its fields as documented")
    parser.add_argument("--csv", action="store_true", help="a row for each task")
    parser.add_argument(
        "--follow", action="store_true", help="go on until the run that writes the journal ends"
    )
    parser.add_argument(
        "--every",
        type=_seconds,
        metavar="S",
        help="with --follow: seconds from one look to the next; otherwise 1 in a terminal, 30 elsewhere",
    )
    parser.add_argument(
        "--limit",
        type=_count,
        metavar="N",
        help=f"at most so many tasks or kinds of errors; otherwise {GROUPS} in the report, else all",
    )
    given = parser.parse_args(arguments)
    for one, other in (
        ("json", "csv"),
        ("errors", "tasks"),
        ("errors", "json"),
        ("errors", "csv"),
        ("follow", "json"),
        ("follow", "csv"),
        ("follow", "errors"),
        ("follow", "tasks"),
        ("follow", "limit"),
    ):
        if getattr(given, one) and getattr(given, other):
            parser.error(f"--{one} and --{other} do not go together")
    if given.every and not given.follow:
        parser.error("--every is of --follow")
    return given


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 1 << 62:
        raise argparse.ArgumentTypeError(f"it must be a whole number from 1 on; got {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 86400:
        raise argparse.ArgumentTypeError(
            f"it must be a number of seconds from 0.1 to 86400; got {text!r}"
        )
    return seconds


def _prepare_output(given: argparse.Namespace) -> None:
    """What stdout cannot encode is shown as an escape; tables are in UTF-8 on every system."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is None:
        return
    if given.csv:
        reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")
    else:
        reconfigure(errors="backslashreplace")


def _say(sentence: str) -> int:
    with suppress(OSError, ValueError, AttributeError):
        print(f"{PROGRAM}: {sentence}", file=sys.stderr, flush=True)
    return WRONG


def _forget_output() -> None:
    """Have the interpreter write nothing more at its end, where nobody reads."""
    with suppress(OSError, ValueError, AttributeError):
        ours = sys.stdout.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, ours)
        os.close(nowhere)
