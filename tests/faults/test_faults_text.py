"""What the user's objects say of themselves: reprs that raise or forge lines of the log, F27 and F34."""

from __future__ import annotations

import io
import re
import unicodedata
import warnings
from pathlib import Path
from typing import Any

import loguru
import pytest

import functions as f
from task_manager import ProgressManager, TaskChain, TaskLogger, TaskManager
from task_manager._repr import LONGEST, name_of, one_line, short_repr, text_of, type_name
from task_manager._run.recorder import Recorder
from task_manager.events import Event, RunBegan


class PanicException(BaseException):
    """As extensions in Rust raise it: no Exception."""


def panic(*_: Any) -> Any:
    raise PanicException("called `Option::unwrap()` on a `None` value")


class Frame:
    """Its repr panics."""

    def __init__(self, n: int) -> None:
        self.n = n

    __repr__ = panic


class Meta(type):
    """Of a class that has no name, and cannot be hashed."""

    def __getattribute__(cls, name: str) -> Any:
        if name in ("__name__", "__qualname__", "__module__"):
            panic()
        return super().__getattribute__(name)

    __eq__ = panic
    __hash__ = None  # type: ignore[assignment]


class Nameless(metaclass=Meta):
    __repr__ = panic


class Text(str):
    """A text whose methods panic."""

    __slots__ = ()
    __len__ = __getitem__ = __format__ = isprintable = replace = encode = splitlines = panic  # type: ignore


class Saying:
    """Shows itself as it is told."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


class Told(Exception):
    """An error that says whatever text it was given, and without quotes."""

    def __repr__(self) -> str:
        return str(self.args[0])

    def __str__(self) -> str:
        return str(self.args[0])


class PanickingError(Exception):
    __repr__ = __str__ = panic


def fail_on_odd(frame: Frame) -> int:
    if frame.n % 2:
        raise ValueError(frame.n)
    return frame.n


# ------------------------------------------------------------------ F27: what raises


@pytest.mark.parametrize("way", f.WAYS)
def test_f27_a_repr_that_panics(way: str) -> None:
    """It shows as `<unreprable T>`, and the run goes on, in every mode."""
    with f.manager_of(fail_on_odd, way, logger=TaskLogger(format="{message}")) as manager:
        summary = manager.start([Frame(n) for n in range(6)])
    (log,) = Path("logs").iterdir()

    assert (3, 3) == (summary.succeeded, summary.failed)
    text = log.read_text()

    assert 3 == len(re.findall(r"failed after 1 attempt: <unreprable Frame>: ValueError", text))
    assert "s: <unreprable Frame>" in text


@pytest.mark.parametrize("chain_mode", ["serial", "thread", "process"])
def test_f27_a_repr_that_panics_in_a_chain(chain_mode: str) -> None:
    """The note on an error shows the task, also where there is no log."""
    chain = TaskChain([f.stage(fail_on_odd), f.stage(f.plus_one)], chain_mode)
    summary = chain.start_chain([Frame(n) for n in range(6)])
    errors = chain.get_final_error_dict().values()

    assert (3, 3) == (summary.succeeded, summary.failed)
    assert all("<unreprable Frame>" in "".join(error.__notes__) for error in errors)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Frame(1), "<unreprable Frame>"),
        ([Frame(1), 2], "[<unreprable Frame>, 2]"),
        ({"a": Frame(1)}, "{'a': <unreprable Frame>}"),
        (Nameless(), "<unreprable Nameless>"),
        ([Nameless()], "[<unreprable Nameless>]"),
        (PanickingError(), "<unreprable PanickingError>"),
        (Saying(Text("short")), "short"),
        (Saying(Text("x" * 1000)), "x" * (LONGEST - 3) + "..."),
    ],
    ids=["object", "list", "dict", "no name", "no name inside", "error", "hostile text", "long text"],
)
def test_f27_whatever_a_repr_does(value: Any, text: str) -> None:
    """Its object is named by its real type, and what is around it is shown."""
    assert text == short_repr(value)


def test_f27_a_type_of_a_known_name_is_shown_by_its_own_repr() -> None:
    """A class of the user's that is called `dict` is none."""
    other = type("dict", (), {"__repr__": lambda self: "mine"})

    assert "mine" == short_repr(other())
    assert "[mine]" == short_repr([other()])


@pytest.mark.parametrize("error", [PanickingError(), Told(Text("said")), Told(7)])
def test_f27_an_error_has_a_text_whatever_it_says(error: Exception) -> None:
    """For a warning: at least the name of its type."""
    assert text_of(error).startswith(f"{__name__}.{type(error).__name__}")


def test_f27_names_that_raise() -> None:
    """A type and a function have a name for the log, whatever becomes of theirs."""
    assert ("Nameless", "Nameless") == (type_name(Nameless), name_of(Nameless()))
    assert ("fail_on_odd", "PanicException") == (name_of(fail_on_odd), name_of(PanicException()))


def test_f27_a_function_of_a_type_without_a_name() -> None:
    """It is called by the real name of its type, in the log and in messages."""

    class Function(metaclass=Meta):
        def __call__(self, task: int) -> int:
            return task

    with TaskManager(Function(), logger=TaskLogger(format="{message}")) as manager:
        summary = manager.start([1, 2])
    (log,) = Path("logs").iterdir()

    assert 2 == summary.succeeded
    assert re.match(r"Function\[\d+\]: run begins", log.read_text())
    assert "<TaskManager Function in serial mode>" == repr(manager)


