"""By what name a journal knows a function: the same at every start, another one for another function."""

from __future__ import annotations

import functools
import operator
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy
import pytest

from task_manager import JournalError
from task_manager._journal.functions import name_in_journal

HERE = __name__


def fetch(task: Any) -> Any:
    return task


async def fetch_later(task: Any) -> Any:
    return task


@functools.lru_cache
def cached(task: Any) -> Any:
    return task


@functools.wraps(fetch)
def wrapped(*args: Any) -> Any:
    return fetch(*args)


class Client:
    def get(self, task: Any) -> Any:
        return task

    @classmethod
    def make(cls, task: Any) -> Any:
        return task

    @staticmethod
    def plain(task: Any) -> Any:
        return task

    def __call__(self, task: Any) -> Any:
        return task


class Other(Client):
    pass


class Odd:
    """Answers anything with an error."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __call__(self, task: Any) -> Any:
        return task


def nested() -> Callable[..., Any]:
    def inner(task: Any) -> Any:
        return task

    return inner


@pytest.mark.parametrize(
    ("func", "name"),
    [
        (fetch, f"{HERE}:fetch"),
        (fetch_later, f"{HERE}:fetch_later"),
        (cached, f"{HERE}:cached"),
        (wrapped, f"{HERE}:fetch"),
        (functools.partial(functools.partial(fetch), 1), f"{HERE}:fetch"),
        (Client().get, f"{HERE}:Client.get"),
        (Other().get, f"{HERE}:Other.get"),
        (functools.partial(Other().get), f"{HERE}:Other.get"),
        (Other.make, f"{HERE}:Other.make"),
        (Client.plain, f"{HERE}:Client.plain"),
        (Client.get, f"{HERE}:Client.get"),
        (Client(), f"{HERE}:Client"),
        (Odd(), f"{HERE}:Odd"),
        (Client, f"{HERE}:Client"),
        (nested(), f"{HERE}:nested.<locals>.inner"),
        (len, "builtins:len"),
        (time.sleep, "time:sleep"),
        (int, "builtins:int"),
        ("-".join, "builtins:str.join"),
        (operator.itemgetter(1), "operator:itemgetter"),
        (Mock(), "unittest.mock:Mock"),
    ],
    ids=lambda value: value if type(value) is str else "",
)
def test_a_function_has_its_module_and_its_qualified_name(func: Any, name: str) -> None:
    """Of a partial that of its function, of a method that of its object's class and its own."""
    assert name == name_in_journal(func)


def test_a_function_of_an_extension_has_a_name() -> None:
    """Though it is an object of a class of its own."""
    assert name_in_journal(numpy.sqrt).endswith(":sqrt")


@pytest.mark.parametrize("func", [lambda task: task, functools.partial(lambda task: task)])
def test_a_lambda_has_no_name(func: Any) -> None:
    """Two of one module could not be told apart."""
    with pytest.raises(JournalError) as caught:
        name_in_journal(func)

    assert "a journal knows a function by its name, and a lambda has none: define it with `def`" == str(
        caught.value
    )


SCRIPT = """
from task_manager._journal.functions import name_in_journal

def fetch(task): ...

class Client:
    def get(self, task): ...

if __name__ == "__main__":
    print(name_in_journal(fetch), name_in_journal(Client().get), name_in_journal(Client()))
"""


def test_a_script_that_is_piped_in_has_no_name() -> None:
    """As at a prompt."""
    done = subprocess.run([sys.executable], input=SCRIPT, capture_output=True, text=True, check=True)

    assert "__main__:fetch __main__:Client.get __main__:Client\n" == done.stdout


@pytest.mark.parametrize(
    ("command", "module"),
    [
        (["crawl.py"], "crawl"),
        (["./crawl.py"], "crawl"),
        (["-m", "crawl"], "crawl"),
        (["-m", "package.crawl"], "package.crawl"),
        (["-m", "package"], "package.__main__"),
        (["-m", "cProfile", "-o", "profile", "crawl.py"], "crawl"),
        (["-c", SCRIPT], "__main__"),
    ],
    ids=lambda value: value if type(value) is str else "",
)
def test_a_script_has_the_name_under_which_it_is_imported(command: list[str], module: str) -> None:
    """However it is started, so that a second start finds the journal of the first."""
    Path("package").mkdir()
    for path in ("crawl.py", "package/crawl.py", "package/__main__.py"):
        Path(path).write_text(SCRIPT)
    Path("package/__init__.py").touch()
    printed = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=True
    ).stdout

    assert f"{module}:fetch {module}:Client.get {module}:Client\n" == printed
