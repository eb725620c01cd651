"""README.md and docs/: every example prints what is shown, every link leads somewhere.

A ```python block is a script of its own, as a reader would copy it. The ```text block that follows
it directly is its exact output; where none follows, it prints nothing.

Of a script that is killed and started again, the ```text killed block is what it prints until it dies of
SIGKILL, and the ```text again block what the second start prints; there may be prose between them.
"""

from __future__ import annotations

import inspect
import os
import re
import shlex
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

import pytest

import task_manager

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]

MOST_LINES = 12  # of the quick start
PATIENCE = 50.0  # seconds that one example may take, on the slowest of machines

NOTICE = re.compile(r".+: \d+ of \d+ tasks? failed, .+")  # on stderr, where there is a log and no bar
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]*)\)")
INLINE_CODE = re.compile(r"`[^`\n]*`")


class Block(NamedTuple):
    """A fenced block.

    line: Where it opens, from 1.
    after: The last line before it that is not blank; of another block, its opening fence.
    """

    page: str
    line: int
    language: str
    text: str
    after: str


class Example(NamedTuple):
    """A script, and what it prints; or all that is seen of it in a terminal, where that is shown.

    commands: Blocks of commands that follow it on the page, each with what it prints.
    again: What it prints when it is started once more, after it was killed.
    """

    page: str
    line: int
    script: str
    output: str
    screen: str = ""
    commands: tuple[str, ...] = ()
    again: str = ""


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks_of(page: Path) -> list[Block]:
    blocks: list[Block] = []
    after = ""
    lines = iter(enumerate(page.read_text(encoding="utf-8").splitlines(), start=1))
    for number, line in lines:
        if line.startswith("```"):
            inside: list[str] = []
            for _, text in lines:
                if text == "```":
                    break
                inside.append(f"{text}\n")
            else:
                raise ValueError(f"{name_of(page)}:{number}: this block never ends")
            blocks.append(Block(name_of(page), number, line[3:].strip(), "".join(inside), after))
            after = f"```{line[3:].strip()}"
        elif line.strip():
            after = line
    return blocks


def shows_output(block: Block) -> bool:
    """Whether this is the output of the example right before it."""
    return block.language == "text" and block.after == "```python"


def shows_screen(block: Block) -> bool:
    """Whether this is what a person sees in a terminal of the example right before it."""
    return block.language == "console" and block.after == "```python"


def shows_commands(block: Block) -> bool:
    """Whether this is what a person types after the last example has run, and what that prints."""
    return block.language == "console" and block.text.startswith("$ ")


def examples_of(page: Path) -> list[Example]:
    examples: list[Example] = []
    for block in blocks_of(page):
        if block.language == "python":
            examples.append(Example(block.page, block.line, block.text, output=""))
        elif shows_output(block):
            examples[-1] = examples[-1]._replace(output=block.text)
        elif shows_commands(block):
            examples[-1] = examples[-1]._replace(commands=(*examples[-1].commands, block.text))
        elif shows_screen(block):
            examples[-1] = examples[-1]._replace(screen=block.text)
        elif block.language == "text killed":
            examples[-1] = examples[-1]._replace(output=block.text)
        elif block.language == "text again":
            examples[-1] = examples[-1]._replace(again=block.text)
    return examples


def prose_of(page: Path) -> str:
    """The page without its code."""
    text = page.read_text(encoding="utf-8")
    fenced = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return INLINE_CODE.sub("", fenced)


