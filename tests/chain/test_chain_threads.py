"""What a chain promises in thread mode alone: where things happen, and how much waits."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import sqlite3
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

import functions as f
from functions import stage
from task_manager import TaskChain, TaskManager
from task_manager.events import Event

here = threading.current_thread  # an ident may be that of two, one after the other


def chain_of(*funcs: Any, **options: Any) -> TaskChain[Any, Any]:
    return f.chain_of("thread", *funcs, **options)


@pytest.mark.parametrize("how", ["start", "stream", "start_async"])
def test_stages_work_at_the_same_time(how: str) -> None:
    """The first stage has the next task while the second has this one: plain functions."""
    meeting = threading.Barrier(2)

    def begins(n: int) -> int:
        time.sleep(0.002)  # less, and it would travel with the next ones
        if n > 0:
            meeting.wait(10)
        return n

    def follows(n: int) -> int:
        if n < 19:
            meeting.wait(10)
        return n

    chain = chain_of(begins, follows)
    if how == "stream":
        results = [one.result for one in chain.stream(range(20))]
    elif how == "start":
        results = [chain.start(range(20)).succeeded]
    else:
        results = [asyncio.run(chain.start_chain_async(range(20))).succeeded]

    assert results in ([20], list(range(20)))


class Places(TaskManager[Any, Any]):
    """Notes the thread of each hook and call."""

    def __init__(self, mode: str, **options: Any) -> None:
        self.places: dict[str, set[threading.Thread]] = {}
        self.failed: list[int] = []
        super().__init__(self.call if mode != "async" else self.call_async, mode, logger=None, **options)

    def note(self, what: str) -> None:
        self.places.setdefault(what, set()).add(here())

    def call(self, task: int) -> int:
        self.note("call")
        if task == 7:
            raise ValueError(task)
        return task

    async def call_async(self, task: int) -> int:
        return self.call(task)

    def get_args(self, task: int) -> int:
        self.note("hook")
        return task

    def process_result(self, task: int, result: int) -> int:
        self.note("hook")
        return result

    def process_error(self, task: int, error: BaseException) -> None:
        self.note("hook")

    def handle_error(self) -> None:
        self.note("hook")
        self.failed = list(self.get_error_dict())


@pytest.mark.parametrize("how", ["start", "stream", "start_async"])
def test_where_things_happen(how: str) -> None:
    """The input is read, and all observers are told, in the caller's thread; hooks of a stage, and the
    calls of one in serial mode, are in the stage's own.
    """
    read, told = set(), set()

    class Tells:
        def observe(self, event: Event) -> None:
            told.add(here())

    def tasks() -> Iterator[int]:
        for n in range(50):
            read.add(here())
            yield n

    modes = ("serial", "thread", "async")
    stages = [Places(mode, max_retries=0, observers=[Tells()]) for mode in modes]
    chain = TaskChain(stages, "thread", observers=[Tells()])  # type: ignore[arg-type]
    if how == "stream":
        assert 50 == sum(1 for _ in chain.stream(tasks(), keep_results=True))
    elif how == "start":
        chain.start(tasks())
    else:
        asyncio.run(chain.start_chain_async(tasks()))

    assert {here()} == read == told
    hooks = [one.places["hook"] for one in stages if "hook" in one.places]
    assert [1, 1, 1] == [len(places) for places in hooks]
    assert 4 == len({here()}.union(*hooks))
    assert [[7], [], []] == [one.failed for one in stages]  # as handle_error has seen it
    assert stages[0].places["call"] == hooks[0]
    assert not stages[1].places["call"] & set().union({here()}, *hooks)


def test_what_cannot_be_pickled_flows() -> None:
    """Functions, managers, tasks and results; the very objects go on."""

    class Own(TaskManager[Any, Any]):
        lock = threading.Lock()

    things = [threading.Lock(), (n for n in range(3)), open]
    chain: TaskChain[Any, Any] = TaskChain(
        [Own(lambda one: [one], logger=None), Own(lambda one: one[0], logger=None)], "thread"
    )
    chain.start(things)

    assert all(one is other for one, other in chain.get_final_result_dict().items())
    assert 3 == len(chain.get_final_result_dict())


def test_a_state_is_used_and_cleaned_up_in_the_thread_of_its_stage() -> None:
    """As a connection of sqlite3 asks for: in serial mode too, after success, failure and a stop."""

    def connection() -> Iterator[sqlite3.Connection]:
        made = sqlite3.connect(":memory:")
        yield made
        made.close()
        closed.append(True)

    def ask(made: sqlite3.Connection, n: int) -> Any:
        return made.execute("select ?", (n,)).fetchone()[0]

    closed: list[bool] = []
    chain = TaskChain([stage(ask, worker_state=connection) for _ in range(2)], "thread")
    chain.start(range(5))
    first = len(closed)
    for _ in itertools.islice(chain.stream(itertools.count()), 5):
        pass
    stream = chain.stream(itertools.count())
    next(stream)
    with pytest.raises(LookupError):
        stream.throw(LookupError)

    assert (2, 6) == (first, len(closed))
    assert dict(zip(range(5), range(5), strict=True)) == chain.get_final_result_dict()


def test_context_variables_are_seen_in_all_stages() -> None:
    """Each has a copy of the caller's context."""
    name: contextvars.ContextVar[str] = contextvars.ContextVar("name")
    name.set("of the caller")
    chain = chain_of(lambda n: [n, name.get()], lambda found: [*found, name.get()])
    chain.start([1])

    assert {1: [1, "of the caller", "of the caller"]} == chain.get_final_result_dict()


