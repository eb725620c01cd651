"""How functions cross from process to process: by name, by value, or not at all."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from importlib.machinery import ModuleSpec
from pickle import PicklingError
from typing import Any

import pytest

from task_manager import ConfigurationError
from task_manager._processes.function import pack_object
from task_manager._processes.wire import loads, pack
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
    assert "it is a lambda" in str(caught.value)
    assert "pip install cloudpickle, which sends it by its code, or define it there" in str(caught.value)


class Crawler:
    """Holds what cannot travel, one level down."""

    def __init__(self) -> None:
        self.pages: list[int] = []
        self.tools = {"lock": threading.Lock()}

    def fetch(self, x: int) -> int:
        return x

    def __call__(self, x: int) -> int:
        return x


class HasLambda:
    def __init__(self) -> None:
        self.key = lambda x: x

    def fetch(self, x: int) -> int:
        return x


def over(part: Any) -> Any:
    def inner(x: int) -> Any:
        return part and x

    return inner


LOCK = threading.Lock()
IN_WORKER = "Make it in the worker, when it is first needed"
LOCKED = {
    "a method": (lambda: Crawler().fetch, "`Crawler.fetch` cannot", "`self.tools['lock']`"),
    "an object": (Crawler, "Crawler object at", "`self.tools['lock']`"),
    "a partial": (lambda: partial(triple, LOCK), "functools.partial(", "`args[0]`"),
    "a partial's name": (lambda: partial(triple, x=LOCK), "functools.partial(", "`keywords['x']`"),
    "a closure": (lambda: over(LOCK), "`over.inner` cannot", "`part`"),
    "within a closure": (lambda: over(Crawler()), "`over.inner` cannot", "`part.tools['lock']`"),
}


@pytest.mark.parametrize(("make", "which", "culprit"), LOCKED.values(), ids=LOCKED)
@pytest.mark.parametrize("installed", [True, False], ids=["cloudpickle", "without"])
def test_what_holds_a_lock_is_told_which_attribute(
    make: Any, which: str, culprit: str, installed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F7: and what to do about it; to install something would be no help."""
    if not installed:
        monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(ConfigurationError) as caught:
        pack_object(make(), "spawn")
    said = str(caught.value)

    assert which in said
    assert f"{culprit} is a _thread.lock, which cannot travel (cannot pickle '_thread.lock'" in said
    assert IN_WORKER in said
    assert said.endswith("or use execution_mode='thread'")
    assert ("`__getstate__`" in said) == culprit.startswith("`self.")
    assert "pip install" not in said


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda: over(1), "it is defined inside a function (over.<locals>.inner)"),
        (lambda: HasLambda().fetch, "`self.key` is a lambda"),
        (lambda: partial(triple, lambda: 1), "`args[0]` is a lambda"),
    ],
)
def test_without_cloudpickle_it_is_told_what_needs_it(
    make: Any, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F7: the very part, and no advice about locks."""
    assert pack_object(make(), "spawn")
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    with pytest.raises(ConfigurationError) as caught:
        pack_object(make(), "spawn")

    assert found in str(caught.value)
    assert "pip install cloudpickle" in str(caught.value)
    assert IN_WORKER not in str(caught.value)


def test_cloudpickle_is_asked_only_where_pickle_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What pickle takes costs nothing more, and arrives as it would without cloudpickle."""
    monkeypatch.setitem(sys.modules, "cloudpickle", None)

    assert [1, {"a": Crawler}] == loads(pack([1, {"a": Crawler}]))
    with pytest.raises(PicklingError, match="pip install cloudpickle"):
        pack([over(1)])
    with pytest.raises(TypeError) as caught:
        pack([LOCK])
    assert "pip install" not in str(caught.value)


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
