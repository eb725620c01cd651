"""The table and its picture."""

from __future__ import annotations

from .measure import OFF, ON, Measured

COLUMNS = ["work", "against", "costs", "log off", "wanted", "log on", "wanted"]


def heading() -> str:
    return f"| {' | '.join(COLUMNS)} |\n|---|---|--:|--:|--:|--:|--:|"


def line(measured: Measured) -> str:
    """One row of the table, in Markdown."""
    row = measured.row
    cells = [row.work, row.against, _figure(measured.reference * row.per, row.unit)]
    for contestant in (OFF, ON):
        if contestant in row.contestants:
            ratio, wanted = measured.ratio(contestant), row.targets[contestant]
            cells += [f"{ratio:.3g}" if ratio <= wanted else f"**{ratio:.3g}**", f"{wanted:g}"]
        else:
            cells += ["", ""]
    return f"| {' | '.join(cells)} |"


def _figure(value: float, unit: str) -> str:
    return f"{value:.3g} {unit}"


def write(measured: list[Measured], rounds: int) -> None:
    raise NotImplementedError
