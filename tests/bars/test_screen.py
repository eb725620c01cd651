"""What a person sees in a terminal: bars that are whole, and what is printed above them."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pyte")
pytest.importorskip("pty")

from screen import run_in_terminal

READ = """
    import logging, sys, threading, time
    from contextlib import redirect_stdout
    from task_manager import TaskChain, TaskManager

    def read(n):
        time.sleep(0.03)
        print("read", n)
        if n % 4 == 3:
            print("odd", n, file=sys.stderr)
        if n == 2:
            raise ValueError(n)
        return n

    async def read_async(n):
        return read(n)

    def manager(mode, name="Reading", func=read):
        limit = None if mode == "serial" else 2
        return TaskManager(func, mode, limit, show_progress=True, progress_desc=name, logger=None)
"""
PRINTED = [*(f"read {n}" for n in range(8)), "odd 3", "odd 7"]


@pytest.mark.parametrize("columns", [80, 160])
@pytest.mark.parametrize("mode", ["serial", "thread", "process", "async"])
def test_what_is_printed_does_not_tear_the_bar(mode: str, columns: int, tmp_path: Path) -> None:
    """On stdout and on stderr, in every mode: whole lines above one whole bar."""
    func = "read_async" if mode == "async" else "read"
    lines = run_in_terminal(
        f"{READ}\n    before = sys.stdout, sys.stderr\n"
        f"    manager({mode!r}, func={func}).start(range(8))\n"
        "    assert before == (sys.stdout, sys.stderr)\n    print(type(sys.stdout).__name__)\n",
        tmp_path,
        columns,
    )

    *printed, bar, last = lines
    assert sorted(PRINTED) == sorted(printed)
    assert bar.startswith("Reading: 100%|")
    assert bar.endswith("task/s, failed=1]")
    assert len(bar) < columns
    assert "TextIOWrapper" == last


@pytest.mark.parametrize("mode", ["serial", "thread", "process"])
def test_the_bars_of_a_chain_end_in_the_order_of_its_stages(mode: str, tmp_path: Path) -> None:
    """Each once, below what was printed."""
    lines = run_in_terminal(
        f"{READ}\n    names = ['First', 'Second', 'Third']\n"
        f"    stages = [manager('serial', name, abs if n else read) for n, name in enumerate(names)]\n"
        f"    TaskChain(stages, {mode!r}).start_chain(range(8))\n",
        tmp_path,
    )

    assert sorted(PRINTED) == sorted(lines[:-3])
    assert ["First", "Second", "Third"] == [line.partition(":")[0] for line in lines[-3:]]


@pytest.mark.parametrize("mode", ["serial", "thread", "process"])
def test_after_ctrl_c_bar_and_line_are_whole(mode: str, tmp_path: Path) -> None:
    """The bar as it was, below it what is kept, then Python's own."""
    lines = run_in_terminal(
        f"{READ}\n    manager({mode!r}).start(range(1000))\n", tmp_path, interrupt_at="read 9"
    )

    (said,) = [line for line in lines if "stopped by Ctrl-C" in line]
    assert said.startswith("read: stopped by Ctrl-C: ")
    bar = lines[lines.index(said) - 1]
    assert bar.startswith("Reading: ")
    assert "100%" not in bar
    assert "KeyboardInterrupt" == lines[-1]


def test_a_line_without_an_end_is_not_lost(tmp_path: Path) -> None:
    """Dots, a question, and what is left at the end; and a line by parts is one line."""
    lines = run_in_terminal(
        """
        import sys
        from task_manager import ProgressManager
        with ProgressManager(total=3) as progress:
            for part in ("one ", "line ", "by parts\\n", "the rest"):
                print(part, end="", flush=True)
                progress.update(1 if part != "the rest" else 0)
                progress.refresh()
        print(" and more")
        """,
        tmp_path,
    )

    assert "one line by parts" == lines[0]
    assert lines[1].startswith("Processing: 100%|")
    assert "the rest and more" == lines[2]


def test_a_bar_within_a_bar_is_drawn(tmp_path: Path) -> None:
    """A tqdm of the user's own in the function, and its write, in another thread too."""
    lines = run_in_terminal(
        f"""{READ}
    from tqdm import tqdm

    def with_bar(n):
        for _ in tqdm(range(3), desc=f"inner {{n}}", leave=False):
            time.sleep(0.01)
        tqdm.write(f"written {{n}}")

    manager("thread", func=with_bar).start(range(4))
    """,
        tmp_path,
    )

    assert ["written 0", "written 1", "written 2", "written 3"] == sorted(lines[:-1])
    assert lines[-1].startswith("Reading: 100%|")


def test_what_the_user_redirects_is_the_users(tmp_path: Path) -> None:
    """Also where that outlasts the run, and puts back what it has found in it."""
    lines = run_in_terminal(
        f"""{READ}
    import io
    kept, redirections = io.StringIO(), []

    def redirect(n):
        redirections.append(redirect_stdout(kept))
        redirections[-1].__enter__()
        print("kept")

    manager("serial", func=redirect).start([1])
    redirections[-1].__exit__(None, None, None)
    print("shown", repr(kept.getvalue()))
    manager("serial", func=abs).start([1])
    print(type(sys.stdout).__name__)
    """,
        tmp_path,
    )

    assert "shown 'kept\\n'" in lines
    assert "TextIOWrapper" == lines[-1]


def test_handlers_that_hold_stderr_use_tqdm(tmp_path: Path) -> None:
    """The recipe of docs/logging.md, for logging and for loguru."""
    lines = run_in_terminal(
        f"""{READ}
    from loguru import logger
    from tqdm import tqdm
    from tqdm.contrib.logging import logging_redirect_tqdm
    logging.basicConfig(format="%(message)s")
    logger.remove()
    logger.add(lambda text: tqdm.write(text, end=""), format="{{message}}")

    def log(n):
        logger.info(f"loguru {{n}}")
        logging.warning(f"logging {{n}}")

    with logging_redirect_tqdm():
        manager("thread", func=log).start(range(3))
    """,
        tmp_path,
    )

    assert sorted([f"{who} {n}" for who in ("loguru", "logging") for n in range(3)]) == sorted(
        lines[:-1]
    )
    assert lines[-1].startswith("Reading: 100%|")
