"""The examples run as they stand, and print what is true."""

import os
import runpy
import signal
import subprocess
import sys
import sysconfig
from collections import Counter
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
STDLIB = Path(sysconfig.get_path("stdlib"))
PATIENCE = 60


def run(name, folder, *options):
    """Run an example from an empty folder, as a person would; its lines, and what it wrote to stderr."""
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *map(str, options)]
    done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), done.stderr


def rows(lines, *heads):
    """The words of the lines that begin with one of the heads, by head."""
    words = [line.split() for line in lines]
    return {found[0]: found[1:] for found in words if found and found[0] in heads}


def block(lines, head):
    """The indented lines after the one that begins with this head."""
    start = next(i for i, line in enumerate(lines) if line.startswith(head)) + 1
    end = next((i for i in range(start, len(lines)) if not lines[i].startswith(" ")), len(lines))
    return [line.strip() for line in lines[start:end]]


# ------------------------------------------------------------------ hash_files


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "files"
    (folder / "inner").mkdir(parents=True)
    for number in range(5):
        (folder / "inner" / f"{number}.bin").write_bytes(bytes([number]) * 500_000)
    (folder / "dangling").symlink_to(folder / "nowhere")
    return folder


def test_every_mode_hashes_every_file(folder, tmp_path):
    """Each mode has the same files, the same megabytes and the same failures."""
    lines, errors = run("hash_files", tmp_path, folder)
    table = rows(lines, "serial", "thread", "process", "async")
    actual = {mode: (files, mb, failed) for mode, (files, mb, _, _, failed) in table.items()}

    expected = dict.fromkeys(("serial", "thread", "process", "async"), ("5", "2.5", "2"))
    assert expected == actual
    assert lines[-1] == "All modes agree."
    assert errors == ""


def test_names_the_files_that_cannot_be_read(folder, tmp_path):
    """Such a file costs no other one anything, and is named with its reason."""
    lines, _ = run("hash_files", tmp_path, folder)

    expected = [
        "dangling: No such file or directory",
        "a_file_that_is_not_there.txt: No such file or directory",
    ]
    assert expected == block(lines, "Could not be read")


def test_counts_the_failures_that_it_does_not_name(folder, tmp_path):
    """The first three are named, the others counted."""
    for number in range(4):
        (folder / f"dangling{number}").symlink_to(folder / "nowhere")
    lines, _ = run("hash_files", tmp_path, folder)

    assert block(lines, "Could not be read")[3:] == ["and 3 more"]


# ------------------------------------------------------------------ count_words

SOURCES = 80


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    """The lines of one run."""
    lines, errors = run("count_words", tmp_path_factory.mktemp("empty"), "--limit", SOURCES)
    assert errors == ""
    return lines


@pytest.fixture(scope="module")
def by_hand():
    """The words, and the files that failed at each stage, by its own functions in a plain loop."""
    example = runpy.run_path(str(EXAMPLES / "count_words.py"))
    words, failed = Counter(), {"read": [], "parse": []}
    for path in example["find"](SOURCES):
        stage = "read"
        try:
            source = example["read"](path)
            stage = "parse"
            code = example["parse"](source)
        except (SyntaxError, ValueError):
            failed[stage].append(path.name)
        else:
            words.update(example["count"](code))
    return words, failed


def test_both_chains_answer_for_every_source(counted, by_hand):
    """One stage after the other, or all at the same time: the same sources arrive."""
    _, failed = by_hand
    lost = sum(map(len, failed.values()))
    actual = {mode: row[:3] for mode, row in rows(counted, "serial", "process").items()}

    row = [f"{SOURCES}", f"{SOURCES - lost}", f"{lost}"]
    assert {"serial": row, "process": row} == actual
    assert counted[-1] == "The two chains agree."


def test_chains_count_as_a_plain_loop_does(counted, by_hand):
    """The table has the words that the functions find without a chain."""
    words, _ = by_hand
    table = block(counted, f"The names are made of {words.total():,} words")
    actual = {line.split()[0]: line.split()[1] for line in table}

    expected = {word: f"{times:,}" for word, times in words.most_common(10)}
    assert expected == actual


def test_names_the_stage_of_each_failure(counted, by_hand):
    """Each source that is no Python stands under the stage at which it failed."""
    _, failed = by_hand
    actual = {"read": [], "parse": []}
    for line in block(counted, f"{sum(map(len, failed.values()))} sources failed"):
        if line.startswith("in stage"):
            stage = line.partition("(")[2].rstrip(")")
        else:
            actual[stage].append(line.split()[0])

    assert failed == actual


# ------------------------------------------------------------------ fetch_pages


def test_retries_what_passes_and_names_what_does_not(tmp_path):
    """Each page is there, or failed for its reason; the server counts as many requests."""
    lines, errors = run("fetch_pages", tmp_path, "--limit", 40)
    names = sorted(name for name in sys.stdlib_module_names if not name.startswith("_"))[:40]
    in_python = [
        (STDLIB / f"{name}.py").is_file() or (STDLIB / name / "__init__.py").is_file()
        for name in names[:-1]  # the last one always hangs up
    ]
    pages = in_python.count(True)
    retries = 2 * len(names[2::10]) + len(names[7::10]) + 3
    actual = rows(lines, "pages", "failed", "retries", "requests")

    expected = {"pages": pages, "failed": 40 - pages, "retries": retries, "requests": 40 + retries}
    assert expected == {head: int(words[0]) for head, words in actual.items()}
    reasons = [line.split("  ")[:2] for line in block(lines, "Why pages failed")]
    expected = [[f"{39 - pages}", "404 Not Found"], ["1", "the server hung up"]]
    assert expected == reasons
    assert errors.splitlines()[-1].startswith("Fetching: 40/40, ")  # in place of a bar, in a pipe
    assert "Traceback" not in errors


def test_fetches_nothing_if_told_so(tmp_path):
    """No page is a run with nothing to do."""
    lines, _ = run("fetch_pages", tmp_path, "--limit", 0)

    expected = {"pages": ["0"], "failed": ["0"], "retries": ["0"], "requests": ["0"]}
    assert expected == {head: words[:1] for head, words in rows(lines, *expected).items()}


# ------------------------------------------------------------------ all of them


@pytest.mark.parametrize("name", ["hash_files", "count_words", "fetch_pages"])
def test_a_reader_may_have_enough_of_it(name, folder, tmp_path):
    """As `head` does: it closes its end, and nothing is said about that."""
    command = [sys.executable, str(EXAMPLES / f"{name}.py")]
    command += [str(folder)] if name == "hash_files" else ["--limit", "20"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    )
    try:
        process.stdout.close()
        _, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()

    assert "BrokenPipe" not in errors
    assert process.returncode == 0


@pytest.mark.parametrize("name", ["hash_files", "count_words", "fetch_pages"])
def test_leaves_nothing_behind(name, tmp_path):
    """No example writes a file: not a log, not a result."""
    (tmp_path / "files").mkdir()
    run(name, tmp_path, *(["files"] if name == "hash_files" else ["--limit", 10]))

    assert sorted(path.name for path in tmp_path.rglob("*")) == ["files"]


@pytest.mark.parametrize("name", ["hash_files", "count_words", "fetch_pages"])
def test_ctrl_c_just_ends_it(name, tmp_path):
    """Ctrl-C in the middle of the work: one word on stderr, no traceback, no process left."""
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLES / f"{name}.py")],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )
    try:
        process.stdout.readline()  # the work begins
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()

    assert errors.splitlines()[-1] == "stopped"
    assert "Traceback" not in errors
    assert process.returncode == 1
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
