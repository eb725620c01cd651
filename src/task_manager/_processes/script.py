"""The script, `__main__`: where its file is, and whether another process can import it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

_seen: tuple[ModuleType | None, str | None] = (None, None)


def script_file() -> str | None:
    """Where the script stands; None where it is no file, as at a prompt.

    CPython deletes `__main__.__file__` when it has run the last line, while threads may still be at
    work; so it is remembered. At the prompt of `python -i` what follows stands in no file.
    """
    global _seen
    main = sys.modules["__main__"]
    file: str | None = getattr(main, "__file__", None)
    if file is not None:
        _seen = main, file
    elif main is _seen[0] and not hasattr(sys, "ps1"):
        file = _seen[1]
    return file


script_file()  # this module is imported by the script, before its end


def restore_script_file() -> bool:
    """Tell multiprocessing where the script is, also after its last line; whether that was needed."""
    main = sys.modules["__main__"]
    file = script_file()
    if file is None or hasattr(main, "__file__"):
        return False
    main.__file__ = file
    return True


def script_can_be_imported() -> bool:
    """Whether a process that was not forked finds in its `__main__` what stands in this one.

    multiprocessing imports a script, and a module that was run by `python -m`; but no `__main__.py`,
    neither of a package nor of a folder or an archive, since those may have no guard.
    """
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is not None:
        return str(spec.name).rpartition(".")[2] != "__main__"
    file = script_file()
    return file is not None and Path(file).is_file()
