"""What pickle refuses as no module has it by its name: through cloudpickle, where that is installed."""

from __future__ import annotations

import pickle

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
    packed: bytes = cloudpickle.dumps(value)
    return packed


def missed_by_name(refusal: Exception) -> bool:
    """Whether pickle has refused a function or a class that stands at the top of no module."""
    by_name = isinstance(refusal, (pickle.PicklingError, AttributeError))
    return by_name and str(refusal).startswith(_BY_NAME)
