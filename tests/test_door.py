"""The door: unknown names, options as class attributes, options that stay, no super().__init__()."""

from __future__ import annotations

import copy
import functools
import inspect
import pickle
import weakref
from collections.abc import Callable
from typing import Any, ClassVar, get_type_hints

import pytest

from functions import MODES, double, fit
from task_manager import (
    ConfigurationError,
    NotInitializedError,
    TaskChain,
    TaskManager,
    TaskManagerError,
)
from task_manager._meant import _ALSO_CALLED
from task_manager.options import ManagerAttributes, ManagerOptions

OPTIONS = list(inspect.signature(TaskManager).parameters)
CHAIN_OPTIONS = list(inspect.signature(TaskChain).parameters)
FIXED = [name for name in OPTIONS if name != "retry_exceptions"]


class Orders(TaskManager):
    pass


# ---------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("name", "option"),
    [
        *[
            (name, "worker_limit")
            for name in ("workers", "max_workers", "n_jobs", "processes", "threads")
        ],
        *[(name, "max_retries") for name in ("retries", "retry", "max_retry", "maxRetries")],
        *[("timeout", "task_timeout"), ("executor", "execution_mode"), ("mode", "execution_mode")],
        *[("fail_fast", "max_failures"), ("time_budget", "deadline")],
        *[("rps", "rate_limit"), ("throttle", "rate_limit"), ("ratelimit", "rate_limit")],
        *[("limit_key", "rate_key"), ("group_by", "rate_key")],
        *[(name, "max_tasks_per_worker") for name in ("max_tasks_per_child", "maxtasksperchild")],
        *[("initializer", "worker_state"), ("worker_init", "worker_state")],
        *[("desc", "progress_desc"), ("progress", "show_progress"), ("retry_on", "retry_exceptions")],
        *[("worker_limits", "worker_limit"), ("exec_mode", "execution_mode"), ("log", "logger")],
    ],
)
def test_a_name_from_elsewhere_is_answered_with_ours(name: str, option: str) -> None:
    """A TypeError says which option is meant, by what others call it or by a name that is near."""
    with pytest.raises(TypeError) as caught:
        Orders(double, **{name: 2})

    assert f"Orders takes no option {name!r}; did you mean {option}=?" == str(caught.value)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("attempts", "did you mean max_retries=?, which counts the attempts after the first"),
        ("tasks", "the tasks are given to start(tasks)"),
        ("chunksize", "batches are sized by the time that the tasks take"),
        ("in_doubt", "it is one of a journal: journal=Journal(path, in_doubt=...)"),
        ("quux", f"its options are {', '.join(OPTIONS)}"),
    ],
)
def test_a_name_without_an_option_has_an_answer_too(name: str, answer: str) -> None:
    """What is counted in another way, given elsewhere, not there at all, or simply not known."""
    with pytest.raises(TypeError) as caught:
        TaskManager(double, **{name: 2})

    said, _, advice = str(caught.value).partition("; ")
    assert f"TaskManager takes no option {name!r}" == said
    assert answer == advice


@pytest.mark.parametrize(
    ("name", "option"), [("mode", "chain_mode"), ("managers", "stages"), ("callbacks", "observers")]
)
def test_a_chain_answers_as_well(name: str, option: str) -> None:
    """With its own options."""
    with pytest.raises(TypeError) as caught:
        TaskChain(**{name: ()})

    assert f"TaskChain takes no option {name!r}; did you mean {option}=?" == str(caught.value)


def test_no_name_from_elsewhere_is_an_option() -> None:
    """An option that is added under such a name leaves the table."""
    names = {option: names.split() for option, names in _ALSO_CALLED.items()}
    of_chains = {"stages", "chain_mode"}

    assert not {name for option in names.keys() - of_chains for name in names[option]} & {*OPTIONS}
    assert {*_ALSO_CALLED} <= {*OPTIONS, *CHAIN_OPTIONS}


@pytest.mark.parametrize(
    "call",
    [
        lambda: TaskManager(),
        lambda: TaskManager(double, func=double),
        lambda: TaskManager(double, "thread", 1, 0, False, "x", (ValueError,)),
    ],
    ids=["without the function", "twice", "too many"],
)
def test_a_call_of_the_wrong_shape_is_told_by_python(call: Callable[[], Any]) -> None:
    """In the words that everyone knows."""
    with pytest.raises(TypeError, match=r"__init__\(\)"):
        call()


def test_the_signature_is_the_true_one() -> None:
    """With names and defaults, for help() and notebooks; ManagerOptions has those by keyword only."""
    parameters = inspect.signature(Orders).parameters
    keyword = {name for name, one in parameters.items() if one.kind is one.KEYWORD_ONLY}
    annotated = get_type_hints(TaskManager.__init__)

    assert ("serial", None, 3) == tuple(
        parameters[name].default for name in ("execution_mode", "worker_limit", "max_retries")
    )
    assert keyword == ManagerOptions.__annotations__.keys()
    assert {name: annotated[name] for name in keyword} == get_type_hints(ManagerOptions)
    assert [*sorted(OPTIONS)] == sorted(ManagerAttributes.__annotations__)


