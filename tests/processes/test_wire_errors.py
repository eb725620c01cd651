"""How errors cross from process to process, their tracebacks, types and texts."""

from __future__ import annotations

import enum
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from typing import Any

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


class HoldingError(Exception):
    """Its pickle fails on what it holds."""

    def __init__(self) -> None:
        super().__init__("holds a lock")
        self.lock = threading.Lock()


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


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (UnpicklableError("text"), "text"),
        (ExitingError("text"), "text"),
        (HoldingError(), "holds a lock"),
        (RefusingError("text"), "text"),
        (LeavingError("text"), "text"),
        (TurncoatError("text"), "text"),
        (TwoArguments(404, "not found"), "404 not found"),
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

    def refuse(error: BaseException) -> list[str]:
        raise RuntimeError("a broken __notes__, in some versions of Python")

    monkeypatch.setattr("traceback.format_exception", refuse)
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
