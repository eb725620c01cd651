"""What an error keeps alive, and how long its traceback grows: F31."""

from __future__ import annotations

import asyncio
import gc
import threading
import traceback
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

import functions as f
from task_manager import TaskChain, TaskManager
from task_manager._call import MOST_LINKED, failure_of

HERE = ["serial", "thread", "async"]  # where errors are kept as they were raised

pages: list[weakref.ref[Any]] = []


class Page:
    """What a function has in hand."""


def have_in_hand() -> Page:
    page = Page()
    pages.append(weakref.ref(page))
    return page


def plain(n: int) -> None:
    page = have_in_hand()
    raise ValueError(n, id(page))


def with_a_cause(n: int) -> None:
    page = have_in_hand()
    try:
        plain(n)
    except ValueError as error:
        raise KeyError(n, id(page)) from error


def with_a_context(n: int) -> None:
    page = have_in_hand()
    try:
        with_a_cause(n)
    except KeyError:
        raise RuntimeError(n, id(page)) from None


def with_a_group(n: int) -> None:
    page = have_in_hand()
    errors = []
    for func in (plain, with_a_cause):
        try:
            func(n)
        except Exception as error:
            errors.append(error)
    raise ExceptionGroup(str(id(page)), errors)


def out_of_a_generator(n: int) -> None:
    def pages_of() -> Iterator[Any]:
        page = have_in_hand()
        yield page
        plain(n)

    for page in pages_of():
        del page


FAILING = [plain, with_a_cause, with_a_context, with_a_group, out_of_a_generator]


async def out_of_coroutines(n: int) -> None:
    async def inner() -> None:
        page = have_in_hand()
        await asyncio.sleep(0)
        raise ValueError(n, id(page))

    page = have_in_hand()
    async with asyncio.timeout(30):
        await inner()
    del page


async def out_of_time(n: int) -> None:
    async def inner() -> None:
        page = have_in_hand()
        await asyncio.sleep(60)
        del page

    page = have_in_hand()
    async with asyncio.timeout(0.001):
        await inner()
    del page


@pytest.fixture(autouse=True)
def no_pages() -> None:
    pages.clear()


def lines_of(error: BaseException) -> list[str]:
    return [line.strip() for line in traceback.format_exception(error)]


@pytest.mark.parametrize("mode", HERE)
@pytest.mark.parametrize("func", FAILING)
def test_f31_an_error_frees_the_locals_of_its_frames(mode: str, func: Callable[[int], None]) -> None:
    """Also those of its cause, of its context and of the members of a group; and keeps its lines."""
    with f.manager_of(func, mode, max_retries=0) as manager:
        manager.start(range(5))
        errors = list(manager.get_error_dict().values())
        gc.collect()

        assert 5 == len(errors)
        assert [] == [page() for page in pages if page() is not None]
        assert 5 <= len(pages)
        for n, error in enumerate(errors):
            text = "".join(traceback.format_exception(error))
            assert f"in {func.__name__}\n" in text
            assert f"{n}" in text


@pytest.mark.parametrize("func", [out_of_coroutines, out_of_time])
def test_f31_frames_of_coroutines_that_are_over(func: Any) -> None:
    """Theirs are freed as well, where they raised and where they were cancelled."""
    with TaskManager(func, "async", worker_limit=3, max_retries=0, logger=None) as manager:
        manager.start(range(5))
        errors = list(manager.get_error_dict().values())
        gc.collect()

        assert (5, 10) == (len(errors), len(pages))
        assert [] == [page() for page in pages if page() is not None]
        assert "in inner\n" in "".join(traceback.format_exception(errors[0]))


@pytest.mark.parametrize("mode", HERE)
def test_f31_an_error_holds_nothing_of_its_neighbours(mode: str) -> None:
    """The arguments and the raw results of the same batch die, as they would without it."""
    results: list[weakref.ref[Any]] = []
    arguments: list[weakref.ref[Any]] = []

    class Shortens(TaskManager):
        def get_args(self, task: Any) -> Any:
            page = Page()
            arguments.append(weakref.ref(page))
            return task, page

        def process_result(self, task: Any, result: Any) -> Any:
            results.append(weakref.ref(result))
            return task

    def page_of(n: int, page: Page) -> Page:
        if n % 50 == 7:
            raise ValueError(n)
        return Page()

    with f.manager_of(page_of, mode, Shortens, max_retries=0) as manager:
        manager.start(range(3000))
        manager.start(range(3000, 3050))
        errors = list(manager.get_error_dict().values())
    gc.collect()
    alive = sum(thing() is not None for thing in [*results, *arguments])

    assert 61 == len(errors)
    assert 200 > alive


def test_f31_the_text_is_the_same() -> None:
    """`format_exception` tells of an error what it told before it was kept."""
    for func in FAILING:
        with pytest.raises(Exception, match=r".") as caught:
            func(3)
        before = lines_of(caught.value)
        failure_of(caught.value)

        assert before == lines_of(caught.value)


def test_f31_a_generator_that_waits_is_left_alone() -> None:
    """An error has passed through it, and it goes on: its frame is not over."""
    met: list[BaseException] = []

    def listen() -> Iterator[int]:
        count = 0
        while True:
            try:
                yield count
            except ValueError as error:
                met.append(error)
                count += 1

    listener = listen()
    next(listener)
    listener.throw(ValueError("heard"))  # type: ignore[attr-defined]

    def raise_what_was_met(n: int) -> None:
        raise met[0]

    manager = f.manager_of(raise_what_was_met, "serial", max_retries=0)
    manager.start(range(3))

    assert 1 == next(listener)
    assert 3 == len(manager.get_error_dict())