# ---------------------------------------------------------------------- class attributes


class Eager:
    retry_exceptions = (EOFError,)


class Reader(Eager, TaskManager):
    worker_limit = 7
    execution_mode = "thread"
    task_timeout = 2


class Slow(Reader):
    worker_limit = 1


def test_a_class_attribute_is_the_default_of_its_class() -> None:
    """Also out of a mixin or a class between; checked and kept like an argument."""
    manager = Slow(double, logger=None)

    assert (1, "thread", 2.0) == (manager.worker_limit, manager.execution_mode, manager.task_timeout)
    assert (EOFError,) == manager.retry_exceptions
    assert type(manager.task_timeout) is float
    assert (7, 1) == (Reader.worker_limit, Slow.worker_limit)
    assert (None, "serial") == (TaskManager(double).worker_limit, TaskManager(double).execution_mode)


def test_what_is_given_wins_over_the_class() -> None:
    """By position and by keyword."""
    manager = Reader(double, "process", worker_limit=3, retry_exceptions=KeyError)

    assert ("process", 3, (KeyError,)) == (
        manager.execution_mode,
        manager.worker_limit,
        manager.retry_exceptions,
    )


@pytest.mark.parametrize("mode", MODES)
def test_a_class_attribute_has_its_effect(mode: str) -> None:
    """retry_exceptions on the class is what is retried, in each mode."""
    failed = set()

    def fails_once(task: int) -> int:
        if task not in failed:
            failed.add(task)
            raise EOFError
        return task

    async def fails_once_async(task: int) -> int:
        return fails_once(task)

    class Stubborn(Eager, TaskManager):
        execution_mode = mode
        max_retries = 1
        retry_delay = 0.0
        logger = None
        worker_limit = 1

    with Stubborn(fails_once_async if mode == "async" else fails_once) as manager:
        summary = manager.start([1, 2])

    assert (2, 2) == (summary.succeeded, summary.retries)


def test_a_wrong_class_attribute_is_told_with_its_class() -> None:
    """When a manager is made, as its options belong together."""

    class Wrong(TaskManager):
        worker_limit = 0

    with pytest.raises(ConfigurationError) as caught:
        Wrong(double)

    assert (
        "worker_limit must be None or a whole number of at least 1; got 0 "
        "(worker_limit is a class attribute of Wrong)"
    ) == str(caught.value)
    assert 2 == Wrong(double, worker_limit=2).worker_limit


def test_a_class_attribute_that_is_set_later_counts_from_then_on() -> None:
    """A class may be changed, as tests do."""

    class Changed(TaskManager):
        worker_limit = 2

    Changed.worker_limit = 5

    assert 5 == Changed(double).worker_limit


def test_a_method_named_func_is_the_users_own() -> None:
    """The function is no default of a class."""

    class Named(TaskManager):
        def func(self) -> None: ...

    assert double is Named(double).func


def test_a_chain_has_class_attributes_too() -> None:
    """Its mode, say."""

    class Etl(TaskChain):
        chain_mode = "process"

    assert ("process", "serial") == (Etl().chain_mode, Etl(chain_mode="serial").chain_mode)


def test_a_subclass_keeps_its_own_way_with_subclasses() -> None:
    """Its __init_subclass__ is called, with the arguments of the class."""

    class Registered(TaskManager):
        names: ClassVar[list[str]] = []

        def __init_subclass__(cls, *, name: str) -> None:
            super().__init_subclass__()
            cls.names.append(name)

    class Reading(Registered, name="reading"):
        worker_limit = 3

    assert (["reading"], 3) == (Registered.names, Reading(double).worker_limit)


# ---------------------------------------------------------------------- read-only


@pytest.mark.parametrize("name", FIXED)
@pytest.mark.parametrize("kind", [TaskManager, Slow], ids=["manager", "subclass"])
def test_an_option_stays_as_it_was_given(kind: type[TaskManager], name: str) -> None:
    """Set or deleted later: an AttributeError says to make a new manager, and nothing has changed."""
    manager = kind(double)
    before = getattr(manager, name)
    said = (
        f"{name} is fixed when a manager is made: make a new one, {kind.__name__}(..., {name}=...); "
        "a subclass gives it to super().__init__, or has it as a class attribute"
    )
    with pytest.raises(AttributeError) as caught:
        setattr(manager, name, before)
    with pytest.raises(AttributeError):
        delattr(manager, name)

    assert said == str(caught.value)
    assert before == getattr(manager, name)


