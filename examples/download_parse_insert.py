"""Downloads documents, parses them and inserts them into a database: three kinds of work in a row.

    python examples/download_parse_insert.py         1,000 documents, from a server that it starts
    python examples/download_parse_insert.py 5000    more of them, as long as there are

        download (an event loop) ─▶ parse (processes) ─▶ insert (a thread) ─▶ library.db

Shows: a chain, in which all three go on at the same time, each in the mode that suits it; and what
becomes of documents that are not there, of a server that hangs up, and of a page that is no Python.
Kill it and start it again: a document that was downloaded is not downloaded again.
"""

import ast
import asyncio
import os
import random
import sqlite3
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.request import urlopen

from task_manager import TaskChain, TaskManager


async def download(name: str) -> tuple[str, bytes]:
    with await asyncio.to_thread(urlopen, f"{os.environ['SITE']}/{name}", timeout=30) as page:
        return name, page.read()


def parse(name: str, source: bytes) -> tuple[str, str, int]:
    tree = ast.parse(source)
    title = (ast.get_docstring(tree) or "").partition("\n")[0]
    return name, title, sum(isinstance(node, ast.FunctionDef) for node in ast.walk(tree))


def insert(name: str, title: str, functions: int) -> None:
    with closing(sqlite3.connect("library.db", timeout=30)) as library, library:
        library.execute("INSERT OR REPLACE INTO modules VALUES (?, ?, ?)", (name, title, functions))


def main() -> None:
    with library_server() as names:
        stages = (
            TaskManager(download, "async", 20, show_progress=True, progress_desc="Download"),
            TaskManager(parse, "process", show_progress=True, progress_desc="Parse"),
            TaskManager(insert, "thread", 1, show_progress=True, progress_desc="Insert"),
        )
        print(TaskChain(stages, chain_mode="process", journal="documents.db").start(names))


# ------------------------------------------------ the documents, and the server that has them

STDLIB = Path(sysconfig.get_path("stdlib"))


class Librarian(BaseHTTPRequestHandler):
    """Answers with the source of a module; hangs up on every twentieth request."""

    def do_GET(self) -> None:
        path = STDLIB / self.path.strip("/")
        if random.random() < 0.05:
            self.close_connection = True
        elif path.is_file():
            self.send_response(200)
            self.end_headers()
            self.wfile.write(path.read_bytes())
        else:
            self.send_error(404)

    def log_message(self, format: str, *_: object) -> None:
        pass


@contextmanager
def library_server() -> Iterator[list[str]]:
    """The names of the shortest modules of Python, which a server has; and one that it has not."""
    count = int(sys.argv[1]) - 1 if sys.argv[1:] else 999
    with closing(sqlite3.connect("library.db")) as library, library:
        library.execute("CREATE TABLE IF NOT EXISTS modules (name PRIMARY KEY, title, functions)")
    modules = [path for path in STDLIB.rglob("*.py") if "site-packages" not in path.parts]
    modules.sort(key=lambda path: path.stat().st_size)
    names = sorted(path.relative_to(STDLIB).as_posix() for path in modules[:count])
    command = [sys.executable, __file__, "serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        os.environ["SITE"] = server.stdout.readline().strip()
        yield [*names, "a_module_that_is_not_there.py"]


def serve() -> None:
    """Until whoever started it is gone, for whatever reason."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Librarian)
    Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    while True:
        try:
            sys.stdin.read()
        except KeyboardInterrupt:  # is not meant for the server
            continue
        break


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["serve"] else main()