def test_f31_a_frame_in_which_somebody_runs_is_left_alone() -> None:
    """An error out of a thread whose function goes on, and one of the function that starts the run."""
    met: Future[BaseException] = Future()
    go_on = threading.Event()

    def meet_and_go_on() -> int:
        kept = 41
        try:
            raise ValueError("met")
        except ValueError as error:
            met.set_result(error)
        go_on.wait(20)
        return kept + 1

    def raise_what_was_met(n: int) -> None:
        raise met.result(20)

    with ThreadPoolExecutor(1) as pool:
        going = pool.submit(meet_and_go_on)
        manager = f.manager_of(raise_what_was_met, "serial", max_retries=0)
        manager.start(range(3))
        go_on.set()

        assert 42 == going.result(20)


# ------------------------------------------------------------------ one error for many tasks

GONE = ConnectionResetError("the server is gone")
NOT_THERE = KeyError("not there")


def raise_gone(n: int) -> None:
    raise GONE


def gone_deeper(n: int) -> None:
    if n < 0:
        gone_deeper(n + 1)
    raise_gone(n)


def gone_from_another(n: int) -> None:
    try:
        raise ValueError(n)
    except ValueError as error:
        raise GONE from error


def gone_as_a_cause(n: int) -> None:
    try:
        raise_gone(n)
    except ConnectionResetError as error:
        raise RuntimeError(n) from error


def gone_in_a_group(n: int) -> None:
    try:
        raise_gone(n)
    except ConnectionResetError as error:
        raise ExceptionGroup("all", [error, NOT_THERE]) from None


@pytest.fixture(autouse=True)
def as_new() -> None:
    for error in (GONE, NOT_THERE):
        error.__traceback__ = error.__cause__ = error.__context__ = None
        error.__dict__.clear()


@pytest.mark.parametrize("mode", [*HERE, "fork"])
@pytest.mark.parametrize(
    "func", [raise_gone, gone_deeper, gone_from_another, gone_as_a_cause, gone_in_a_group]
)
def test_f31_one_error_for_many_tasks_does_not_grow(mode: str, func: Callable[[int], None]) -> None:
    """Neither its traceback nor its notes: of a thousand raises it shows one."""
    with f.manager_of(func, mode, max_retries=0) as manager:
        manager.start(range(-20, 980))
        errors = list(manager.get_error_dict().values())

        assert 1000 == len(errors)
        for error in (errors[0], errors[-1]):
            text = "".join(traceback.format_exception(error))
            assert f"in {func.__name__}\n" in text
            assert 80 > text.count("\n")
            assert 2 > len(getattr(error, "__notes__", ()))


@pytest.mark.parametrize("chain_mode", ["serial", "thread", "process"])
def test_f31_one_error_for_many_tasks_of_a_chain(chain_mode: str) -> None:
    """The same there; of the notes, which name the initial task, some are kept."""
    chain = TaskChain([f.stage(raise_gone, max_retries=0), f.stage(f.same)], chain_mode)
    chain.start_chain(range(1000))
    errors = list(chain.get_final_error_dict().values())

    assert 1000 == len(errors)
    assert 60 > sum(map(len, traceback.format_exception(errors[-1]))) / 40
    assert 20 >= len(errors[-1].__notes__)


def test_f31_what_the_origin_of_a_shared_error_was_stays() -> None:
    """The lines of the thread where it came from, beyond those of the call."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(raise_gone, 0)

        def ask(n: int) -> Any:
            return future.result(20)

        manager = f.manager_of(ask, "serial", max_retries=0)
        manager.start(range(100))
    text = "".join(traceback.format_exception(manager.get_error_dict()[99]))

    assert 1 == text.count("in ask\n")
    assert 1 == text.count("in raise_gone\n")


def test_f31_two_functions_that_raise_the_same_error() -> None:
    """Its traceback names both, and does not grow with their turns."""

    def another(n: int) -> None:
        raise GONE

    for _ in range(50):
        for func in (raise_gone, another):
            f.manager_of(func, "serial", max_retries=0).start(range(3))

    assert 2 >= len(traceback.extract_tb(GONE.__traceback__))


def test_f31_a_row_of_causes_is_cut() -> None:
    """Each error has the one before as its cause: the last ones are kept."""
    last: list[BaseException | None] = [None]

    def remember(n: int) -> None:
        try:
            raise ValueError(n) from last[0]
        except ValueError as error:
            last[0] = error
            raise

    manager = f.manager_of(remember, "serial", max_retries=0)
    manager.start(range(300))
    length, error = 0, last[0]
    while error is not None:
        length, error = length + 1, error.__cause__

    assert MOST_LINKED <= length <= MOST_LINKED + 1


def test_f31_many_threads_raise_one_error_at_once() -> None:
    """No thread fails of it, and the traceback stays short."""
    with f.manager_of(gone_deeper, "thread", worker_limit=8, max_retries=0) as manager:
        manager.start(range(-20, 3980))

        assert {ConnectionResetError} == {type(error) for error in manager.get_error_dict().values()}
        assert 4000 == len(manager.get_error_dict())
        assert 1000 > len(traceback.extract_tb(GONE.__traceback__))


class Panic(BaseException):
    """As extensions in Rust raise it."""


class PanicsAtNotes(Exception):
    @property
    def __notes__(self) -> Any:
        raise Panic


def raise_with_broken_notes(n: int) -> None:
    raise PanicsAtNotes(n)


@pytest.mark.parametrize("mode", HERE)
def test_f27_notes_that_panic(mode: str) -> None:
    """The error goes without a note, and is its task's."""
    with f.manager_of(raise_with_broken_notes, mode, max_retries=0) as manager:
        manager.start(range(5))

        assert {PanicsAtNotes} == {type(error) for error in manager.get_error_dict().values()}