def test_options_of_a_chain_are_changed_by_its_verbs() -> None:
    """The message names them."""
    chain = TaskChain()
    said = {}
    for name in CHAIN_OPTIONS:
        with pytest.raises(AttributeError) as caught:
            setattr(chain, name, ())
        said[name] = str(caught.value)

    assert {
        "stages": "stages cannot be set on a chain: add_stage and remove_stage change them",
        "chain_mode": "chain_mode cannot be set on a chain: set_chain_mode changes it",
        "observers": "observers is fixed when a chain is made: make a new one, TaskChain(..., "
        "observers=...); a subclass gives it to super().__init__, or has it as a class attribute",
        "journal": "journal is fixed when a chain is made: make a new one, TaskChain(..., "
        "journal=...); a subclass gives it to super().__init__, or has it as a class attribute",
    } == said


def test_attributes_of_a_users_own_are_free() -> None:
    """A manager is still an object of the user's class."""
    manager = Orders(double)
    manager.seen = [1]  # type: ignore[attr-defined]

    assert [1] == manager.seen  # type: ignore[attr-defined]


@pytest.mark.parametrize("copied", [copy.copy, lambda manager: pickle.loads(pickle.dumps(manager))])
def test_a_copy_has_the_options(copied: Callable[[Any], Any]) -> None:
    """All of them, and they are read-only in the copy as well."""
    manager = Slow(double, max_retries=9, logger=None)
    manager.retry_exceptions = (KeyError,)
    copy_of_it = copied(manager)

    assert [getattr(manager, name) for name in OPTIONS] == [
        getattr(copy_of_it, name) for name in OPTIONS
    ]
    with pytest.raises(AttributeError, match="worker_limit is fixed"):
        copy_of_it.worker_limit = 3


# ---------------------------------------------------------------------- no super().__init__()


class Lost(TaskManager):
    def __init__(self, place: str) -> None:
        self.place = place


class LostChain(TaskChain):
    def __init__(self) -> None:
        pass


LOST = (
    "Lost.__init__ has not called super().__init__(func, ...): until it does, the manager has no "
    "options and cannot run"
)
LOST_CHAIN = LOST.replace("Lost", "LostChain").replace("func", "stages").replace("manager", "chain")


@pytest.mark.parametrize(
    "use",
    [
        *[functools.partial(lambda name, manager: getattr(manager, name), name) for name in OPTIONS],
        lambda manager: manager.start([1]),
        lambda manager: manager.get_result_dict(),
        lambda manager: manager.get_error_dict(),
        lambda manager: manager.get_summary(),
        lambda manager: manager.shutdown_pools(),
        lambda manager: TaskChain([manager]).start([1]),
    ],
    ids=[*OPTIONS, "start", "results", "errors", "summary", "shutdown", "in a chain"],
)
def test_a_manager_whose_constructor_was_not_called_says_so(use: Callable[[Any], Any]) -> None:
    """Whatever it is asked, the answer is one sentence with the name of the class."""
    with pytest.raises(TaskManagerError) as caught:
        use(Lost("example.org"))

    assert LOST == str(caught.value)


@pytest.mark.parametrize(
    "use",
    [
        lambda chain: chain.stages,
        lambda chain: chain.chain_mode,
        lambda chain: chain.start([1]),
        lambda chain: chain.start_chain([1]),
        lambda chain: chain.add_stage(TaskManager(double)),
        lambda chain: chain.remove_stage(0),
        lambda chain: chain.get_final_result_dict(),
        lambda chain: chain.get_final_error_dict(),
        lambda chain: chain.get_summary(),
    ],
)
def test_so_does_a_chain(use: Callable[[Any], Any]) -> None:
    """Each verb, and each option."""
    with pytest.raises(NotInitializedError) as caught:
        use(LostChain())

    assert LOST_CHAIN == str(caught.value)


def test_it_can_be_looked_at_all_the_same() -> None:
    """hasattr, repr, copies, pickles, weak references and debuggers meet no trap."""
    lost = Lost("example.org")

    assert not hasattr(lost, "worker_limit")
    assert not hasattr(lost, "nothing")
    assert "<Lost that is not initialized>" == repr(lost)
    assert "example.org" == copy.copy(lost).place == pickle.loads(pickle.dumps(lost)).place
    assert lost is weakref.ref(lost)()
    assert "place" in dict(inspect.getmembers(lost))


def test_class_attributes_can_be_read_before_the_constructor_runs() -> None:
    """As Python has it."""

    class Halved(TaskManager):
        worker_limit = 8

        def __init__(self, func: Any) -> None:
            super().__init__(func, worker_limit=self.worker_limit // 2)

    assert 4 == Halved(double).worker_limit


@pytest.mark.parametrize("mode", MODES)
def test_a_chain_starts_by_either_name(mode: str) -> None:
    """`start` is `start_chain`, also where a subclass has one of its own."""
    told = []

    class Etl(TaskChain):
        def start_chain(self, tasks: Any) -> Any:
            told.append(tasks)
            return super().start_chain(tasks)

    chain = Etl([TaskManager(fit(double, mode), mode, logger=None)])
    summary = chain.start([2])

    assert (1, [[2]]) == (summary.succeeded, told)
