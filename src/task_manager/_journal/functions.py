"""By what name a journal knows a function: its module and its qualified name, "crawl:fetch".

It must be the same at every start of the same script, and another one for another function.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from .._repr import one_line
from .._signals import let_through
from ..errors import JournalError

SCRIPT = "__main__"


def name_in_journal(func: Callable[..., Any]) -> str:
    """The name of a function, "module:qualname".

    Of a partial, that of what it was made of; its arguments count as little as the code. Of a method,
    the class of its object and its own name. Of an object that is called, its class. A script counts by
    the name under which it would be imported, so that `python crawl.py`, `python -m crawl` and an import
    of it agree; at a prompt and in a notebook that is "__main__".

    Raises JournalError for a lambda, which has no name that would tell it from others.
    """
    while isinstance(func, functools.partial):
        func = func.func
    module, name = _place(func)
    if name.rpartition(".")[2] == "<lambda>":
        raise JournalError(
            "a journal knows a function by its name, and a lambda has none: define it with `def`"
        )
    return one_line(f"{module}:{name}")


def _place(func: Any) -> tuple[str, str]:
    owner = _read(func, "__self__")
    name = _text(func, "__qualname__") or _text(func, "__name__")
    if name and owner is not None and not isinstance(owner, ModuleType):  # a method
        kind = owner if isinstance(owner, type) else type(owner)
        return _module(kind), f"{kind.__qualname__}.{name.rpartition('.')[2]}"
    if name:
        return _module(func), name
    return _module(type(func)), type(func).__qualname__


def _module(named: Any) -> str:
    module = _text(named, "__module__") or "builtins"
    if module not in (SCRIPT, "__mp_main__"):
        return module
    # Of the function itself: under a profiler or a debugger, that may be the module `__main__`.
    names = _read(named, "__globals__")
    for method in vars(named).values() if isinstance(named, type) else ():
        names = names or _read(method, "__globals__")
    if not isinstance(names, dict):
        names = vars(sys.modules.get(module) or sys.modules[SCRIPT])
    spec = getattr(names.get("__spec__"), "name", None)
    if isinstance(spec, str) and spec != SCRIPT:
        return spec
    file = names.get("__file__")
    return Path(file).stem if isinstance(file, str) and not file.startswith("<") else SCRIPT


def _text(named: Any, attribute: str) -> str:
    found = _read(named, attribute)
    return found if type(found) is str else ""


def _read(named: Any, attribute: str) -> Any:
    try:
        return getattr(named, attribute, None)
    except BaseException as error:
        let_through(error)
        return None
