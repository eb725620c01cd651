"""What a bar shows in a line of so many columns: the counts always, the rest as far as there is room.

What yields, in this order: the bar itself, the description down to a few columns, the rate and the
percentage, the time that is left, the time that has passed, the rest of the description.
"""

from __future__ import annotations

from collections.abc import Callable

SHORT = 10  # columns of the description that are kept as long as something else can yield

_KNOWN = (
    "{percentage:3.0f}% {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]",
    "{n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]",
    "{n_fmt}/{total_fmt} [{elapsed}{postfix}]",
    "{n_fmt}/{total_fmt}{postfix}",
)
_UNKNOWN = (
    "{n_fmt}{unit} [{elapsed}, {rate_fmt}{postfix}]",
    "{n_fmt}{unit} [{elapsed}{postfix}]",
    "{n_fmt}{unit}{postfix}",
)


def fitted(
    meter: Callable[..., str],
    columns_of: Callable[[str], int],
    desc: str,
    columns: int,
    *,
    known: bool,
) -> str:
    """The line of a bar.

    meter: As tqdm's `format_meter`, but for prefix, ncols and bar_format.
    columns_of: How wide a text is on a screen: of some scripts a letter takes two columns.
    known: It is known how many tasks come.
    """
    desc = desc.removesuffix(": ")
    if known:
        rest = columns_of(meter(prefix=desc, ncols=None, bar_format="{l_bar}{r_bar}"))
        if rest < columns:
            return meter(prefix=desc, ncols=columns, bar_format=None)
    line = ""
    for form in _KNOWN if known else _UNKNOWN:
        line = meter(prefix="", ncols=None, bar_format=form).strip()
        room = columns - columns_of(line) - len(": ")
        if room >= min(columns_of(desc), SHORT):
            break
    start = cut(desc, room, columns_of)
    return cut(f"{start}: {line}" if start else line, columns, columns_of)


def cut(text: str, columns: int, columns_of: Callable[[str], int]) -> str:
    """The beginning of a text that is no wider than this, and dots where something was left out."""
    if columns_of(text) <= columns:
        return text
    dots = "..." if columns > len("...") else ""
    wide = 0
    for place, letter in enumerate(text):
        wide += columns_of(letter)
        if wide > columns - len(dots):
            return text[:place] + dots
    return text
