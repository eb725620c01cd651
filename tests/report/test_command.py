"""The command: its options, its exit codes, and how it ends when nobody reads any more."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from report import journals as j
from report.commands import COMMAND, command, environment
from task_manager._report.command import main

VIEWS: dict[str, list[str]] = {
    "report": [],
    "errors": ["--errors"],
    "tasks": ["--tasks", "all"],
    "json": ["--json", "--tasks", "all"],
    "csv": ["--csv"],
    "follow": ["--follow"],
}


@pytest.fixture
def crawl(tmp_path: Path) -> Path:
    tasks = [j.task(f"task {n}", 1 + n % 2, seconds=n / 10) for n in range(10)]
    errors = {n: j.error() for n in range(2, 11, 2)}
    return j.journal(tmp_path / "crawl.db", tasks, errors, [j.run()])


class Trap:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_is_unpickled(tmp_path: Path, view: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A journal whose pickles would make a file: none is made, whatever is asked for."""
    trap = pickle.dumps(Trap(tmp_path / "sprung"))
    tasks = [(trap, "Page('x')", state, 0, trap, 1, 0.1, j.BEGAN, 1) for state in (1, 2, 3, 4)]
    path = j.journal(tmp_path / "crawl.db", tasks, {2: (trap, *j.error()[1:])}, [j.run()])

    assert 0 == main([str(path), *VIEWS[view]])
    out, err = capsys.readouterr()

    assert "" == err
    assert "Page('x')" in out or view == "follow"
    assert not (tmp_path / "sprung").exists()
    pickle.loads(trap)
    assert (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("--json --csv", "--json and --csv do not go together"),
        ("--errors --tasks failed", "--errors and --tasks do not go together"),
        ("--errors --json", "--errors and --json do not go together"),
        ("--errors --csv", "--errors and --csv do not go together"),
        ("--follow --json", "--follow and --json do not go together"),
        ("--follow --csv", "--follow and --csv do not go together"),
        ("--follow --errors", "--follow and --errors do not go together"),
        ("--follow --tasks done", "--follow and --tasks do not go together"),
        ("--follow --limit 3", "--follow and --limit do not go together"),
        ("--every 2", "--every is of --follow"),
        ("--limit 0", "argument --limit: it must be a whole number from 1 on; got '0'"),
        ("--limit -1", "argument --limit: it must be a whole number from 1 on; got '-1'"),
        ("--limit many", "argument --limit: it must be a whole number from 1 on; got 'many'"),
        (
            "--follow --every 0",
            "argument --every: it must be a number of seconds from 0.1 to 86400; got '0'",
        ),
        ("--task failed", "unrecognized arguments: --task failed"),
    ],
)
def test_what_does_not_fit_is_refused(
    crawl: Path, capsys: pytest.CaptureFixture[str], given: str, said: str
) -> None:
    """With exit code 2, and what is wrong in the last line."""
    with pytest.raises(SystemExit) as ended:
        main([str(crawl), *given.split()])
    out, err = capsys.readouterr()

    assert (2, "") == (ended.value.code, out)
    assert f"python -m task_manager: error: {said}" == err.splitlines()[-1]


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    """It names each option, gives examples, and says what exit codes mean."""
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    out = capsys.readouterr().out

    assert 0 == ended.value.code
    for part in ("--errors", "--tasks", "--json", "--csv", "--follow", "--every", "--limit"):
        assert part in out
    for part in ("examples:", "exit code", "NO_COLOR", "started   a call may have begun"):
        assert part in out


