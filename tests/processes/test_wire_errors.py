"""How errors cross from process to process, their tracebacks, types and texts."""

from __future__ import annotations

import enum
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from email.message import Message
from fractions import Fraction
from typing import Any, Self
from urllib.error import HTTPError

import httpx
import pytest

from functions import Guarded, TwoArguments, Unprintable
from task_manager import TransportError
from task_manager._processes.wire import (
    ErrorCell,
    WorkerTraceback,
    dumps,
    loads,
    message_of,
    pack_failure,
    qualified_name,
    unpack_failure,
)
from task_manager._signals import HeldSignals
from task_manager._task import Failure


@pytest.fixture(autouse=True)
def in_a_run(request: pytest.FixtureRequest) -> Iterator[None]:
    """Where it is known what a signal's handler has raised; an interrupt is tried outside of one."""
    with ExitStack() as stack:
        if "interrupt" not in request.node.name:
            stack.enter_context(HeldSignals().held())
        yield


def httpx_error() -> httpx.HTTPStatusError:
    request = httpx.Request("GET", "http://x/y")
    response = httpx.Response(502, request=request, content=b"hi")
    return httpx.HTTPStatusError("bad", request=request, response=response)


class RaisesAtUnpickle:
    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __reduce__(self) -> Any:
        return _raise, (self.error,)


def _raise(error: type[BaseException]) -> Any:
    raise error


class Size(enum.IntEnum):
    SMALL = 1


def raised(call: Callable[[], Any]) -> BaseException:
    try:
        call()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def there_and_back(error: BaseException) -> Failure:
    """The failure of a call that raised this, after its way through a pipe."""
    cell = pack_failure(Failure(raised(lambda: _raise(error)), type(error)))  # type: ignore[arg-type]
    return unpack_failure(ErrorCell(*loads(dumps(tuple(cell)))))


# ------------------------------------------------------------------ errors


class Local(Exception):
    """With fields of its own."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.field = [message]


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no", 3),
        KeyError("a"),
        OSError(2, "not there"),
        Local("text"),
        SystemExit(3),
        Exception(),
        KeyboardInterrupt(),
        GeneratorExit(),
        StopIteration(5),
        TransportError("argument", "a.B", "no"),
    ],
    ids=repr,
)
def test_an_error_arrives_as_it_was_raised(error: BaseException) -> None:
    """F4, F5: the same type, arguments and fields, with its traceback in the worker as the cause."""
    error.add_note("a note")
    arrived, kind = there_and_back(error)

    assert (type(error), error.args, vars(error)) == (type(arrived), arrived.args, vars(arrived))
    assert type(error) is kind
    assert WorkerTraceback is type(arrived.__cause__)


def test_a_traceback_shows_where_an_error_was_raised() -> None:
    """F5: the source line in the worker and every `raise ... from`, where tracebacks are printed."""

    def fail() -> None:
        try:
            {}["the cause"]
        except KeyError as error:
            raise ValueError("the effect") from error

    error = raised(fail)
    arrived, _ = unpack_failure(pack_failure(Failure(error, type(error))))
    text = "".join(traceback.format_exception(arrived))

    assert 'raise ValueError("the effect") from error' in text
    assert "KeyError: 'the cause'" in text
    assert text.rstrip().endswith("ValueError: the effect")


def test_an_error_that_refuses_assignments_has_its_traceback() -> None:
    """As a frozen dataclass does; the worker's traceback is its cause all the same."""
    try:
        raise Guarded("no")
    except Guarded as error:
        arrived, _ = unpack_failure(pack_failure(Failure(error, Guarded)))

    assert Guarded is type(arrived)
    assert isinstance(arrived.__cause__, WorkerTraceback)


def test_a_worker_traceback_stands_apart_from_the_other_one() -> None:
    """It is shown between quotes, on lines of its own."""
    assert '\n"""\nTraceback ...\n"""' == str(WorkerTraceback("Traceback ...\n"))


class UnpicklableError(Exception):
    def __reduce__(self) -> Any:
        raise TypeError("will not be pickled")


class ExitingError(Exception):
    def __reduce__(self) -> Any:
        raise SystemExit


class RefusingError(Exception):
    """Its unpickling fails."""

    def __reduce__(self) -> Any:
        return _raise, (ValueError,)


class LeavingError(Exception):
    """Its unpickling ends the process."""

    def __reduce__(self) -> Any:
        return _raise, (SystemExit,)


class TurncoatError(Exception):
    """Arrives as something that is no exception."""

    def __reduce__(self) -> Any:
        return str, ("no exception",)


