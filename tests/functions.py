"""What the tests run: at module level, so that a process started by any method can import it."""

from __future__ import annotations

import asyncio
import dataclasses
import faulthandler
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from task_manager import TaskChain, TaskManager

MODES = ["serial", "thread", "process", "async"]

CHAIN_MODES = ["serial", "thread", "process"]

START_METHODS = ["fork", "forkserver", "spawn"]

WAYS = ["serial", "thread", "async", *START_METHODS]
"""The modes, and process mode by every start method."""

APART = [*START_METHODS]
"""Those whose calls are made in other processes."""

DAEMONS: list[str] = []
"""Those whose processes may have no children."""

STAYING: list[str] = []
"""Those whose workers stay when the manager is closed, and have their states still."""


def options_of(way: str) -> dict[str, Any]:
    """The options of a manager that goes this way."""
    if way in START_METHODS:
        return {"execution_mode": "process", "start_method": way}
    return {"execution_mode": way}


class Awaited:
    """A plain function as a coroutine function, to be run in async mode."""

    def __init__(self, func: Callable[..., Any]) -> None:
        self.func = func
        self.__name__ = func.__name__

    async def __call__(self, *args: Any) -> Any:
        await asyncio.sleep(0)
        return self.func(*args)


def fit(func: Callable[..., Any], mode: str) -> Callable[..., Any]:
    """The function as the mode wants it."""
    return Awaited(func) if mode == "async" else func


def manager_of(
    func: Callable[..., Any], way: str, cls: type[TaskManager] = TaskManager, **options: Any
) -> TaskManager:
    """A manager that goes this way, quickly and quietly."""
    options = {"logger": None, "retry_delay": 0.0, "worker_limit": 2, **options}
    return cls(fit(func, way), **options_of(way), **options)


def stage(func: Callable[..., Any], mode: str = "serial", **options: Any) -> TaskManager:
    """A manager for a chain."""
    return TaskManager(fit(func, mode), mode, **{"logger": None, "retry_delay": 0.0, **options})


def chain_of(chain_mode: str, *funcs: Any, **options: Any) -> TaskChain:
    """A chain of a stage for each function."""
    return TaskChain([stage(func, **options) for func in funcs], chain_mode)


def same(task: Any) -> Any:
    return task


async def _later(task: Any) -> Any:
    return task


def gives_a_coroutine_of_odd(task: int) -> Any:
    """A plain function that hands out the coroutine of another."""
    return _later(task) if task % 2 else task


def nothing(task: Any) -> None:
    return None


def add(x: Any, y: Any) -> Any:
    return x + y


def plus_one(x: int) -> int:
    return x + 1


def double(x: Any) -> Any:
    return x * 2


def negate(x: int) -> int:
    return -x


def identity_of(task: Any) -> int:
    return id(task)


def die_of(name: str) -> NoReturn:
    """End this process by the signal of this name, and by nothing else: no dump of its stacks."""
    faulthandler.disable()
    os.kill(os.getpid(), getattr(signal, name))
    time.sleep(10)
    raise AssertionError("alive")


def fail_on_odd(x: int) -> int:
    if x % 2:
        raise ValueError(f"odd: {x}")
    return x


def uneven(x: int) -> int:
    """Some take long, some fail once, some fail."""
    if x % 40 == 3:
        time.sleep(0.003)
    if x % 40 == 7 and not os.path.exists(f"uneven-{x}"):
        Path(f"uneven-{x}").touch()
        raise ConnectionError(x)
    if x % 40 == 39:
        raise ValueError(x)
    return x


def counted_state(path: Path) -> Iterator[int]:
    """Leaves a mark for each that is made, and one for each that is cleaned up."""
    with path.open("a") as file:
        file.write("+")
    yield 1000
    with path.open("a") as file:
        file.write("-")


def with_state(state: int, n: int) -> int:
    return state + n


def halve_of_fours(x: int) -> int:
    if x % 4:
        raise LookupError(f"no four: {x}")
    return x // 2


def count_here(n: int) -> int:
    return count_calls("calls", n)


def again(n: int) -> int:
    time.sleep(0.001)
    return n


