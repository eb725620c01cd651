"""From what a user gives as `execution_mode` to its mode: a name of ours, one of a package, an executor.

"thread"                       ─▶ MODES
"dask", or a package's name    ─▶ EXECUTORS, or an entry point of the group `task_manager.modes`
an Executor, or what makes one ─▶ the same runner, over that
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Any, NamedTuple

from .._platform import cores
from .._repr import name_of, short_repr
from .._rules.batch_size import TARGET
from ..errors import ConfigurationError
from . import MODES, Mode
from .pools import Named, calls_here, remember_home, workers_of

GROUP = "task_manager.modes"  # entry points: each a function of an address that makes an executor
WORTH = 0.2  # seconds of work that a batch is worth on an engine: it costs 1 to 6 ms to hand one over
TOLL = 0.0025  # seconds that its scheduler, which all workers share, has to do with each
_RUNNER = (".executor", "ExecutorRunner")


class Known(NamedTuple):
    """An executor that is known by a name.

    needs: The package that has to be installed. extra: What installs it with ours.
    module: Ours, with a function `executor(address)`. addressed: It may be somewhere else.
    worth: Seconds of work that a batch is worth there.
    """

    needs: str
    extra: str
    module: str
    addressed: bool = True
    worth: float = WORTH


EXECUTORS: dict[str, Known] = {
    "loky": Known("loky", "loky", ".loky", addressed=False, worth=0.05),
    "dask": Known("distributed", "dask", ".dask"),
    "ray": Known("ray", "ray", ".ray"),
}


def names() -> list[str]:
    """All that may be given by name."""
    return [*MODES, *EXECUTORS, *(found.name for found in entry_points(group=GROUP))]


def mode_of(given: Any, address: str | None = None) -> Mode:
    """The mode of what a user gives. Raises ConfigurationError if there is none, or not here."""
    if isinstance(given, str):
        if given in MODES:
            return MODES[given]
        make, worth = _maker(given)
        return _mode(given, Named(_make_named, given, make, address), worth)
    if isinstance(given, Executor):
        remember_home(given)
        ours = isinstance(given, ThreadPoolExecutor | ProcessPoolExecutor)
        return _mode(type(given).__name__, given, TARGET if ours else WORTH)
    if callable(given) and _takes_nothing(given):
        return _mode(name_of(given), given, WORTH)
    raise ConfigurationError(
        f"execution_mode must be one of {', '.join(names())}, a concurrent.futures.Executor, or a "
        f"function without parameters that makes one; got {short_repr(given)}"
    )


def with_timeouts() -> list[str]:
    """The names of those of our modes that can leave a call before it returns."""
    return [name for name, mode in MODES.items() if mode.interrupts]


def with_replaced_workers() -> list[str]:
    """The names of those of our modes that can replace a worker by another one."""
    return [name for name, mode in MODES.items() if mode.replaces]


def takes_address(given: Any) -> bool:
    """Whether there is something at an address behind this name."""
    return (
        isinstance(given, str)
        and given not in MODES
        and (given not in EXECUTORS or EXECUTORS[given].addressed)
    )


def _mode(title: str, executor: Any, worth: float) -> Mode:
    made = isinstance(executor, Executor)

    def workers() -> int:
        return (workers_of(executor) if made else None) or cores()

    toll = TOLL if worth >= WORTH else 0.0
    beside = calls_here(executor)
    return Mode(_RUNNER, False, True, beside, workers, False, worth, title, executor, toll)


def _maker(name: str) -> tuple[Callable[[str | None], Executor], float]:
    if name in EXECUTORS:
        known = EXECUTORS[name]
        package = find_spec(known.needs)
        if package is None or package.origin is None:  # a mere folder of its name, as ray leaves in /tmp
            raise ConfigurationError(
                f"execution_mode={name!r} needs {known.needs}, which is not installed: "
                f'pip install "every-task[{known.extra}]"'
            )
        return import_module(known.module, "task_manager._engines").executor, known.worth
    found: list[EntryPoint] = [one for one in entry_points(group=GROUP) if one.name == name]
    if not found:
        raise ConfigurationError(
            f"execution_mode must be one of {', '.join(names())}, a concurrent.futures.Executor, or a "
            f"function without parameters that makes one; got {name!r}"
        )
    try:
        return found[0].load(), WORTH
    except Exception as error:
        raise ConfigurationError(
            f"execution_mode={name!r} cannot be loaded from {found[0].value}: "
            f"{type(error).__name__}: {error}"
        ) from error


def _make_named(name: str, make: Callable[[str | None], Executor], address: str | None) -> Executor:
    return make(address)


def _takes_nothing(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind()
    except TypeError:
        return False
    except ValueError:  # it does not tell
        pass
    return True