class SaysItsLockError(Exception):
    """Says something else without what it holds."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()

    def __str__(self) -> str:
        return "its lock" if self.lock else "no lock"


class LoudError(Exception):
    """Raises where it is asked for what it has not, as long as its constructor has not run."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        if self.lock is None:
            raise LookupError(name)
        raise AttributeError(name)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (UnpicklableError("text"), "text"),
        (ExitingError("text"), "text"),
        (ValueError("holds", threading.main_thread()), f"('holds', {threading.main_thread()!r})"),
        (SaysItsLockError(), "its lock"),
        (LoudError("text"), "text"),
        (RefusingError("text"), "text"),
        (LeavingError("text"), "text"),
        (TurncoatError("text"), "text"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_that_cannot_travel_is_named(error: Exception, message: str) -> None:
    """F4: a TransportError with its type's name, its message and its traceback; its type decides."""
    arrived, kind = there_and_back(error)

    assert isinstance(arrived, TransportError)
    assert ("error", qualified_name(type(error)), message) == (
        arrived.what,
        arrived.type_name,
        arrived.message,
    )
    assert "raise error" in arrived.traceback
    assert type(error) is kind


# ------------------------------------------------------------------ constructors of their own


class Status(ConnectionError):
    """As those of clients: pickle cannot call its constructor, and it holds a connection."""

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code
        self.connection = threading.Lock()
        self.filename = "a field of OSError"


class Prefixed(Exception):
    """pickle would put the prefix in front of it twice."""

    def __init__(self, text: str) -> None:
        super().__init__(f"api: {text}")


class Slotted(Exception):
    """Keeps what it has in slots."""

    __slots__ = ("code", "never_set")

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Group(ExceptionGroup[Exception]):
    """With a constructor that takes what the group is made of apart."""

    def __new__(cls, message: str, errors: list[Exception]) -> Self:
        return super().__new__(cls, message, errors)

    def __init__(self, message: str, errors: list[Exception]) -> None:
        self.lock = threading.Lock()


class Decoding(UnicodeDecodeError):
    """All that it says stands in fields of Python's."""

    def __init__(self, line: int) -> None:
        super().__init__("utf-8", b"\xff", 0, 1, f"in line {line}")


@pytest.mark.parametrize(
    ("error", "fields"),
    [
        (TwoArguments(404, "not found"), {}),
        (Status("busy", code=503), {"code": 503, "filename": "a field of OSError", "connection": None}),
        (Prefixed("no"), {}),
        (Slotted(7, "no"), {"code": 7}),
        (Group("both", [ValueError("a"), KeyError("b")]), {"message": "both", "lock": None}),
        (Decoding(5), {"encoding": "utf-8", "object": b"\xff", "reason": "in line 5"}),
        (
            HTTPError("http://x", 404, "Not Found", Message(), None),
            {"code": 404, "filename": "http://x"},
        ),
        (httpx_error(), {}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_arrives_whole_whatever_its_constructor_wants(
    error: BaseException, fields: dict[str, Any]
) -> None:
    """F4: it says the same and is caught by its type, so that `except HTTPError` works."""
    text, args = str(error), error.args
    arrived, kind = there_and_back(error)

    assert (type(error), type(error)) == (type(arrived), kind)
    assert (text, repr(args)) == (str(arrived), repr(arrived.args))
    assert fields == {name: getattr(arrived, name) for name in fields}
    assert "raise error" in "".join(traceback.format_exception(arrived))
    again = unpack_failure(pack_failure(Failure(arrived, kind))).error
    assert (type(error), text) == (type(again), str(again))


def test_an_open_response_stays_behind() -> None:
    """As that of a real HTTPError: it is None, a note says so, and all else is there."""
    with socket.socket() as closed:
        closed.listen()
        fp = closed.makefile("rb")
        error = HTTPError("http://x", 503, "Busy", Message(), fp)
        arrived, _ = there_and_back(error)
        fp.close()

    assert isinstance(arrived, HTTPError)
    assert (503, "Busy", "HTTP Error 503: Busy") == (arrived.code, arrived.reason, str(arrived))
    assert None is arrived.fp
    assert any("fp are None here" in note for note in arrived.__notes__)


def test_a_response_comes_along_where_it_can() -> None:
    """As that of httpx, whose error wants two arguments by keyword."""
    arrived, _ = there_and_back(httpx_error())

    assert isinstance(arrived, httpx.HTTPStatusError)
    assert (502, b"hi") == (arrived.response.status_code, arrived.response.content)


def test_errors_from_the_same_lines_share_their_traceback() -> None:
    """Where Python prints a group of them, it prints these lines once, and of each what it says."""
    errors = [there_and_back(ValueError(f"no. {n}")).error for n in range(15)]
    text = "".join(traceback.format_exception(ExceptionGroup("all", errors)))  # type: ignore[type-var]

    assert (1, 1) == (text.count("raise error"), len({id(error.__cause__) for error in errors}))
    assert all(f"ValueError: no. {n}\n" in text for n in range(15))


def test_an_error_that_goes_on_keeps_the_traceback_it_came_with() -> None:
    """From a worker of a stage to the stage, and from there to us: once, and not within another one."""
    first, kind = there_and_back(ValueError("no"))
    second = unpack_failure(pack_failure(Failure(first, kind))).error

    assert str(first.__cause__) == str(second.__cause__)
    assert 1 == str(second.__cause__).count("Traceback (most recent call last)")


def test_an_error_of_a_type_that_cannot_travel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """F4: the parent cannot know the type, so the TransportError's own decides on a retry."""
    monkeypatch.setitem(sys.modules, "cloudpickle", None)

    class Inner(ConnectionError):
        pass

    arrived, kind = there_and_back(Inner("text"))

    assert isinstance(arrived, TransportError)
    assert arrived.type_name.endswith(".<locals>.Inner")
    assert TransportError is kind
    assert "pip install cloudpickle" in arrived.traceback


def test_an_error_of_a_local_type_travels_through_cloudpickle() -> None:
    """With what it holds, and as one of the very type that is known here."""

    class Inner(ConnectionError):
        pass

    error = Inner("text")
    vars(error)["again"] = lambda: 7
    arrived, kind = there_and_back(error)

    assert (Inner, Inner, "text") == (type(arrived), kind, str(arrived))
    assert 7 == vars(arrived)["again"]()


def test_an_error_without_a_text_arrives() -> None:
    """F4: an exception whose __str__ fails harms nothing."""
    arrived, kind = there_and_back(Unprintable())

    assert (Unprintable, Unprintable) == (type(arrived), kind)


def test_an_error_whose_traceback_cannot_be_formatted_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the traceback, and without a cause that would show an empty one."""

    def refuse(*error: Any, **options: Any) -> list[str]:
        raise RuntimeError("a broken __notes__, in some versions of Python")

    monkeypatch.setattr("traceback.TracebackException", refuse)
    arrived, kind = there_and_back(KeyError("text"))

    assert (KeyError, ("text",), None) == (type(arrived), arrived.args, arrived.__cause__)
    assert KeyError is kind


@pytest.mark.parametrize("kind", [None, b"no pickle", dumps(5), dumps(int)])
def test_an_error_whose_type_was_lost_goes_by_its_own(kind: bytes | None) -> None:
    """Where the pickle of the type does not give a type of exceptions."""
    failure = unpack_failure(ErrorCell(dumps(KeyError("a")), kind, "KeyError", "'a'", ""))

    assert (KeyError, KeyError) == (type(failure.error), failure.kind)


def test_an_interrupt_while_unpickling_an_error_is_raised() -> None:
    """F9: a Ctrl-C in the parent is no task's error."""
    with pytest.raises(KeyboardInterrupt):
        unpack_failure(ErrorCell(dumps(RaisesAtUnpickle(KeyboardInterrupt)), None, "E", "", ""))


# ------------------------------------------------------------------ names and texts


@pytest.mark.parametrize(
    ("kind", "name"),
    [(ValueError, "ValueError"), (Fraction, "fractions.Fraction"), (Size, f"{__name__}.Size")],
)
def test_types_are_named_with_their_module(kind: type, name: str) -> None:
    """Unless they are builtins."""
    assert name == qualified_name(kind)


def test_a_type_of_the_script_is_named_as_the_script_names_it() -> None:
    """Also in a worker, which knows the script by another name."""
    kind = type("Mine", (Exception,), {"__module__": "__mp_main__"})

    assert "__main__.Mine" == qualified_name(kind)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no"), "no"),
        (ValueError(), ""),
        (Unprintable(), "<Unprintable without a text: its __str__ failed>"),
    ],
)
def test_an_error_has_a_text_at_any_rate(error: BaseException, text: str) -> None:
    """F4: also one whose __str__ fails."""
    assert text == message_of(error)


def test_a_text_that_exits_harms_nothing() -> None:
    """F4: whatever __str__ raises."""

    class Exits(Exception):
        def __str__(self) -> str:
            raise SystemExit

    assert "<Exits without a text: its __str__ failed>" == message_of(Exits())