def test_f27_an_interrupt_is_no_broken_repr() -> None:
    """A Ctrl-C while an error or a name is shown is raised."""

    class Interrupted(Exception):
        def __str__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        text_of(Interrupted())


# ------------------------------------------------------------------ F34: what forges

CONTROLS = [chr(n) for n in (*range(0x20), *range(0x7F, 0xA0))]
LINES = ["\u2028", "\u2029", "\r\n"]
TURNS = [
    "\u200e",
    "\u200f",
    "\u061c",
    *map(chr, range(0x202A, 0x202F)),
    *map(chr, range(0x2066, 0x206A)),
]
OTHERS = ["\ufeff", "\u00ad", "\U000e0041", "\udc80", "\ufff9"]
HOSTILE = [*CONTROLS, *LINES, *TURNS, *OTHERS]


def harmless(text: str) -> bool:
    """One line of characters that are seen."""
    bad = {"Cc", "Cs", "Zl", "Zp"}
    return [text] == text.splitlines() and not any(
        unicodedata.category(char) in bad or char in TURNS for char in text
    )


@pytest.mark.parametrize("bad", HOSTILE, ids=ascii)
def test_f34_text_is_one_harmless_line(bad: str) -> None:
    """Whatever controls are in it: they are seen as escapes, and a break is a space."""
    text = one_line(f"a{bad}b")

    assert harmless(text)
    assert text in ("a b", f"a{bad.encode('unicode_escape').decode()}b")
    assert harmless(short_repr(Saying(f"a{bad}b")))
    assert harmless(text_of(Told(f"a{bad}b")))


@pytest.mark.parametrize(
    "text",
    ["plain", "日本語", "a\u3000b", "été\xa0!", "👩\u200d💻", "می\u200cخواهم", "\\x1b", "<red>{0}", ""],
)
def test_f34_harmless_text_stays_as_it_is(text: str) -> None:
    """Any script, wide spaces, and the joiners that emoji and some scripts are written with."""
    assert text == one_line(text)


def test_f34_escapes_are_bounded_too() -> None:
    """What grows when it is made visible is still cut."""
    assert 4 * LONGEST >= len(short_repr([Saying("\x1b" * LONGEST)] * 10))


def forge(task: Any) -> Any:
    if task.text.startswith("fail"):
        raise Told(task.text)
    return task


forge.__name__ = "for\ng\x1b[31me"


@pytest.mark.parametrize("chain", [False, True])
def test_f34_no_task_forges_a_line_of_the_log(chain: bool) -> None:
    """Nor does an error, or the name of a function: every line begins as ours do, or is indented."""
    tasks = [Saying(f"{word}{bad}{bad}ERROR | forged") for bad in HOSTILE for word in ("ok", "fail")]
    log = TaskLogger(format="ours|{level}|{message}", level="DEBUG")
    manager = TaskManager(forge, logger=log, deduplicate=False)
    if chain:
        summary = TaskChain([manager]).start_chain(tasks)
    else:
        summary = manager.start(tasks)
    (path,) = Path("logs").iterdir()
    text = path.read_bytes().decode("utf-8")

    assert (len(HOSTILE), len(HOSTILE)) == (summary.succeeded, summary.failed)
    assert all(harmless(line) for line in text.split("\n")[:-1])
    assert all(line.startswith(("ours|", "    ")) for line in text.split("\n")[:-1])


def test_f34_nor_in_a_log_of_the_users() -> None:
    """The records that a logger of the user's gets are harmless lines as well."""
    heard: list[str] = []
    handler = loguru.logger.add(lambda message: heard.append(str(message)), format="{message}", level=0)
    try:
        with TaskManager(forge, logger=TaskLogger(logger=loguru.logger)) as manager:
            manager.start([Saying("ok\x1b[2J\u2028"), Saying("fail\x1b[2J")])
    finally:
        loguru.logger.remove(handler)

    assert heard
    assert all(harmless(line) for record in heard for line in record.removesuffix("\n").split("\n"))


def test_f34_what_the_bar_calls_the_work_is_one_line() -> None:
    """The name of the work does not tear the bar."""
    file = io.StringIO()
    with ProgressManager(total=1, desc="two\nlines\x1b[2J", file=file) as progress:
        progress.update()

    assert "two lines\\x1b[2J: " in file.getvalue()
    assert "\x1b[2J" not in file.getvalue()


def test_f34_the_warning_of_a_log_that_failed_is_one_line() -> None:
    """Whatever the error of the log says."""

    class BadObserver:
        name = "log"

        def observe(self, event: Event) -> None:
            raise Told("two\nlines\x1b[2J")

    with warnings.catch_warnings(record=True, action="always") as warned:
        Recorder([], [BadObserver()]).record(RunBegan(1))

    assert [f"which goes on: {__name__}.Told: two lines\\x1b[2J"] == [
        re.sub(".*(which goes)", r"\1", str(warning.message)) for warning in warned
    ]
