"""What pickle refuses as no module has it by its name: through cloudpickle, where that is installed."""

from __future__ import annotations

import io
import pickle
import sys
from types import FunctionType
from typing import Any

from .._signals import let_through
from .script import script_can_be_imported

INSTALL = "pip install cloudpickle"
_BY_NAME = "Can't pickle ", "Can't get local object "  # so pickle begins where it finds no such name


def dumps_by_value(value: object, refusal: Exception) -> bytes:
    """The bytes of a lambda, a closure, or what holds one. refusal: What pickle has said of it.

    Raises what cloudpickle does; without it what pickle said, and what to install if that would help.
    """
    try:
        import cloudpickle
    except ImportError:
        if not missed_by_name(refusal):
            raise refusal from None
        text = f"{refusal}; {INSTALL}: with it lambdas, closures and local classes travel"
        raise pickle.PicklingError(text) from refusal

    class ByValue(cloudpickle.Pickler):  # type: ignore[misc]
        """A class or a function of the script goes by its name, as it does through pickle.

        cloudpickle would send all of `__main__` by value: what arrives would be of another class.
        """

        def reducer_override(self, obj: Any) -> Any:
            if importable and isinstance(obj, type | FunctionType) and _is_of_script(obj):
                return NotImplemented
            return super().reducer_override(obj)

    importable = script_can_be_imported()
    packed = io.BytesIO()
    ByValue(packed, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    return packed.getvalue()


def _is_of_script(found: Any) -> bool:
    """Whether it stands at the top of the script, by the name that it has."""
    main = sys.modules["__main__"]
    return found.__module__ == "__main__" and vars(main).get(found.__qualname__) is found


def missed_by_name(refusal: Exception) -> bool:
    """Whether pickle has refused a function or a class that stands at the top of no module."""
    by_name = isinstance(refusal, (pickle.PicklingError, AttributeError))
    return by_name and str(refusal).startswith(_BY_NAME)


def dumps_far(packed: bytes, value: object) -> bytes:
    """What pickle made of a value, for a process whose `__main__` is not this script.

    What is of the script goes by its code there, where cloudpickle is installed.
    """
    if not names_script(packed):
        return packed
    try:
        return dumps_code(value)
    except Exception as error:  # as where cloudpickle is not installed
        let_through(error)
        return packed


def names_script(packed: bytes) -> bool:
    """Whether something of the script is named in it: by the second name in a spawned process."""
    return b"__main__" in packed or b"__mp_main__" in packed


def dumps_code(value: object) -> bytes:
    """All that is of the script by its code. Raises what cloudpickle does."""
    import cloudpickle

    spawned = sys.modules.get("__mp_main__")
    if spawned is not None:
        cloudpickle.register_pickle_by_value(spawned)  # it would send it by that name
    try:
        by_value: bytes = cloudpickle.dumps(value)
    finally:
        if spawned is not None:
            cloudpickle.unregister_pickle_by_value(spawned)
    return by_value