def anchors_of(page: Path) -> set[str]:
    """What a link may name behind its #, as GitHub makes it of the headings."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


EXAMPLES = [example for page in PAGES for example in examples_of(page)]


# ------------------------------------------------------------------ examples


@pytest.mark.parametrize("example", [pytest.param(e, id=f"{e.page}:{e.line}") for e in EXAMPLES])
def test_an_example_prints_what_is_shown(example: Example, tmp_path: Path) -> None:
    """Copied into a file and run, it ends well and its output is the block below it, to the letter."""
    script = tmp_path / "example.py"
    script.write_text(example.script, encoding="utf-8")
    if example.again:
        done = run(script)
        assert (-signal.SIGKILL, example.output) == (done.returncode, done.stdout), done.stderr
        example = example._replace(output=example.again)
    done = run(script)

    assert 0 == done.returncode, done.stderr
    assert example.screen or example.output == done.stdout
    if "rogress" not in example.script:  # a bar is drawn on stderr
        assert [] == [line for line in done.stderr.splitlines() if not NOTICE.fullmatch(line)]


def run(script: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        encoding="utf-8",
        cwd=script.parent,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        timeout=PATIENCE,
    )


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_output_belongs_to_an_example(page: Path) -> None:
    """A ```text block that follows no example would never be compared with anything."""
    texts = [block for block in blocks_of(page) if block.language == "text"]
    stray = [block.line for block in texts if not shows_output(block)]

    assert [] == stray


def test_the_quick_start_is_short() -> None:
    """Its first example has at most twelve lines, and shows its output."""
    first = examples_of(README)[0]

    assert len([line for line in first.script.splitlines() if line.strip()]) <= MOST_LINES
    assert first.screen != ""


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no pseudo-terminals here")
@pytest.mark.parametrize(
    "example", [pytest.param(e, id=f"{e.page}:{e.line}") for e in EXAMPLES if e.screen]
)
def test_an_example_looks_like_that_in_a_terminal(example: Example, tmp_path: Path) -> None:
    """The screen is as shown, bar included, but for what differs from run to run: times and rates."""
    from bars.screen import run_in_terminal

    screen = run_in_terminal(example.script, tmp_path)

    assert timeless(example.screen.splitlines()) == timeless(screen)


@pytest.mark.parametrize(
    "example", [pytest.param(e, id=f"{e.page}:{e.line}") for e in EXAMPLES if e.commands]
)
def test_commands_print_what_is_shown(example: Example, tmp_path: Path) -> None:
    """In the folder of the example, after it has run; but for what differs from run to run."""
    script = tmp_path / "crawl.py"
    script.write_text(example.script, encoding="utf-8")
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    python = shlex.quote(sys.executable)

    def run(command: str) -> str:
        done = subprocess.run(
            re.sub(r"\bpython\b", lambda _: python, command),
            shell=True,
            capture_output=True,
            encoding="utf-8",
            cwd=tmp_path,
            env=environment,
            timeout=PATIENCE,
        )
        assert ("", 0) == (done.stderr, done.returncode)
        return done.stdout.replace(str(tmp_path.resolve()), "/home/me")

    run("python crawl.py")
    for block in example.commands:
        command, _, shown = block.removeprefix("$ ").partition("\n")

        assert clockless(shown) == clockless(run(command))


def clockless(text: str) -> list[str]:
    """The lines of a report without what the clock has written, and the spaces that follow from that."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME", text)
    text = re.sub(r"(?<=,)\d+\.\d{6}(?=,)|\b\d+(\.\d+)? (s|task/s)\b", "SECONDS", text)
    return re.sub(r"(?<=\S) +", " ", text).splitlines()


def timeless(lines: list[str]) -> list[str]:
    """Without what the clock has written."""
    alike = [re.sub(r"\d+[.:]\d+", "0", line) for line in lines if line.strip()]
    return [re.sub(r"█+[▏▎▍▌▋▊▉]?", "█", line.replace("script.py", "example.py")) for line in alike]


# ------------------------------------------------------------------ commands


@pytest.mark.parametrize(
    ("marker", "command"),
    [
        ("run-command", "pip install . && python examples/hash_files.py"),
        ("test-command", "pip install -e '.[test]' && python -m pytest"),
    ],
)
def test_a_command_is_shown_once(marker: str, command: str) -> None:
    """After its marker stands one block of one line, so that a script can read it from the README."""
    marked = [block for block in blocks_of(README) if block.after == f"<!-- {marker} -->"]

    assert 1 == README.read_text(encoding="utf-8").count(f"<!-- {marker} -->")
    assert [("bash", f"{command}\n")] == [(block.language, block.text) for block in marked]


# ------------------------------------------------------------------ links and names


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    """To a file of the project, and to a heading that is there."""
    broken = []
    for link in LINK.findall(prose_of(page)):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            broken.append(link)

    assert [] == broken


@pytest.mark.parametrize("page", PAGES[1:], ids=name_of)
def test_the_map_shows_every_page(page: Path) -> None:
    """docs/index.md links to each of the other pages."""
    links = LINK.findall(prose_of(ROOT / "docs" / "index.md"))

    assert page.name == "index.md" or page.name in [link.partition("#")[0] for link in links]


def described() -> str:
    return (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


def as_written(default: object) -> str:
    """A default as the documentation shows it."""
    match default:
        case str():
            return f'"{default}"'
        case tuple():
            return f"({', '.join(kind.__name__ for kind in default)})"
        case task_manager.TaskLogger():
            return "TaskLogger()"
        case _:
            return repr(default)


def signature_of(name: str) -> str:
    """As `TaskLogger(log_dir="logs", *, level="INFO")`, without types."""
    shown: list[str] = []
    for parameter in inspect.signature(getattr(task_manager, name)).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in shown:
            shown.append("*")
        required = parameter.default is parameter.empty
        shown.append(parameter.name if required else f"{parameter.name}={as_written(parameter.default)}")
    return f"{name}({', '.join(shown)})"


@pytest.mark.parametrize("name", task_manager.__all__)
def test_every_public_name_is_described(name: str) -> None:
    """docs/api.md has it."""
    assert f"`{name}`" in described() or f"\n## {name}\n" in described()


@pytest.mark.parametrize(
    "name", ["TaskManager", "TaskChain", "TaskLogger", "Journal", "ProgressManager"]
)
def test_every_option_is_described(name: str) -> None:
    """docs/api.md shows the constructor's signature as it is, and has a line for every keyword."""
    options = list(inspect.signature(getattr(task_manager, name)).parameters)

    assert f"`{signature_of(name)}`" in " ".join(described().split())
    assert [] == [option for option in options if f"\n| `{option}` |" not in described()]


def test_the_options_in_the_readme_are_all_and_have_their_defaults() -> None:
    """The table names the options of TaskManager in order, each with its default."""
    table = README.read_text(encoding="utf-8").partition("## Options")[2].partition("\n\n|")[2]
    rows = re.findall(r"^\| `(\w+)` \| *(.*?) *\|", table.partition("\n\n")[0], flags=re.MULTILINE)
    expected = [
        (option.name, "" if option.default is option.empty else f"`{as_written(option.default)}`")
        for option in inspect.signature(task_manager.TaskManager).parameters.values()
    ]

    assert expected == rows


def test_the_tree_of_errors_is_the_one_in_the_code() -> None:
    """docs/errors-and-retries.md draws it as errors.py does."""
    page = (ROOT / "docs" / "errors-and-retries.md").read_text(encoding="utf-8")
    tree = inspect.getdoc(task_manager.errors).split("\n\n")[1]

    assert f"```\n{textwrap.dedent(tree)}\n```" in page


@pytest.mark.parametrize("name", ["TaskManager", "TaskChain", "ProgressManager", "Summary"])
def test_every_method_is_described(name: str) -> None:
    """docs/api.md has every public method and attribute."""
    members = [member for member in dir(getattr(task_manager, name)) if not member.startswith("_")]

    assert members
    assert [] == [member for member in members if not re.search(rf"\b{member}\b", described())]