class Alive:
    """A result that counts how many of it there are."""

    now = most = 0

    def __init__(self, n: int) -> None:
        Alive.now += 1
        Alive.most = max(Alive.most, Alive.now)

    def __del__(self) -> None:
        Alive.now -= 1


def test_f14_a_slow_stage_slows_all_before_it() -> None:
    """Between two stages wait 16 results, and of the input 8 batches: memory stays flat."""
    Alive.most = read = 0

    def tasks() -> Iterator[int]:
        nonlocal read
        for n in range(600):
            read = n
            yield n

    behind: list[int] = []

    def waits(one: Any) -> None:
        time.sleep(0.002)
        behind.append(read - len(behind))

    def makes(n: int) -> Alive:
        time.sleep(0.001)
        return Alive(n)

    chain_of(makes, waits, keep_results=False).start(tasks())

    assert 600 == len(behind)
    assert Alive.most <= 16 + 2 * 8
    assert max(behind) <= 16 + 10 * 16


def test_a_reader_who_does_not_come_is_waited_for() -> None:
    """What the stages do without him is bounded, and so is what waits for him."""
    made = 0

    def counts(n: int) -> int:
        nonlocal made
        made += 1
        time.sleep(0.0005)
        return n

    chain = chain_of(counts, f.same)
    stream = chain.stream(itertools.count())
    next(stream)
    time.sleep(0.3)
    before = made
    time.sleep(0.2)
    stream.close()

    assert made - before <= 64
    assert before < 300


def test_fifty_streams_left_early() -> None:
    """Nothing is left of them: see `nothing_left_behind`; and no start is held up by one before."""
    stages = [stage(f.same), stage(f.same, "thread"), stage(f.same, "async")]
    chain = TaskChain(stages, "thread")
    for _ in range(50):
        for outcome in chain.stream(itertools.count(), ordered=True):
            if outcome.task == 20:
                break

    assert 10 == chain.start(range(10)).succeeded


def in_a_chain(n: int) -> int:
    inner = f.chain_of("thread", f.plus_one, f.double)
    inner.start([n])
    return inner.get_final_result_dict()[n]


@pytest.mark.parametrize("way", ["serial", "thread", "fork"])
def test_chains_in_the_stages_of_chains(way: str) -> None:
    """In threads and in processes of threads."""
    chain = TaskChain([f.manager_of(in_a_chain, way), f.manager_of(in_a_chain, way)], "thread")
    chain.start(range(6))

    assert {n: 4 * n + 6 for n in range(6)} == chain.get_final_result_dict()


def test_in_threads_of_the_callers() -> None:
    """Two at a time, each in a thread: all is done there."""
    chains = [chain_of(f.plus_one, f.double) for _ in range(2)]
    callers = [threading.Thread(target=chain.start, args=(range(500),)) for chain in chains]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()

    assert [{n: 2 * n + 2 for n in range(500)}] * 2 == [one.get_final_result_dict() for one in chains]
