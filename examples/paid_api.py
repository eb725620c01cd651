"""Asks a service that wants money for every answer, and never pays for one question twice.

    python examples/paid_api.py          300 questions, to a service that it starts
    python examples/paid_api.py 3000     more of them

Kill it in mid-run, by `kill -9` or by pulling the plug, and start it again: it goes on where it was.
Questions that were on their way at that moment may have been paid, and their answers are lost. They
are named, and are not asked again. The service counts what it was paid, in bill.txt.

Shows: a journal that also notes what is about to be called; and a retry of nothing but the answer
429, "too many", as that one has certainly cost nothing.
"""

import collections
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from urllib.error import HTTPError
from urllib.parse import quote, unquote
from urllib.request import urlopen

from task_manager import InDoubtError, Journal, TaskManager


class Wait(Exception):
    """The service said 429: too many questions."""


def ask(question: str) -> str:
    try:
        with urlopen(f"{os.environ['SITE']}/{quote(question)}", timeout=30) as answer:
            return str(answer.read(), "utf-8")
    except HTTPError as error:
        if error.code == 429:
            time.sleep(float(error.headers["Retry-After"]))
            raise Wait from None
        raise


def main() -> None:
    journal = Journal("answers.db", started=True, in_doubt="error")  # never pay twice
    # 8 at a time, each 50 times at most
    asker = TaskManager(ask, "thread", 8, 50, retry_exceptions=Wait, show_progress=True, journal=journal)
    with paid_service() as questions:
        print(asker.start(questions))
    for question, error in asker.get_error_dict().items():
        print("paid or not, who knows:" if isinstance(error, InDoubtError) else repr(error), question)


# ------------------------------------------------ the service

ANSWERS = 25  # at most, in every
WINDOW = 0.5  # seconds: 3,000 a minute, as nobody wants to wait here
paid: collections.deque[float] = collections.deque([0.0] * ANSWERS, maxlen=ANSWERS)
till = Lock()


class Service(BaseHTTPRequestHandler):
    """Takes the money, thinks, and answers."""

    def do_GET(self) -> None:
        question = unquote(self.path.strip("/"))
        with till:
            wait = paid[0] + WINDOW - time.monotonic()
            if wait <= 0:
                paid.append(time.monotonic())
                with Path("bill.txt").open("a") as bill:
                    bill.write(f"{question}\n")
        if wait > 0:
            self.send_response(429)
            self.send_header("Retry-After", f"{wait:.3f}")
            self.end_headers()
            return
        time.sleep(0.01)
        self.send_response(200)
        self.end_headers()
        number = int(question.split()[2])
        self.wfile.write(b"%d" % number**2)

    def log_message(self, format: str, *_: object) -> None:
        pass


@contextmanager
def paid_service() -> Iterator[list[str]]:
    command = [sys.executable, __file__, "serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        os.environ["SITE"] = server.stdout.readline().strip()
        yield [f"What is {n} times {n}?" for n in range(int(sys.argv[1]) if sys.argv[1:] else 300)]


def serve() -> None:
    """Until whoever started it is gone, for whatever reason."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
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
