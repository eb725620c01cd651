"""What may be given as execution_mode besides the names of our modes."""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

import functions as f
from task_manager import ConfigurationError, TaskManager

ENTRIES = "[task_manager.modes]\nslowly = their_package:make\nnowhere = their_package:missing\n"
THEIRS = """
from concurrent.futures import ThreadPoolExecutor

asked = []

def make(address):
    asked.append(address)
    return ThreadPoolExecutor(1)
"""


@pytest.fixture
def their_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A package that brings modes of its own."""
    told = tmp_path / "their_package-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text(ENTRIES)
    (tmp_path / "their_package.py").write_text(THEIRS)
    monkeypatch.syspath_prepend(str(tmp_path))
    return importlib.import_module("their_package")


def test_another_package_brings_a_mode(their_package: Any) -> None:
    """By an entry point, which makes the executor, and is told the address."""
    with TaskManager(f.double, "slowly", address="far:1", logger=None) as manager:  # type: ignore[call-overload]
        manager.start(range(10))

        assert {n: 2 * n for n in range(10)} == manager.get_result_dict()
        assert "<TaskManager double in slowly mode>" == repr(manager)
    assert ["far:1"] == their_package.asked


def test_one_that_cannot_be_loaded_is_told(their_package: Any) -> None:
    """At the door, with what its entry point says."""
    with pytest.raises(ConfigurationError, match="cannot be loaded from their_package:missing"):
        TaskManager(f.double, "nowhere")  # type: ignore[call-overload]


@pytest.mark.parametrize("spec", [None, ModuleSpec("distributed", None)], ids=["nothing", "a folder"])
def test_what_is_not_installed_is_told_with_the_command(
    spec: ModuleSpec | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the name that this package is installed by. A mere folder of that name is no package."""
    monkeypatch.setattr("task_manager._runners.modes.find_spec", lambda name: spec)
    expected = (
        "execution_mode='dask' needs distributed, which is not installed: "
        'pip install "every-task[dask]"'
    )
    with pytest.raises(ConfigurationError) as caught:
        TaskManager(f.double, "dask")

    assert expected == str(caught.value)


def test_an_address_is_of_an_engine() -> None:
    """In our own modes there is nothing at it."""
    with pytest.raises(ConfigurationError, match="address is where an engine is, of "):
        TaskManager(f.double, "thread", address="tcp://10.0.0.1:8786")
