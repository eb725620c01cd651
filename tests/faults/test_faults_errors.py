"""Errors whose own class refuses: notes, text, name and class raise what is no Exception. F27."""

from __future__ import annotations

from typing import Any

import pytest

import functions as f
from task_manager import GetArgsError, ProcessResultError, TaskChain, TaskManager


class PanicException(BaseException):
    """As extensions in Rust raise it."""


def panic(*_: Any) -> Any:
    raise PanicException


class Nameless(type):
    def __getattribute__(cls, name: str) -> Any:
        if name in ("__name__", "__qualname__"):
            panic()
        return super().__getattribute__(name)


class NotesPanic(Exception):
    __notes__ = property(panic)


class AddNotePanics(Exception):
    add_note = panic


class TextPanics(Exception):
    __str__ = __repr__ = panic


class ClassPanics(Exception):
    __class__ = property(panic)  # type: ignore[assignment]


class NamePanics(Exception, metaclass=Nameless):
    pass


class AllPanics(Exception):
    def __getattribute__(self, name: str) -> Any:
        panic()


KINDS = [NotesPanic, AddNotePanics, TextPanics, ClassPanics, NamePanics, AllPanics]
by_kind = pytest.mark.parametrize("kind", range(len(KINDS)), ids=lambda n: type.__repr__(KINDS[n])[8:-2])


def raise_on_odd(kind: int, n: int) -> int:
    if n % 2:
        raise KINDS[kind](n)
    return n


class ArgsRefuse(TaskManager):
    def get_args(self, task: Any) -> Any:
        return (raise_on_odd(*task),)


class ResultRefuses(TaskManager):
    def process_result(self, task: Any, result: Any) -> Any:
        return raise_on_odd(*task)


@by_kind
@pytest.mark.parametrize("way", ["serial", "thread", "async", "fork"])
def test_f27_an_error_whose_class_refuses(way: str, kind: int) -> None:
    """It is the error of its task, and the run goes on."""
    with f.manager_of(raise_on_odd, way) as manager:
        summary = manager.start([(kind, n) for n in range(6)])

    assert (3, 3) == (summary.succeeded, summary.failed)


@by_kind
@pytest.mark.parametrize("chain_mode", ["serial", "thread", "process"])
def test_f27_in_a_chain_an_error_whose_class_refuses(chain_mode: str, kind: int) -> None:
    """The same in a stage."""
    chain = TaskChain([f.stage(raise_on_odd), f.stage(f.plus_one)], chain_mode)
    summary = chain.start_chain([(kind, n) for n in range(6)])

    assert (3, 3) == (summary.succeeded, summary.failed)


@by_kind
@pytest.mark.parametrize(
    ("cls", "error"), [(ArgsRefuse, GetArgsError), (ResultRefuses, ProcessResultError)]
)
def test_f27_a_hook_whose_error_refuses(cls: Any, error: type[Exception], kind: int) -> None:
    """The task's error says which hook, and at least the name of what it raised."""
    with cls(f.same if cls is ArgsRefuse else f.add, logger=None) as manager:
        summary = manager.start([(kind, n) for n in range(6)])
        errors = manager.get_error_dict().values()

    assert (3, 3) == (summary.succeeded, summary.failed)
    assert {error} == {type(one) for one in errors}
    assert all(type.__repr__(KINDS[kind]).split(".")[-1][:-2] in str(one) for one in errors)