def fail_on_seven(x: int) -> int:
    if x == 7:
        raise ValueError("seven")
    return x


def raise_on_seven(x: int, error: type[BaseException]) -> int:
    if x == 7:
        raise error("out of the function")
    return x


class Thing:
    """Something that can be pickled and weakly referred to."""

    def __init__(self, n: int) -> None:
        self.n = n


def thing(n: int) -> Thing:
    return Thing(n)


class Custom(BaseException):
    """An exception that derives from no Exception."""


class TwoArguments(Exception):
    """Pickles, but does not unpickle: its __init__ wants more than args has."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")


class TwoArgumentsConnection(ConnectionError):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")


class Guarded(Exception):
    """Refuses every assignment, also to __cause__ and __traceback__, as a frozen dataclass does."""

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(name)


def odd_error(what: str) -> BaseException:
    """An error whose text or name is unexpected, of a class that nobody can import."""

    class Text(str):
        __slots__ = ()

    class Meta(type):
        def __getattribute__(cls, name: str) -> Any:
            raise RuntimeError(f"no {name}")

    class OddText(Exception):
        def __str__(self) -> str:
            return Text("odd")

    class NoModule(Exception):
        __module__ = None  # type: ignore[assignment]

    class NoName(Exception, metaclass=Meta):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    kinds: dict[str, type[Exception]] = {"text": OddText, "module": NoModule, "name": NoName}
    error = kinds[what]("odd")
    error.args = ("odd", threading.Lock())  # or cloudpickle would take it
    return error


def raise_odd(x: int, what: str) -> int:
    if x == 7:
        raise odd_error(what)
    return x


def return_odd(x: int, what: str) -> Any:
    return odd_error(what) if x == 7 else x


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class Unpicklable(Exception):
    def __reduce__(self) -> Any:
        raise TypeError("will not be pickled")


def raise_unpicklable(x: int) -> int:
    if x == 7:
        raise Unpicklable("a lock")
    return x


class Unnotable(Exception):
    @property
    def __notes__(self) -> Any:
        raise RuntimeError("no notes")


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    """Lets nobody set anything on it, not even its traceback."""

    code: int


def raise_frozen(x: int) -> int:
    if x == 7:
        raise Frozen(x)
    return x


class BrokenRepr:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class BrokenEquality:
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no equality")

    def __reduce__(self) -> Any:
        return BrokenEquality, ()


class Colliding(BrokenEquality):
    def __hash__(self) -> int:
        return 1


class BrokenHash:
    def __hash__(self) -> int:
        raise RuntimeError("no hash")


class HugeRepr:
    def __repr__(self) -> str:
        return "x" * 100_000_000


def odd_tasks() -> list[Any]:
    """Unhashable, broken and huge ones."""
    import numpy

    endless: list[Any] = []
    endless.append(endless)
    return [
        {"a": [1, 2]},
        [1, {2}],
        bytearray(b"abc"),
        numpy.arange(6).reshape(2, 3),
        numpy.arange(6),
        BrokenRepr(),
        HugeRepr(),
        BrokenEquality(),
        Colliding(),
        Colliding(),
        BrokenHash(),
        endless,
        float("nan"),
        "x" * 5_000_000,
    ]


def raise_unnotable(x: int) -> int:
    if x == 7:
        raise Unnotable
    return x


def raise_two_arguments(x: int) -> int:
    if x == 7:
        raise TwoArguments(404, "not found")
    return x


def raise_unprintable(x: int) -> int:
    if x == 7:
        raise Unprintable
    return x


def raise_from(x: int) -> int:
    if x == 7:
        try:
            {}["the cause"]
        except KeyError as error:
            raise ValueError("the effect") from error
    return x


class CannotPickle:
    def __reduce__(self) -> Any:
        raise TypeError("will not be pickled")


class CannotUnpickle:
    def __reduce__(self) -> Any:
        return _refuse, ()


class Bad:
    """Fails, exits or crashes, when it is pickled or when it is unpickled."""

    def __init__(self, when: str, how: str) -> None:
        self.when = when
        self.how = how

    def __reduce__(self) -> Any:
        if self.when == "pickle":
            misbehave(self.how)
        return misbehave, (self.how,)


class BadError(Exception):
    def __init__(self, when: str, how: str) -> None:
        super().__init__("out of the function")
        self.bad = Bad(when, how)

    def __reduce__(self) -> Any:
        return self.bad.__reduce__()


def misbehave(how: str) -> Any:
    match how:
        case "fails":
            raise ValueError("will not travel")
        case "exits":
            raise SystemExit("will not travel")
        case "crashes":
            os._exit(5)


WHATS = ["argument", "result", "error"]

BAD_OBJECTS = [
    (what, when, how)
    for what in WHATS
    for when in ["pickle", "unpickle"]
    for how in ["fails", "exits", "crashes"]
    # What is pickled or unpickled where the caller is crashes the caller.
    if how != "crashes" or (when == "unpickle") == (what == "argument")
]
"""Which object is bad, when, and how."""


def carry(x: int, burden: Any, what: str, when: str, how: str) -> Any:
    """Return or raise a bad object if it is the result or error that is to be bad; 77 is the bad one."""
    if x == 77 and what == "result":
        return Bad(when, how)
    if x == 77 and what == "error":
        raise BadError(when, how)
    return x


def burdened(what: str, when: str, how: str) -> list[Any]:
    """200 tasks for `carry`."""
    is_bad = [what == "argument" and n == 77 for n in range(200)]
    return [(n, Bad(when, how) if bad else None, what, when, how) for n, bad in enumerate(is_bad)]


def _refuse() -> Any:
    raise ValueError("will not be unpickled")


class LoadsNowhere:
    def __call__(self, task: Any) -> Any:
        return task

    def __reduce__(self) -> Any:
        return _refuse, ()


def give(x: int, kind: type) -> Any:
    return kind() if x == 7 else x


def exit_at(x: int, last: int) -> int:
    if x == last:
        os._exit(3)
    return x


def kill_self_on_seven(x: int) -> int:
    if x == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


def leave_a_copy_on_seven(x: int) -> int:
    """Die, and leave a child that holds copies of all that this process had open."""
    if x == 7:
        if os.fork() == 0:
            time.sleep(30)
            os._exit(0)
        os._exit(3)
    time.sleep(0.001)
    return x


def count_calls(folder: str | Path, name: Any) -> int:
    """Leave a byte for every call; answer how many there are."""
    path = Path(folder) / str(name)
    with path.open("a") as calls:
        calls.write("x")
    return path.stat().st_size


def flaky(folder: str, name: Any, failures: int, error: type[Exception] = ConnectionError) -> int:
    """Fail so many times, then answer how often it was called."""
    count = count_calls(folder, name)
    if count <= failures:
        raise error(f"call {count}")
    return count


def flaky_nap(folder: str, name: Any, failures: int) -> int:
    """The same, and success takes 10 ms."""
    count = flaky(folder, name, failures)
    time.sleep(0.01)
    return count


def flaky_two_arguments(folder: str, name: Any) -> int:
    count = count_calls(folder, name)
    if count == 1:
        raise TwoArgumentsConnection(503, "try again")
    return count


def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def clock_after_a_nap(number: int, seconds: float) -> float:
    time.sleep(seconds)
    return time.perf_counter()


def worker_after_a_nap(number: int, seconds: float) -> tuple[int, int]:
    time.sleep(seconds)
    return os.getpid(), threading.get_ident()


def pid(task: Any) -> int:
    return os.getpid()


def run_inner(mode: str, tasks: list[int]) -> dict[int, int]:
    """A manager inside a task of a manager."""
    with TaskManager(fit(plus_one, mode), mode, worker_limit=2, logger=None) as manager:
        manager.start(tasks)
        return dict(manager.get_result_dict())


async def run_inner_awaited(mode: str, tasks: list[int]) -> dict[int, int]:
    with TaskManager(fit(plus_one, mode), mode, worker_limit=2, logger=None) as manager:
        await manager.start_async(tasks)
        return dict(manager.get_result_dict())


def wait_a_little(task: Any) -> Any:
    time.sleep(0.02)
    return task
