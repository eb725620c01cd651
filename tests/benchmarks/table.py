"""The table, the page that it stands on, and its picture."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from .measure import OFF, ON, Measured

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
PICTURE = PAGE.with_suffix(".svg")
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"

COLUMNS = ["work", "against", "which costs", "log off", "wanted", "log on", "wanted"]
PEERS = ["loguru", "tqdm", "joblib", "mpire"]


def heading() -> str:
    return f"| {' | '.join(COLUMNS)} |\n|---|---|--:|--:|--:|--:|--:|"


def line(measured: Measured) -> str:
    """One row of the table, in Markdown. A ratio above the one wanted is set in bold."""
    row = measured.row
    cells = [row.work, row.against, f"{measured.reference * row.per:.3g} {row.unit}"]
    for contestant in (OFF, ON):
        if contestant in row.contestants:
            ratio, wanted = measured.ratio(contestant), row.targets[contestant]
            cells += [f"{ratio:.3g}" if ratio <= wanted else f"**{ratio:.3g}**", f"{wanted:g}"]
        else:
            cells += ["", ""]
    return f"| {' | '.join(cells)} |"


def machine() -> str:
    """What it was measured on."""
    names = [line.split(":")[1] for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    processor = names[0].strip() if names else platform.processor()
    versions = ", ".join(f"{name} {version(name)}" for name in PEERS)
    return f"{os.cpu_count()} cores ({processor}), CPython {platform.python_version()}; {versions}"


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def write(measured: Sequence[Measured], rounds: int) -> None:
    """Put the table between the marks of docs/benchmarks.md, and draw its picture beside it."""
    page = PAGE.read_text()
    head, tail = page.partition(BEGIN)[0], page.partition(END)[2]
    table = "\n".join([heading(), *map(line, measured)])
    told = f"Measured on {machine()}; medians of {rounds} rounds."
    picture = f"![The ratios of the table as bars]({PICTURE.name})"
    PAGE.write_text(f"{head}{BEGIN}\n{told}\n\n{table}\n\n{picture}\n{END}{tail}")
    draw([each for each in measured if each.row.unit != "MB"])


def draw(measured: Sequence[Measured]) -> None:
    """Each ratio as a bar, with the one wanted as a mark; a line at 1, where both cost the same."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "task_manager"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(10, 0.5 * len(measured) + 1.5), layout="constrained")
    for contestant, shift, color in [(OFF, -0.2, "#2a6f97"), (ON, 0.2, "#89c2d9")]:
        shown = [(n, each) for n, each in enumerate(measured) if contestant in each.row.contestants]
        places = [n + shift for n, _ in shown]
        ratios = [each.ratio(contestant) for _, each in shown]
        wanted = [each.row.targets[contestant] for _, each in shown]
        axes.barh(places, ratios, height=0.38, color=color, label=f"task_manager, {contestant}")
        label = "wanted" if contestant == OFF else None
        axes.scatter(wanted, places, marker="|", s=120, color="#d00000", zorder=3, label=label)
    axes.axvline(1.0, color="black", linewidth=0.8)
    names = [f"{each.row.work}\nagainst {each.row.against}" for each in measured]
    axes.set_yticks(range(len(measured)), names, fontsize=7)
    axes.invert_yaxis()
    axes.set_xlabel("time taken, as a multiple of the other's (less is better)")
    axes.legend(loc="lower right", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(PICTURE, metadata={"Date": None})
    pyplot.close(figure)
