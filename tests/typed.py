"""What an editor knows of managers and chains: checked by mypy and pyright, never run.

A line that must be an error has a `type: ignore`: both checkers complain if there is none to ignore.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sized
from functools import partial
from pathlib import Path
from typing import Any, Unpack, assert_type

from task_manager import Journal, Outcome, ProgressManager, Summary, TaskChain, TaskLogger, TaskManager
from task_manager.events import Attempted, Event
from task_manager.options import ChainMode, ExecutionMode, ManagerOptions


def length(text: str) -> int:
    return len(text)


async def length_later(text: str) -> int:
    return len(text)


def repeat(text: str, times: int) -> bytes:
    return text.encode() * times


async def repeat_later(text: str, times: int) -> bytes:
    return text.encode() * times


def fetch(url: str, timeout: float = 5.0) -> bytes:
    return f"{url} {timeout}".encode()


def three(a: int, b: int, c: int) -> str:
    return f"{a} {b} {c}"


def now() -> float:
    return 0.0


def drop(task: int) -> None: ...


def maybe(task: int | None) -> str | None:
    return None if task is None else str(task)


class Client:
    def __call__(self, url: str) -> float:
        return 0.0

    def get(self, url: str) -> bytes:
        return b""

    async def get_later(self, url: str) -> bytes:
        return b""


class Later:
    async def __call__(self, url: str) -> float:
        return 0.0


# ---------------------------------------------------------------------- what follows from the function


def plain_functions() -> None:
    manager = TaskManager(length, "thread", 4, 2, True, "Counting", task_timeout=3, logger=None)
    assert_type(manager, TaskManager[str, int])
    assert_type(manager.start(["a"]), Summary)
    assert_type(manager.get_result_dict(), Mapping[str, int])
    for outcome in manager.stream(["a"], ordered=True, keep_results="errors"):
        assert_type(outcome, Outcome[str, int])
        assert_type(outcome.task, str)
        assert_type(outcome.result, int | None)
        assert_type(outcome.error, BaseException | None)
        outcome.result = 1  # type: ignore[misc]
    manager.stream([1])  # type: ignore[list-item]
    assert_type(manager.get_error_dict(), Mapping[str, BaseException])
    assert_type(TaskManager(drop), TaskManager[int, None])
    assert_type(TaskManager(maybe), TaskManager[int | None, str | None])
    manager.start([1])  # type: ignore[list-item]


async def async_functions() -> None:
    manager = TaskManager(length_later, "async")
    assert_type(manager, TaskManager[str, int])
    assert_type(TaskManager(length_later, execution_mode="async"), TaskManager[str, int])
    assert_type(await manager.start_async(["a"]), Summary)
    assert_type(manager.get_result_dict(), Mapping[str, int])
    assert_type(TaskManager(repeat_later, "async"), TaskManager[Any, bytes])


def functions_of_more_parameters() -> None:
    """The task may be a tuple or, if the others have defaults, the first argument: both are right."""
    assert_type(TaskManager(repeat), TaskManager[Any, bytes])
    assert_type(TaskManager(three), TaskManager[Any, str])
    TaskManager(fetch).start(["a", ("b", 3.0)])
    assert_type(TaskManager(fetch), TaskManager[Any, bytes])
    assert_type(TaskManager(now), TaskManager[Any, Any])


def callables(some: Callable[..., int], unknown: Any) -> None:
    assert_type(TaskManager(Client()), TaskManager[str, float])
    assert_type(TaskManager(Client().get), TaskManager[str, bytes])
    assert_type(TaskManager(Client().get_later, "async"), TaskManager[str, bytes])
    assert_type(TaskManager(Later(), "async"), TaskManager[str, float])
    TaskManager(some).start([1, "a"])
    TaskManager(unknown).start([1, "a"])
    for wrapped in (TaskManager(partial(repeat, "a")), TaskManager(partial(repeat, times=2))):
        wrapped.get_result_dict().popitem()  # type: ignore[attr-defined]
        for result in wrapped.get_result_dict().values():
            assert_type(result, bytes)
    for result in TaskManager(partial(repeat_later, "a"), "async").get_result_dict().values():
        assert_type(result, bytes)


def builtins() -> None:
    assert_type(TaskManager(len), TaskManager[Sized, int])
    assert_type(TaskManager(str.upper), TaskManager[str, str])
    assert_type(TaskManager(int), TaskManager[Any, int])
    TaskManager(int).start(["1", 2])
    TaskManager(print).start([1, "a"])


def lambdas() -> None:
    TaskManager(lambda n: n * 2).start([1, 2])
    TaskManager(lambda a, b: a + b).start([(1, 2)])


def generic_functions(absolute: Callable[[float], float] = abs) -> None:
    """What these return depends on the task: say it of the function."""
    assert_type(TaskManager(absolute), TaskManager[float, float])
    TaskManager(absolute).start([1, -2.5])


# ---------------------------------------------------------------------- options


def options(mode: ExecutionMode, chain_mode: ChainMode) -> None:
    TaskManager(length, mode).start(["a"])  # in one of the modes it would have to be async: nobody knows
    TaskManager(length, "treads")  # type: ignore[call-overload]
    TaskManager(length, workers=3)  # type: ignore[call-overload]
    TaskManager(length, worker_limit="3")  # type: ignore[call-overload]
    TaskManager(length, start_method="forks")  # type: ignore[call-overload]
    TaskChain((), chain_mode).set_chain_mode("proces")  # type: ignore[arg-type]
    TaskChain((), "threads")  # type: ignore[call-overload]
    TaskChain((), "thread").run_chain_in_thread([1])


def write(session: dict[str, int], name: str) -> bytes:
    return name.encode()


async def write_later(session: dict[str, int], name: str) -> bytes:
    return name.encode()


async def opened() -> AsyncIterator[dict[str, int]]:
    yield {}


def states() -> None:
    """Which parameter the task is, an editor does not know of a function of two; it can be told."""
    assert_type(TaskManager(write, worker_state=dict), TaskManager[Any, bytes])
    assert_type(TaskManager(write_later, "async", worker_state=opened), TaskManager[Any, bytes])
    said: TaskManager[str, bytes] = TaskManager(
        write, "thread", worker_state=dict, max_tasks_per_worker=9
    )
    said.start([1])  # type: ignore[list-item]
    TaskManager(write, worker_state=5)  # type: ignore[call-overload]


def journals(manager: TaskManager[str, int], chain: TaskChain[str, int]) -> None:
    TaskManager(length, journal="run.db").start(["a"])
    TaskManager(length, journal=Path("run.db")).start(["a"])
    TaskManager(length, journal=Journal("run.db", started=True, in_doubt="error")).start(["a"])
    TaskChain((manager,), journal=Journal(Path("run.db"), codec="json")).start(["a"])
    TaskManager(length, journal=5)  # type: ignore[call-overload]
    Journal("run.db", codec="yaml")  # type: ignore[arg-type]
    Journal("run.db", "json")  # type: ignore[call-arg]
    assert_type(manager.journal, Journal | None)
    assert_type(chain.journal, Journal | None)


def attributes(manager: TaskManager[str, int]) -> None:
    assert_type(manager.execution_mode, ExecutionMode)
    assert_type(manager.worker_limit, int | None)
    assert_type(manager.logger, TaskLogger | None)
    manager.retry_exceptions = (*manager.retry_exceptions, EOFError)
    manager.retry_exceptions = ("EOFError",)  # type: ignore[assignment]
    manager.nothing  # type: ignore[attr-defined]


# ---------------------------------------------------------------------- subclasses


class Lengths(TaskManager[str, int]):
    """Hooks may name their parameters as they like."""

    execution_mode = "thread"
    worker_limit = 20
    retry_exceptions = (EOFError,)

    def get_args(self, url: str) -> tuple[str]:
        return (url,)

    def process_result(self, url: str, body: bytes) -> int:
        return len(body)

    def handle_error(self) -> None:
        assert_type(self.get_error_dict(), Mapping[str, BaseException])


class Wrong(TaskManager[str, int]):
    worker_limit = "20"  # type: ignore[assignment]

    def process_result(self, url: str, body: bytes) -> str:  # type: ignore[override]
        return ""


class Orders(TaskManager[dict[str, int], str]):
    """`get_args` takes the arguments out of any task, whatever the function takes."""

    def get_args(self, order: dict[str, int]) -> tuple[int, int]:
        return order["price"], order["count"]


class Untyped(TaskManager):
    def get_args(self, task: Any) -> Any:
        return task["price"]


class OwnOptions(TaskManager[str, bytes]):
    def __init__(self, client: Client, **options: Unpack[ManagerOptions]) -> None:
        super().__init__(client.get, "thread", **options)
        self.retry_exceptions = (*self.retry_exceptions, KeyError)


class PassingOn(TaskManager[str, bytes]):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)


def subclasses() -> None:
    with Lengths(fetch, logger=TaskLogger("elsewhere")) as lengths:
        assert_type(lengths, Lengths)
        assert_type(lengths.get_result_dict(), Mapping[str, int])
    orders = Orders(three)
    orders.start([{"price": 2, "count": 3}])
    orders.start(["a"])  # type: ignore[list-item]
    Orders(lambda price, count: price * count)
    assert_type(Orders(length).get_result_dict(), Mapping[dict[str, int], str])
    Untyped(length).start([{"price": 1}, 3, "a"])
    OwnOptions(Client(), retry_delay=1.0).start(["a"])
    OwnOptions(Client(), retry_delay="1")  # type: ignore[arg-type]
    PassingOn(Client().get, "thread").start(["a"])


def annotated() -> None:
    manager: TaskManager[str, int] = TaskManager(length, "thread", worker_limit=2)
    assert_type(manager.get_result_dict(), Mapping[str, int])


# ---------------------------------------------------------------------- chains


def chains(stages: list[TaskManager]) -> None:
    measured, shown, count = TaskManager(length), TaskManager(hex), TaskManager(len)
    assert_type(TaskChain((measured, shown)), TaskChain[str, str])
    assert_type(TaskChain((measured, shown, count), "process"), TaskChain[str, int])
    assert_type(TaskChain((measured,)), TaskChain[str, int])
    assert_type(TaskChain([measured, shown]), TaskChain[Any, Any])
    assert_type(TaskChain(stages), TaskChain[Any, Any])
    assert_type(TaskChain(), TaskChain[Any, Any])
    chain: TaskChain[str, str] = TaskChain([measured, shown], "process")
    assert_type(chain.start(["a"]), Summary)
    assert_type(chain.start_chain(["a"]), Summary)
    assert_type(chain.get_final_result_dict(), Mapping[str, str])
    assert_type(chain.get_final_error_dict(), Mapping[str, BaseException])
    for outcome in chain.stream(["a"], ordered=True):
        assert_type(outcome, Outcome[str, str])
    chain.stream([1])  # type: ignore[list-item]
    chain.start([1])  # type: ignore[list-item]
    chain.add_stage(length)  # type: ignore[arg-type]


class Etl(TaskChain[str, str]):
    chain_mode = "process"


# ---------------------------------------------------------------------- the rest


class Watching:
    def observe(self, event: Event) -> None:
        match event:
            case Attempted():
                assert_type(event, Attempted)
            case _:
                pass


def watched(tasks: Iterator[str]) -> None:
    TaskManager(length, observers=[Watching()]).start(tasks)
    TaskManager(length, observers=print)  # type: ignore[call-overload]


def bars() -> None:
    with ProgressManager(total=2) as progress:
        progress.update(1, failed=1)
