"""Hooks that cannot be called as they will be, and methods that are nearly a hook."""

from __future__ import annotations

import functools
import warnings
from typing import Any
from unittest.mock import Mock

import pytest

from task_manager import ConfigurationError, TaskManager


def static(function: Any) -> Any:
    return staticmethod(function)


def passed_on(function: Any) -> Any:
    @functools.wraps(function)
    def wrapped(*args: Any, **options: Any) -> Any:
        return function(*args, **options)

    return wrapped


class Callable:
    def __call__(self, task: Any, result: Any) -> Any:
        return result


def subclass(**members: Any) -> type[TaskManager]:
    return type("Shop", (TaskManager,), members)


def made(**members: Any) -> TaskManager:
    return subclass(**members)(abs, logger=None)


def body(parameters: str) -> Any:
    """A function with these parameters, that is called `hook` in the class Shop."""
    names: dict[str, Any] = {}
    exec(f"def hook({parameters}): return 1", names)
    names["hook"].__qualname__ = "Shop.hook"
    return names["hook"]


WRONG = [
    ("process_result", body("self, result"), "(self, task, result); Shop.hook takes (self, result)"),
    ("process_result", body("task, result"), "(self, task, result); Shop.hook takes (task, result)"),
    ("process_result", body(""), "(self, task, result); Shop.hook takes ()"),
    ("process_result", body("self, a, b, c"), "(self, task, result); Shop.hook takes (self, a, b, c)"),
    (
        "process_result",
        body("self, task, *, result"),
        "(self, task, result); Shop.hook takes (self, task, *, result)",
    ),
    ("process_result", static(body("result")), "(task, result); Shop.hook takes (result)"),
    ("process_result", passed_on(body("self, x")), "(self, task, result); Shop.hook takes (self, x)"),
    ("get_args", body("self"), "(self, task); Shop.hook takes (self)"),
    ("get_args", body("self, a, b=1, **c"), None),
    ("handle_error", body("self, task, error"), "(self); Shop.hook takes (self, task, error)"),
    ("handle_error", body(""), "(self); Shop.hook takes ()"),
]
RIGHT = [
    ("process_result", body("self, task, result")),
    ("process_result", body("self, url, page, /")),
    ("process_result", body("self, *args")),
    ("process_result", body("*args, **options")),
    ("process_result", body("self, task, result, more=1, *rest, flag=2")),
    ("process_result", static(body("task, result"))),
    ("process_result", classmethod(body("cls, task, result"))),
    ("process_result", passed_on(body("self, task, result"))),
    ("process_result", functools.partialmethod(body("self, more, task, result"), 1)),
    ("process_result", staticmethod(functools.partial(body("more, task, result"), 1))),
    ("process_result", Callable()),
    ("process_result", Mock()),
    ("process_result", max),  # has no signature that can be read
    ("get_args", dict),
]


@pytest.mark.parametrize(("hook", "value", "said"), WRONG, ids=range(len(WRONG)))
def test_a_hook_with_the_wrong_parameters_is_refused(hook: str, value: Any, said: str | None) -> None:
    """Before any task runs, by what came and what is right."""
    if said is None:
        assert made(**{hook: value})
        return
    with pytest.raises(ConfigurationError) as caught:
        made(**{hook: value})

    assert f"{hook} must take {said}" == str(caught.value)


@pytest.mark.parametrize(("hook", "value"), RIGHT, ids=range(len(RIGHT)))
def test_whatever_can_be_called_so_is_a_hook(hook: str, value: Any) -> None:
    """However it is written, decorated or assigned; what has no signature is let through."""
    assert made(**{hook: value})


def test_a_hook_that_cannot_be_called_is_refused() -> None:
    """What is no function at all."""
    with pytest.raises(ConfigurationError) as caught:
        made(handle_error=None)

    assert "handle_error must be a function with the parameters (); got None" == str(caught.value)


def test_a_hook_on_the_manager_is_looked_at_as_it_starts() -> None:
    """It may be put there after the constructor; and the function is not called."""
    called: list[Any] = []
    manager: Any = TaskManager(called.append, logger=None)
    manager.process_result = lambda result: result
    with pytest.raises(ConfigurationError, match=r"process_result must take \(task, result\); .* takes"):
        manager.start([1])

    assert [] == called


def test_a_hook_on_the_manager_that_fits_is_used() -> None:
    """Without `self`, as it is no method."""
    manager: Any = TaskManager(abs, logger=None)
    manager.process_result = lambda task, result: (task, result)
    manager.start([-1])

    assert {-1: (-1, 1)} == manager.get_result_dict()


NEAR = [
    ("process_results", "process_result(self, task, result)"),
    ("proces_result", "process_result(self, task, result)"),
    ("processResult", "process_result(self, task, result)"),
    ("get_arg", "get_args(self, task)"),
    ("getArgs", "get_args(self, task)"),
    ("handle_errors", "handle_error(self)"),
]


@pytest.mark.parametrize(("name", "meant"), NEAR)
def test_a_method_that_is_nearly_a_hook_is_warned_of_once(name: str, meant: str) -> None:
    """Where the class is written, by both names; making managers, or a subclass of it, adds none."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kind = subclass(**{name: body("self")})
        kind(abs, logger=None)
        type("Branch", (kind,), {})(abs, logger=None)

    assert [f"Shop.{name} is no hook, and a manager never calls it; did you mean {meant}?"] == [
        str(one.message) for one in caught
    ]


def test_the_warning_is_of_the_line_of_the_class() -> None:
    """Where the user looks."""
    with pytest.warns(UserWarning, match="did you mean process_result") as caught:

        class Shop(TaskManager):
            def process_results(self, task: Any, result: Any) -> Any:
                return result

    assert __file__ == caught[0].filename


@pytest.mark.parametrize(
    "members",
    [
        {name: body("self")}
        for name in (
            "process_request", "process_response", "preprocess_result", "get_task", "get_urls",
            "get_page", "handle_event", "on_error", "_process_results", "results",
        )
    ]
    + [
        {"process_results": [1]},
        {"process_results": body("self"), "process_result": body("self, task, result")},
    ],
    ids=range(12),
)  # fmt: skip
def test_other_names_are_nobodys_business(members: dict[str, Any]) -> None:
    """Methods of one's own, what is no method, and helpers of a hook that is there."""
    assert made(**members)  # a warning would be an error
