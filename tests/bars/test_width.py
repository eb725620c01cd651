"""The counts are never cut off: the bar yields, then the description, then the rest."""

from __future__ import annotations

import pytest
from tqdm.utils import disp_len

from task_manager._bars.terminal import bar_class


def line(columns: int | None, desc: str, total: int | None, n: int = 120) -> str:
    text: str = bar_class(False).format_meter(
        n, total, 3.0, ncols=columns, prefix=desc, unit=" task", postfix="failed=2, retried=4"
    )
    return text


@pytest.mark.parametrize("total", [300, None, 100])
@pytest.mark.parametrize(
    "desc", ["Reading", "", "Reading everything that there is on the disk", "读取文件" * 12]
)
@pytest.mark.parametrize("columns", [159, 79, 60, 39, 30])
def test_the_counts_are_whole_in_any_width(columns: int, desc: str, total: int | None) -> None:
    """At 160, 80 and 40 columns and less, however long and wide the description."""
    text = line(columns, desc, total)

    assert "failed=2, retried=4" in text
    assert "120" in text
    assert disp_len(text) <= columns


def test_the_bar_yields_first() -> None:
    """The description is whole as long as there is a bar."""
    text = line(75, "Reading", 300)

    assert text.startswith("Reading:  40%|")
    assert text.endswith("| 120/300 [00:03<00:04, 40.00 task/s, failed=2, retried=4]")


def test_then_the_description_yields() -> None:
    """To some ten columns; and of what is left the rate goes before it goes altogether."""
    long = "Reading everything that there is"

    assert "Reading everyt...: 40% 120/300 [00:03<00:04, 40.00 task/s, failed=2, retried=4]" == line(
        79, long, 300
    )
    assert line(39, long, 300).endswith(": 120/300, failed=2, retried=4")


def test_nothing_is_cut_where_the_width_is_unknown() -> None:
    """All is shown, with a bar of ten columns."""
    text = line(None, "Reading everything that there is on the disk", 300)

    assert text.startswith("Reading everything that there is on the disk:  40%|")
    assert text.endswith("failed=2, retried=4]")
