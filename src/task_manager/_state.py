"""What a worker makes before its first call, and cleans up after its last: `worker_state`.

     set_up ──▶ State.value ──▶ the first argument of every call ──▶ State.clean_up

In the worker itself: its thread, its process.  That of an event loop is awaited, and has a module of its
own in `_runners`.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any

from ._call import failure_of
from ._platform import end_a_copy, this_process
from ._repr import name_of
from ._signals import let_through
from ._warning import warn
from .errors import WorkerStartError

Maker = Callable[[], Any]

TIME_TO_CLEAN_UP = 10.0  # seconds that closing a runner waits, all together, for clean-ups to end


async def _nothing() -> AsyncGenerator[None, None]:
    yield


# What functions with these decorators return, and generator functions do not.
_CONTEXTS = (type(contextmanager(lambda: iter(()))()), type(asynccontextmanager(_nothing)()))

# A state that nobody holds any more, as in a forked copy of its process, would clean up all the same,
# since that is what happens to a generator: a connection of its parent's would be closed.
_open: set[State] = set()


class State:
    """Of one worker. value: What its calls are given."""

    __slots__ = ("_generator", "_home", "_name", "value")

    def __init__(self, name: str, value: Any, generator: Generator[Any, Any, Any] | None) -> None:
        self.value = value
        self._name = name
        self._generator = generator
        self._home = this_process()
        if generator is not None:
            _open.add(self)

    def clean_up(self) -> str:
        """What is wrong with the clean-up, "" if nothing is. Twice is once."""
        if self._home is not this_process():  # and the generator is not let go of either: see `_open`
            return ""
        generator, self._generator, self.value = self._generator, None, None
        if generator is None:
            return ""
        try:
            next(generator)
        except StopIteration:
            return ""
        except BaseException as error:
            let_through(error)
            return said_of_clean_up(self._name, error)
        else:
            return yielded_twice(self._name, generator.close)
        finally:
            end_a_copy(self._home)
            _open.discard(self)


def set_up(make: Maker) -> State:
    """Make the state of a worker, in that worker. Raises WorkerStartError where it cannot be made."""
    name, home = name_of(make), this_process()
    generator: Generator[Any, Any, Any] | None = None
    try:
        value = make()
        if has_clean_up(make):
            generator = value
            value = next(value)
    except BaseException as error:
        end_a_copy(home, error)
        let_through(error)
        raise failed(name, error, generator is not None)  # noqa: B904 - it has its cause
    end_a_copy(home)
    if type(value) is CoroutineType:
        value.close()
        raise WorkerStartError(
            f"worker_state={name} returned a coroutine, which nothing awaits: in async mode give the"
            " coroutine function itself, or functools.partial of it; in other modes a plain function"
        )
    if generator is None and type(value) in (GeneratorType, AsyncGeneratorType):
        raise WorkerStartError(
            f"worker_state={name} returned a generator, which nothing advances: give the generator"
            " function itself, or functools.partial of it"
        )
    if issubclass(type(value), _CONTEXTS):
        raise WorkerStartError(
            f"worker_state={name} returned a context manager, which nothing enters: leave the decorator"
            " @contextmanager out, as a generator function is cleaned up after its yield"
        )
    return State(name, value, generator)


def has_clean_up(make: Maker) -> bool:
    """Whether it is a generator function, plain or async."""
    call = getattr(make, "__call__", None)  # noqa: B004
    return any(
        question(one)
        for question in (inspect.isgeneratorfunction, inspect.isasyncgenfunction)
        for one in (make, call)
    )


def failed(name: str, error: BaseException, generates: bool) -> WorkerStartError:
    """What to raise where the set-up has. generates: It is a generator that has begun."""
    if generates and issubclass(type(error), StopIteration | StopAsyncIteration):
        return WorkerStartError(
            f"worker_state={name} yielded nothing: a generator function is to yield the state once"
        )
    failure = WorkerStartError(f"worker_state={name} raised {_said(error)}")
    failure.__cause__ = failure_of(error).error
    return failure


def said_of_clean_up(name: str, error: BaseException) -> str:
    return f"the clean-up of worker_state={name} raised {_said(failure_of(error).error)}"


def yielded_twice(name: str, close: Callable[[], object]) -> str:
    """Of a generator that has yielded where it should have cleaned up. close: Ends it."""
    try:
        close()
    except BaseException as error:
        let_through(error)
        return said_of_clean_up(name, error)
    return f"worker_state={name} yielded twice: what follows its one yield is the clean-up"


def _said(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:
        text = ""
    kind = type(error).__name__
    return f"{kind}: {text}" if text else kind


class CleanUps:
    """Tells once, of all workers of a runner, that a clean-up has failed."""

    def __init__(self) -> None:
        self._told = False

    def tell(self, wrong: str) -> None:
        """wrong: As `State.clean_up` says."""
        if wrong and not self._told:
            self._told = True
            warn(f"{wrong}. No result is lost")

    def late(self, name: str) -> None:
        """One takes too long. name: Of the function."""
        self.tell(f"the clean-up of worker_state={name} has not ended after {TIME_TO_CLEAN_UP:g} s")
