"""In a notebook: the widget of tqdm, which is green only where all is well."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("ipywidgets")

SETUP = """
from task_manager import ProgressManager, TaskManager
def read(n):
    if n == 2: raise ValueError(n)
    if n == 5: raise KeyboardInterrupt
    return n
def manager(): return TaskManager(read, show_progress=True, progress_desc="Reading", logger=None)
"""


EXECUTE = """
import json, sys, nbclient, nbformat
cells = [nbformat.v4.new_code_cell(cell) for cell in json.loads(sys.argv[1])]
notebook = nbformat.v4.new_notebook(cells=cells)
client = nbclient.NotebookClient(notebook, timeout=50, kernel_name="python3", allow_errors=True)
client.execute()
print(json.dumps([notebook.cells, client.widget_state]))
"""


def run(cells: list[str], folder: Path) -> tuple[list[Any], dict[str, Any]]:
    """The cells after they were executed, and the state of each widget. A process of its own."""
    command = [sys.executable, "-c", EXECUTE, json.dumps(cells)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    executed, widgets = json.loads(done.stdout)
    return executed, widgets


@pytest.mark.parametrize(
    ("work", "style", "value"),
    [
        ("manager().start([1, 3])", "success", 2),
        ("manager().start([1, 2, 3])", "danger", 3),
        ("manager().start(n for n in [1, 2, 3])", "danger", 1),
        ("manager().start([1, 5, 3])", "danger", 1),
        ("manager().start(n for n in [1, 5, 3])", "danger", 1),
        ("with ProgressManager(total=2) as bar: bar.update(2, failed=1)", "danger", 2),
    ],
)
def test_a_bar_is_green_only_where_all_is_well(
    work: str, style: str, value: int, tmp_path: Path
) -> None:
    """Red with failures, and red where the run was broken off."""
    cells, widgets = run([SETUP, work], tmp_path)

    (bar,) = [state for state in widgets.values() if state["_model_name"] == "FloatProgressModel"]
    assert (style, value) == (bar["bar_style"], bar["value"])
    shown = [out for out in cells[1]["outputs"] if out["output_type"] == "display_data"]
    assert 1 == len(shown)
