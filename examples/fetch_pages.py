"""Fetches pages from a small web server of its own, which hangs up, is busy, and has not every page.

    python examples/fetch_pages.py              the sources of the standard library's modules
    python examples/fetch_pages.py --limit 50   fewer

Shows: `start_async` in a running event loop, retries of the errors that pass and of no others, a
bar, and a subclass that keeps what matters of a page and not the page.
"""

import argparse
import asyncio
import os
import re
import sys
import sysconfig
import textwrap
from collections import Counter, defaultdict
from contextlib import suppress
from functools import partial
from pathlib import Path

from task_manager import TaskManager

STDLIB = Path(sysconfig.get_path("stdlib"))
DOCSTRING = re.compile(r"^r?(?:\"{3}|'{3})\s*(.+?)[\s\"']*$", re.MULTILINE)  # its first line
AT_A_TIME = 20


class Server:
    """Answers GET /NAME with the source of a module; where that is written in C, with 404."""

    def __init__(self, names: list[str]) -> None:
        self.requests: Counter[str] = Counter()
        self._hang_ups = dict.fromkeys(names[2::10], 2)  # so many times
        self._hang_ups |= dict.fromkeys(names[-1:], sys.maxsize)
        self._busy = set(names[7::10])  # once

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError, asyncio.IncompleteReadError):  # Ctrl-C ends both sides
            request = await reader.readuntil(b"\r\n\r\n")
            name = request.split()[1].decode().strip("/")
            self.requests[name] += 1
            await asyncio.sleep(0.02)
            if self.requests[name] > self._hang_ups.get(name, 0):
                writer.write(b"HTTP/1.1 %b\r\nConnection: close\r\n\r\n%b" % self._page(name))
        writer.close()

    def _page(self, name: str) -> tuple[bytes, bytes]:
        if name in self._busy and self.requests[name] == 1:
            return b"503 Service Unavailable", b""
        for path in (STDLIB / f"{name}.py", STDLIB / name / "__init__.py"):
            if path.is_file():
                return b"200 OK", path.read_bytes()
        return b"404 Not Found", b""


class Refused(Exception):
    """The server answered, but not with the page."""


class Busy(Refused):
    """It is worth asking again."""


async def fetch(host: str, port: int, name: str) -> str:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET /{name} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        answer = await reader.read()
    finally:
        writer.close()
    if not answer:
        raise ConnectionResetError("the server hung up")
    head, _, page = answer.decode().partition("\r\n\r\n")
    status = head.splitlines()[0].removeprefix("HTTP/1.1 ")
    if status != "200 OK":
        raise (Busy if status.startswith("503") else Refused)(status)
    return page


class Fetcher(TaskManager):
    def process_result(self, task: str, result: str) -> tuple[int, str]:
        title = DOCSTRING.search(result)
        return len(result), title[1] if title else ""


async def main() -> None:
    parser = argparse.ArgumentParser(description="Fetch pages from a server that has its moods.")
    parser.add_argument("--limit", type=int, help="so many pages (default: all)")
    limit = parser.parse_args().limit
    names = sorted(name for name in sys.stdlib_module_names if not name.startswith("_"))[:limit]

    server = Server(names)
    async with await asyncio.start_server(server.answer, "127.0.0.1", 0) as listening:
        host, port = listening.sockets[0].getsockname()
        print(f"Fetching {len(names)} pages from {host}:{port}, {AT_A_TIME} at a time", flush=True)
        fetcher = Fetcher(
            partial(fetch, host, port),
            execution_mode="async",
            worker_limit=AT_A_TIME,
            retry_exceptions=(ConnectionError, Busy),
            show_progress=True,
            progress_desc="Fetching",
            logger=None,
        )
        summary = await fetcher.start_async(names)
    pages, errors = fetcher.get_result_dict(), fetcher.get_error_dict()

    print(f"\npages     {summary.succeeded:>5}   {sum(size for size, _ in pages.values()):,} characters")
    print(f"failed    {summary.failed:>5}")
    print(f"retries   {summary.retries:>5}")
    print(f"requests  {server.requests.total():>5}   as the server counts them")
    print(f"seconds   {summary.seconds:>5.2f}")

    reasons = defaultdict(list)
    for name, error in errors.items():
        reasons[str(error)].append(name)
    print("\nWhy pages failed:")
    for reason, failed in reasons.items():
        print(f"  {len(failed):>4}  {reason:<20}{textwrap.shorten(', '.join(failed), 70)}")

    print("\nThe longest pages:")
    for name, (size, title) in sorted(pages.items(), key=lambda item: -item[1][0])[:5]:
        print(f"  {name:<12}{size:>8,}  {textwrap.shorten(title, 70)}")


if __name__ == "__main__":
    try:
        asyncio.run(main())
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit("\nstopped")
    except BrokenPipeError:  # whoever reads the output has enough of it, as head does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
