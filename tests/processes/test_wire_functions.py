"""How functions cross from process to process: by name, by value, or not at all."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.machinery import ModuleSpec
from typing import Any

import pytest

from task_manager import ConfigurationError
from task_manager._processes.wire import (
    loads,
    pack_object,
)
from task_manager._signals import HeldSignals


@pytest.fixture(autouse=True)
def in_a_run(request: pytest.FixtureRequest) -> Iterator[None]:
    """Where it is known what a signal's handler has raised; an interrupt is tried outside of one."""
    with ExitStack() as stack:
        if "interrupt" not in request.node.name:
            stack.enter_context(HeldSignals().held())
        yield


def triple(x: int) -> int:
    return x * 3


class Refusing:
    """Neither pickle nor cloudpickle can take it."""

    def __reduce__(self) -> Any:
        raise TypeError("will not be pickled")

    def __repr__(self) -> str:
        return "<refusing>"


@pytest.mark.parametrize("func", [triple, lambda x: x * 3, (lambda n: lambda x: x * n)(3)])
@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_a_function_crosses(func: Any, start_method: str) -> None:
    """By its name where it has one, and by its code where it is a lambda or a closure."""
    assert 21 == loads(pack_object(func, start_method))(7)


def test_a_function_that_cannot_be_sent_is_refused_by_its_name() -> None:
    """F7: once, before any task, and the message says what stands in the way."""
    with pytest.raises(ConfigurationError) as caught:
        pack_object(Refusing(), "fork")

    assert (
        "<refusing> cannot be sent to another process: will not be pickled. "
        "What it refers to must be something that can be pickled"
    ) == str(caught.value)


def test_without_cloudpickle_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lambda needs it, a function at the top of a module does not."""
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(ConfigurationError) as caught:
        pack_object(lambda x: x, "fork")

    assert 21 == loads(pack_object(triple, "fork"))(7)
    assert "Define it at the top level of a module" in str(caught.value)
    assert "pip install 'task_manager[closures]'" in str(caught.value)


class Main:
    """What stands for `__main__`."""

    def __init__(self, spec: Any, file: str | None) -> None:
        self.__spec__ = spec
        if file is not None:
            self.__file__ = file
        self.triple = prompted


def prompted(x: int) -> int:
    return x * 3


prompted.__module__ = "__main__"


prompted.__qualname__ = "triple"


@pytest.mark.parametrize(
    ("spec", "file", "start_method", "by_value"),
    [
        (None, None, "spawn", True),  # a prompt
        (None, "<stdin>", "spawn", True),
        (None, "<stdin>", "forkserver", True),
        (None, "<stdin>", "fork", False),  # a forked process has it
        (None, __file__, "spawn", False),  # a script: workers import it
        (ModuleSpec("package.tool", None), None, "spawn", False),  # python -m package.tool
        (ModuleSpec("package.__main__", None), None, "spawn", True),  # python -m package
    ],
)
def test_a_function_from_a_prompt_crosses_by_value(
    spec: Any, file: str | None, start_method: str, by_value: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that was not forked cannot import the `__main__` of a prompt or a notebook."""
    monkeypatch.setitem(sys.modules, "__main__", Main(spec, file))
    packed = pack_object(prompted, start_method)

    assert by_value == (b"cloudpickle" in packed)
    monkeypatch.delattr(sys.modules["__main__"], "triple")
    if by_value:
        assert 21 == loads(packed)(7)


def test_a_function_from_a_prompt_needs_cloudpickle(monkeypatch: pytest.MonkeyPatch) -> None:
    """F7: told before any task."""
    monkeypatch.setitem(sys.modules, "__main__", Main(None, None))
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(ConfigurationError, match="it was defined at a prompt, in a notebook or"):
        pack_object(prompted, "spawn")