@pytest.mark.parametrize("view", VIEWS)
def test_a_wrong_file(tmp_path: Path, view: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A sentence on stderr, nothing on stdout, exit code 2, whatever is asked for."""
    path = tmp_path / "notes.txt"
    path.write_text("no journal\n")

    assert 2 == main([str(path), *VIEWS[view]])
    said = f"python -m task_manager: {path} is no journal of task_manager\n"
    assert ("", said) == capsys.readouterr()


def test_a_name_with_escapes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It does not colour the message."""
    assert 2 == main([str(tmp_path / "a\x1b[31m\nb")])
    assert capsys.readouterr().err.endswith("a\\x1b[31m b is not there\n")


@pytest.mark.parametrize("view", ["errors", "tasks", "json"])
def test_a_reader_who_has_enough(tmp_path: Path, view: str) -> None:
    """As `| head -1`: it ends quietly."""
    tasks = [j.task("x" * 200, 2)] * 3000
    path = j.journal(tmp_path / "crawl.db", tasks, {n + 1: j.error() for n in range(3000)})
    process = subprocess.Popen(
        [*COMMAND, str(path), *VIEWS[view]],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()

    assert (b"", 0) == (err, process.wait())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device here")
@pytest.mark.parametrize("view", ["report", "csv"])
def test_a_disk_that_is_full(crawl: Path, view: str) -> None:
    """What is written nowhere is said."""
    with open("/dev/full", "wb") as full:
        answer = command(crawl, *VIEWS[view], stdout=full)

    said = "python -m task_manager: the output cannot be written: No space left on device\n"
    assert ("", said, 2) == answer


@pytest.mark.skipif(shutil.which("sh") is None, reason="needs a shell")
def test_no_stdout(crawl: Path) -> None:
    """As under `>&-`."""
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *COMMAND, str(crawl)],
        stderr=subprocess.PIPE,
        env=environment(),
        check=False,
    )

    assert (b"python -m task_manager: there is no stdout to write to\n", 2) == (
        done.stderr,
        done.returncode,
    )


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="no Ctrl-C can be sent here")
def test_ctrl_c(tmp_path: Path) -> None:
    """It ends at once, and without a word."""
    path = tmp_path / "crawl.db"
    script = j.writer(path, "print('ready', flush=True)\nsys.stdin.read()\n")
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        follower = subprocess.Popen(
            [*COMMAND, str(path), "--follow"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        assert follower.stdout is not None
        first = follower.stdout.readline()
        time.sleep(0.1)
        follower.send_signal(signal.SIGINT)
        out, err = follower.communicate()
        writer.communicate()

    assert b"1,000 done" in first
    assert (b"", b"", 130) == (out, err, follower.returncode)


def test_what_cannot_be_encoded(tmp_path: Path) -> None:
    """Where stdout takes ASCII alone, the rest is shown as escapes; a table is in UTF-8."""
    path = j.journal(tmp_path / "crawl.db", [j.task("爬虫")])
    ascii_only = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}

    assert "\\u722c\\u866b\n" == command(path, "--tasks", "all", env=ascii_only).out
    assert "爬虫" in command(path, "--csv", env=ascii_only).out


def test_the_package_does_not_import_it() -> None:
    """To import task_manager costs nothing of it."""
    script = (
        "import sys, task_manager; print([m for m in sys.modules if '_report' in m or 'argparse' in m])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment(), check=True
    )

    assert "[]\n" == done.stdout


def test_without_sqlite(
    crawl: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Python that was built without it says so."""
    monkeypatch.setitem(sys.modules, "task_manager._report.file", None)

    assert 2 == main([str(crawl)])
    assert "python -m task_manager: this Python has no SQLite: " in capsys.readouterr().err


WITHOUT_POSIX = Path(__file__).parent.parent / "without_posix"


@pytest.mark.parametrize("view", ["report"])
def test_f35_without_posix(crawl: Path, view: str) -> None:
    """The same is shown where there is no POSIX, as on Windows."""
    path = os.pathsep.join([str(WITHOUT_POSIX), *filter(None, sys.path)])
    there, here = (command(crawl, *VIEWS[view], env=env) for env in ({"PYTHONPATH": path}, {}))

    assert ("", 0) == there[1:]
    assert len(here.out.splitlines()) == len(there.out.splitlines())
