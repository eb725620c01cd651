"""The scenarios among the examples are as short as they say: at most twenty lines of the user's own."""

import ast
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
SCENARIOS = [
    "crawl_sites",
    "transcode_files",
    "make_thumbnails",
    "paid_api",
    "download_parse_insert",
    "simulate_overnight",
    "nightly_reports",
    "watch_folder",
    "score_rows",
]
MOST_LINES = 20
MADE = "# ----"  # begins what makes the data, and the server that has it; it ends at the guard
GUARD = 'if __name__ == "__main__":'


def lines_of_the_users_own(source: str) -> list[str]:
    """Without imports, blank lines, comments, docstrings, and the code that makes the data.

    A statement counts as many lines as it takes.
    """
    left_out: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if text or isinstance(node, ast.Import | ast.ImportFrom):
            left_out |= set(range(node.lineno, node.end_lineno + 1))
    lines = source.splitlines()
    made = next(n for n, line in enumerate(lines, start=1) if line.startswith(MADE))
    left_out |= set(range(made, lines.index(GUARD) + 1))
    return [
        line
        for number, line in enumerate(lines, start=1)
        if number not in left_out and line.strip() and not line.strip().startswith("#")
    ]


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_takes_twenty_lines(name):
    """At most so many that somebody with this work would write."""
    lines = lines_of_the_users_own((EXAMPLES / f"{name}.py").read_text(encoding="utf-8"))

    assert len(lines) <= MOST_LINES, "\n".join(lines)


def test_the_lines_that_count():
    """All but what a script has anyway, and what it would have from elsewhere."""
    source = f'''"""Text."""
import os
from sys import (
    argv,
)

# a comment
def work(x):  # counts
    """Text."""
    return (
        x
    )

{MADE} the data
def made(): ...
{GUARD}
    work(1)
'''

    expected = ["def work(x):  # counts", "    return (", "        x", "    )", GUARD, "    work(1)"]
    assert expected == lines_of_the_users_own(source)
