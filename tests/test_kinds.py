"""What an error is called, and where in the user's code it came from."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from task_manager import TaskManager, TransportError
from task_manager._kinds import Kind, kind_of

LINE = '  File "forged.py", line 1, in forged\n'


class Broken(type):
    def __getattribute__(cls, name: str) -> Any:
        raise RuntimeError(name)


class BrokenError(Exception, metaclass=Broken):
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


def fails(how: str) -> Any:
    match how:
        case "library":
            return json.loads("{")  # library
        case "group":
            raise ExceptionGroup("several", [ValueError(1), KeyError(2)])  # group
        case "cause":
            try:
                int("a")
            except ValueError as error:
                raise KeyError("k") from error  # cause
        case "depth":
            return fails(how)  # depth
        case "forged":
            raise ValueError(f"no\n\nTraceback (most recent call last):\n{LINE}")  # forged
        case "lines":
            raise ValueError(f"no\n{LINE}")  # lines
        case "dies":
            os._exit(1)


NAMES = {
    "library": "json.decoder.JSONDecodeError",
    "group": "ExceptionGroup",
    "cause": "KeyError",
    "depth": "RecursionError",
    "forged": "ValueError",
    "lines": "ValueError",
}


def place(how: str) -> str:
    """Where `fails` fails like that."""
    source = Path(__file__).read_text(encoding="utf-8").splitlines()
    (line,) = [number for number, text in enumerate(source, 1) if text.endswith(f"  # {how}")]
    return f"test_kinds.py:{line} in fails"


@pytest.mark.parametrize("mode", ["serial", "thread", "process"])
def test_the_kind_of_an_error_is_its_name_and_the_last_line_of_the_users_code(mode: str) -> None:
    """The same in every mode: not a line of a library, of a cause, or of what a message looks like."""
    with TaskManager(fails, mode, 1, logger=None) as manager:
        manager.start(NAMES)
    kinds = {how: kind_of(error) for how, error in manager.get_error_dict().items()}

    assert {how: Kind(name, place(how)) for how, name in NAMES.items()} == kinds


def test_an_error_with_no_line_of_the_users_has_the_librarys_or_no_place() -> None:
    """A library's function has its own last line, one of C and the death of a worker none."""
    kinds = []
    calls: list[tuple[Any, str, str]]
    calls = [(json.loads, "serial", "{"), (int, "serial", "a"), (fails, "process", "dies")]
    for func, mode, task in calls:
        with TaskManager(func, mode, 1, logger=None) as manager:
            manager.start([task])
        kinds.append(kind_of(manager.get_error_dict()[task]))

    assert kinds[0].place.startswith("decoder.py:")
    assert [Kind("ValueError", ""), ""] == [kinds[1], kinds[2].place]


class Processes(TaskManager):
    def process_result(self, task: Any, result: Any, /) -> Any:
        return result + "text"


def test_a_hooks_error_has_the_place_of_what_the_hook_raised() -> None:
    """The error that stands for it was raised nowhere."""
    manager = Processes(abs, logger=None)
    manager.start([1])

    assert "in process_result" in kind_of(manager.get_error_dict()[1]).place


def test_an_error_whose_class_is_broken_has_a_kind() -> None:
    """Nothing that a class makes of being asked is raised."""
    assert kind_of(BrokenError()) == Kind(f"{__name__}.BrokenError", "")


def test_an_error_that_could_not_travel_is_of_its_own_kind() -> None:
    """A TransportError in its place says what it was; one for an argument is itself."""
    lost = TransportError("error", "urllib.error.HTTPError", "HTTP Error 404: Not Found")

    assert "urllib.error.HTTPError (as a TransportError)" == kind_of(lost).name
    assert "task_manager.errors.TransportError" == kind_of(TransportError("argument", "x", "y")).name
