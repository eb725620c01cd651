"""What a run came to: its counts, the kinds of its errors, and the errors themselves."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field, replace
from html import escape
from typing import Any, Self

from ._repr import one_line, short_repr, text_of
from ._stop import StoppedAtOnce
from .errors import DeadlineExceeded, TaskManagerError, TooManyFailures, TransportError

SHOWN = 10  # kinds of errors in a printed summary
WIDEST = 79  # characters of a line of it that shows a task and its error
HOW_TO_REPEAT = "reset() forgets what was done, and the same tasks run again"


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """Errors of a run that are the same trouble: of one type, from one line of your code.

    name: Of the type: "ValueError", "requests.exceptions.ConnectionError".
    place: "crawl.py:12 in fetch", the last line of your code that they came through; "" where nobody
        knows, as after the death of a worker.
    count: How many there were. task, error: The first task, and its error.
    """

    name: str
    place: str
    count: int
    task: Any = field(compare=False)
    error: BaseException = field(compare=False)


@dataclass(frozen=True, slots=True)
class Summary:
    """How a run went.  succeeded + failed + duplicates + not_started = tasks taken.

    `print(summary)` shows it as a table, and so does a notebook. Two are equal if their counts are. A
    pickled one has one error of each kind, and what does not pickle as its text.

    succeeded: Tasks with a result.
    failed: Tasks with an error, after their retries.
    duplicates: Tasks met before, and not run again.
    retries: Attempts after the first, all tasks together.
    seconds: From the call of `start` until the last outcome was recorded.
    not_started: Tasks taken that have no outcome, since the run was broken off or stopped; otherwise 0.
    interrupted: How many of these had a call begun, or may have: they are not safe to repeat where a
        call does something that must not be done twice. It is never too few. In a chain an initial task
        counts if any stage may have been called for it; in process mode so does all that the first
        stage had taken.
    kinds: Of the errors, the most frequent first; beyond 100 the others are one, "other kinds".
    ended_early: Why the run was broken off, as "KeyboardInterrupt", or stopped, "stop()", or that its
        input raised; None: it went to its end.
    errors: Of the run, in the order in which they came: all where the manager keeps errors, and
        otherwise the first 20.
    journal: Why the journal lacks outcomes of this run, as "12 outcomes are missing: database or disk
        is full"; None: it is whole, or there is none.
    done_in: The name of the journal, in which what is a duplicate is done; None: there is none.
    """

    succeeded: int = 0
    failed: int = 0
    duplicates: int = 0
    retries: int = 0
    seconds: float = 0.0
    not_started: int = 0
    interrupted: int = 0
    kinds: tuple[ErrorKind, ...] = field(default=(), compare=False, repr=False)
    ended_early: str | None = field(default=None, compare=False, repr=False)
    errors: tuple[BaseException, ...] = field(default=(), compare=False, repr=False)
    journal: str | None = field(default=None, compare=False, repr=False)
    done_in: str | None = field(default=None, compare=False, repr=False)
    _looks: list[None] = field(default_factory=list, init=False, compare=False, repr=False)

    @property
    def taken(self) -> int:
        """Tasks taken from the input."""
        return self.succeeded + self.failed + self.duplicates + self.not_started

    @property
    def remark(self) -> str | None:
        """What nobody must miss, as "all 4 are repeats: nothing was run"; None: there is nothing."""
        if not self.duplicates or self.duplicates != self.taken:
            return None
        one = self.duplicates == 1
        tasks = "the one task is" if one else f"all {self.duplicates:,} are"
        if self.done_in is not None:
            return f"{tasks} done already, as {one_line(self.done_in)} has it: nothing was run"
        return f"{tasks} {'a repeat' if one else 'repeats'}: nothing was run"

    @property
    def _how_to_repeat(self) -> str:
        if self.done_in is not None:
            return "with another journal, or without one, the same tasks run again"
        return HOW_TO_REPEAT

    def raise_for_errors(self) -> None:
        """Raise the errors as an ExceptionGroup; do nothing where no task failed.

        Of a run that `max_failures` or `deadline` has ended: TooManyFailures or DeadlineExceeded, of
        which the group is the cause.

        The first error of each kind comes first, as Python prints some fifteen of a group; notes on it
        count the kinds. A BaseExceptionGroup where one of them is no Exception. Where the manager does
        not keep errors, it has the first 20, and its message says how many there were.
        """
        self._looks.append(None)
        ended = ended_by(self.ended_early)
        if not self.failed:
            if ended is not None:
                raise ended
            return
        message = f"{self.failed:,} of {self.taken:,} tasks failed"
        if len(self.errors) < self.failed:
            message += f"; here are {len(self.errors):,} of the errors"
        firsts = {id(kind.error) for kind in self.kinds}
        errors = sorted(self.errors, key=lambda error: id(error) not in firsts)
        group = BaseExceptionGroup(message, errors or [TaskManagerError("no error was kept")])
        for kind in self.kinds[:SHOWN]:
            group.add_note(f"{kind.count:,} {kind.name}{f' at {kind.place}' if kind.place else ''}")
        if len(self.kinds) > SHOWN:
            group.add_note(self._more_kinds())
        if ended is not None:
            raise ended from group
        raise group

    def __str__(self) -> str:
        self._looks.append(None)
        width = max(len(name) for name, _ in self._counts())
        lines = [f"{name:<{width}}  {text}" for name, text in self._counts()]
        if self.kinds:
            width = max(len(f"{kind.count:,}") for kind in self.kinds[:SHOWN])
            for kind in self.kinds[:SHOWN]:
                count, name, place, task, said = _row(kind)
                lines.append(f"{count:>{width + 2}}  {name}{f' at {place}' if place else ''}")
                lines.append(_cut(f"{'':{width + 4}}first {task}{f': {said}' if said else ''}"))
            if len(self.kinds) > SHOWN:
                lines.append(self._more_kinds())
        if self.remark is not None:
            lines += ["", f"{self.remark}; {self._how_to_repeat}"]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """As a notebook shows it."""
        self._looks.append(None)
        counts = "".join(
            f"<tr><th style='text-align:left'>{escape(name)}</th>"
            f"<td style='text-align:left'>{escape(text)}</td></tr>"
            for name, text in self._counts()
        )
        html = f"<table>{counts}</table>"
        if self.kinds:
            head = "".join(
                f"<th>{name}</th>" for name in ("failed", "error", "place", "first task", "its error")
            )
            rows = "".join(
                "<tr>" + "".join(f"<td>{escape(text)}</td>" for text in _row(kind)) + "</tr>"
                for kind in self.kinds
            )
            html += f"<table><tr>{head}</tr>{rows}</table>"
        if self.remark is not None:
            html += f"<p>{escape(self.remark)}; {escape(self._how_to_repeat)}</p>"
        return html

    def _counts(self) -> list[tuple[str, str]]:
        """The rows of the table: what is counted, and the text beside it."""
        done = self.succeeded + self.failed
        rate = f", {done / self.seconds:,.1f} per second" if done and self.seconds > 0 else ""
        rows = [
            ("tasks", f"{self.taken:,} in {self.seconds:,.2f} s{rate}"),
            ("succeeded", f"{self.succeeded:,}"),
            ("failed", f"{self.failed:,}"),
        ]
        if self.duplicates:
            rows.append(("duplicates", f"{self.duplicates:,}"))
        if self.retries:
            rows.append(("retries", f"{self.retries:,}"))
        if self.not_started:
            rows.append(("not started", f"{self.not_started:,}{may_have_begun(self)}"))
        if self.ended_early is not None:
            rows.append(("ended early", self.ended_early))
        if self.journal is not None:
            rows.append(("journal", self.journal))
        return rows

    def _more_kinds(self) -> str:
        return f"and {len(self.kinds) - SHOWN} more kinds of errors, in `kinds`"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # frozen, and an error need not be one that can be copied

    def __reduce__(self) -> tuple[Any, ...]:
        counts = (
            self.succeeded,
            self.failed,
            self.duplicates,
            self.retries,
            self.seconds,
            self.not_started,
            self.interrupted,
        )
        kinds = [
            (
                kind.name,
                kind.place,
                kind.count,
                *_packed(kind.task, short_repr(kind.task)),
                *_packed(kind.error, text_of(kind.error)),
            )
            for kind in self.kinds
        ]
        return _unpickled, (counts, self.ended_early, kinds, self.journal, self.done_in)


def _row(kind: ErrorKind) -> tuple[str, str, str, str, str]:
    """For people: the count, the name, the place, the first task and what its error says."""
    error = kind.error
    said = text_of(error).partition(": ")[2]
    if isinstance(error, TransportError) and error.what == "error":  # the name says what it stands for
        said = one_line(error.message)
    return f"{kind.count:,}", kind.name, kind.place, short_repr(kind.task), said


def _cut(line: str) -> str:
    """As much as a terminal shows in one line."""
    return line if len(line) <= WIDEST else f"{line[: WIDEST - 3]}..."


def left_of(summary: Summary, total: int | None) -> list[str]:
    """What has no outcome, for a line: "3 not started, of which 1 may have begun", "7 not read".

    total: Tasks in the input; None: not known, and neither is how many of them were not read.
    """
    unread = max(0, (total or 0) - summary.taken) if summary.ended_early is not None else 0
    left = f"{summary.not_started:,} not started{may_have_begun(summary)}"
    return [left] * bool(summary.not_started) + [f"{unread:,} not read"] * bool(unread)


def may_have_begun(summary: Summary) -> str:
    """How many of those that are not started, to be put behind their number."""
    return f", of which {summary.interrupted:,} may have begun" if summary.interrupted else ""


def ended_by(reason: str | None) -> TaskManagerError | None:
    """The error of a run that a rule has ended; None of all others."""
    name, _, said = (reason or "").partition(": ")
    kinds: dict[str, type[TaskManagerError]] = {
        kind.__name__: kind for kind in (TooManyFailures, DeadlineExceeded)
    }
    return kinds[name](said) if name in kinds else None


def was_shown(summary: Summary) -> bool:
    """Whether somebody has printed it, or had its errors raised."""
    return bool(summary._looks)  # noqa: SLF001 - in the module of its class


def why(error: BaseException) -> str:
    """An error as a reason to have ended, in one line: "KeyboardInterrupt"."""
    if isinstance(error, StoppedAtOnce):
        return str(error)
    return one_line(text_of(error).removesuffix(": "))


def input_raised(error: BaseException) -> str:
    """The same, of a run whose input has raised: what had been taken until then was run."""
    return f"the input raised {why(error)}"


def _packed(value: Any, text: str) -> tuple[bytes | None, str]:
    """The value for a pickle of its own, None where it refuses; and the text that stands for it then."""
    try:
        return pickle.dumps(value), text
    except Exception:
        return None, text


def _unpickled(
    counts: tuple[Any, ...],
    ended_early: str | None,
    packed: list[tuple[str, str, int, bytes | None, str, bytes | None, str]],
    journal: str | None = None,
    done_in: str | None = None,
) -> Summary:
    kinds = []
    for name, place, count, packed_task, task_text, packed_error, error_text in packed:
        task = _opened(packed_task, task_text)
        error = _opened(packed_error, None)
        if not issubclass(type(error), BaseException):
            error = TransportError("error", name, error_text.partition(": ")[2])
        kinds.append(ErrorKind(name, place, count, task, error))
    errors = tuple(kind.error for kind in kinds)
    return replace(
        Summary(*counts),
        kinds=tuple(kinds),
        ended_early=ended_early,
        errors=errors,
        journal=journal,
        done_in=done_in,
    )


def _opened(packed: bytes | None, instead: Any) -> Any:
    try:
        return instead if packed is None else pickle.loads(packed)
    except Exception:
        return instead
