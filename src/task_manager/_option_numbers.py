"""Numbers among the options, checked at the door: counts, seconds, rates, shares.

Each function returns the value, or says what came and what is right.
"""

from __future__ import annotations

import re
import sys
from typing import Any

from ._rules.rate import Rate
from .errors import ConfigurationError

LARGEST = sys.float_info.max  # a whole number may be larger, and then is no number of seconds
MOST_IN_A_WINDOW = 1_000_000
_LENGTHS = {
    **dict.fromkeys(("s", "sec", "second"), 1.0),
    **dict.fromkeys(("min", "minute"), 60.0),
    **dict.fromkeys(("h", "hour"), 3600.0),
    **dict.fromkeys(("d", "day"), 86400.0),
}
_RATE = re.compile(rf"\s*([0-9][0-9_,]{{0,20}})\s*/\s*({'|'.join(_LENGTHS)})\s*", re.ASCII)


def whole(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ConfigurationError(f"{name} must be a whole number of at least {least}; got {value!r}")
    return value


def whole_or_none(name: str, value: Any, least: int) -> int | None:
    if value is None:
        return None
    try:
        return whole(name, value, least)
    except ConfigurationError:
        raise ConfigurationError(
            f"{name} must be None or a whole number of at least {least}; got {value!r}"
        ) from None


def seconds(name: str, value: Any) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= LARGEST:
        raise ConfigurationError(f"{name} must be a number of seconds from 0 up; got {value!r}")
    return float(value)


def rate(name: str, value: Any) -> Rate | None:
    """So many attempts in so many seconds, out of "20/s", "500/min", "2000/h" or (500, 60)."""
    if value is None:
        return None
    count, length = None, None
    if isinstance(value, str):
        found = _RATE.fullmatch(value.lower())
        if found is not None:
            count, length = int(found[1].replace(",", "").replace("_", "")), _LENGTHS[found[2]]
    elif isinstance(value, tuple | list) and len(value) == 2:
        count, length = value
    numbers = type(count) is int and isinstance(length, int | float) and not isinstance(length, bool)
    if not numbers or not 1 <= count <= MOST_IN_A_WINDOW or not 0 < length <= LARGEST:  # type: ignore[operator]
        raise ConfigurationError(
            f"{name} must be None, or how many attempts may begin in what time, as '20/s', '500/min', "
            f"'2000/h' or (500, 60), which is 500 in 60 seconds; got {value!r}"
        )
    return Rate(count, float(length))  # type: ignore[arg-type]


def max_failures(name: str, value: Any) -> int | float | None:
    """A number of tasks, or their share."""
    if value is None or (type(value) is int and value >= 0):
        return value
    if isinstance(value, float) and 0 < value < 1:
        return float(value)
    raise ConfigurationError(
        f"{name} must be None, a number of tasks from 0 up, or a share of them between 0 and 1, "
        f"as 0.05; got {value!r}"
    )


def seconds_or_none(name: str, value: Any) -> float | None:
    """Above 0; None is no limit."""
    if value is None:
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < value <= LARGEST:
        raise ConfigurationError(f"{name} must be None or a number of seconds above 0; got {value!r}")
    return float(value)
