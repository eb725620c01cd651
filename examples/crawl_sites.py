"""Crawls three sites, twenty pages a second of each, and goes on where it was when it is started again.

    python examples/crawl_sites.py          300 pages, from a server that it starts
    python examples/crawl_sites.py 3000     more of them

Stop it with Ctrl-C or `kill -9`, and start it again: no page that is there is fetched twice.

Shows: a rate for each site, and none waits for another one; a site that says 429, "too many", is left
alone as long as it says, while the others go on; a run in which too much fails is stopped; a journal.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

from task_manager import RetryAfter, TaskManager


def fetch(page: str) -> int:
    try:
        with urlopen(f"{os.environ['WEB']}/{page}", timeout=30) as answer:
            return len(answer.read())
    except HTTPError as error:
        if error.code == 429:
            raise RetryAfter(float(error.headers["Retry-After"]), all=True) from None
        raise


def site(page: str) -> str:
    return page.partition("/")[0]


def main() -> None:
    limits: dict[str, Any] = {"rate_limit": "20/s", "rate_key": site, "max_failures": 0.1}
    crawler = TaskManager(fetch, "thread", show_progress=True, journal="crawl.db", **limits)
    with web() as pages:
        print(crawler.start(pages))
    for page, error in crawler.get_error_dict().items():
        print(page, error)


# ------------------------------------------------ the web: one server that speaks for three sites

SITES = ["apple.example", "plum.example", "pear.example"]
visits = dict.fromkeys(SITES, 0)
lock = Lock()
busy_until = 0.0


class Web(BaseHTTPRequestHandler):
    """plum.example has enough at its tenth visit, and every fortieth page is missing."""

    def do_GET(self) -> None:
        global busy_until
        _, name, number = self.path.split("/")
        with lock:
            visits[name] += 1
            if name == "plum.example" and visits[name] == 10:
                busy_until = time.monotonic() + 0.5
            wait = busy_until - time.monotonic() if name == "plum.example" else 0.0
            status = 429 if wait > 0 else 404 if int(number) % 40 == 39 else 200
            with Path("visits.txt").open("a") as file:
                file.write(f"{time.time():.4f} {name}/{number} {status}\n")
        self.send_response(status)
        if status == 429:
            self.send_header("Retry-After", f"{wait:.3f}")
        self.end_headers()
        if status == 200:
            self.wfile.write(b"a page" * int(number))

    def log_message(self, format: str, *_: object) -> None:
        pass


@contextmanager
def web() -> Iterator[list[str]]:
    command = [sys.executable, __file__, "serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        os.environ["WEB"] = server.stdout.readline().strip()
        count = int(sys.argv[1]) if sys.argv[1:] else 300
        yield [f"{SITES[n % 3]}/{n // 3}" for n in range(count)]


def serve() -> None:
    """Until whoever started it is gone, for whatever reason."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Web)
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
