"""What well-known clients raise where nobody listens, or nobody answers, is retried by default."""

from __future__ import annotations

import importlib
import operator
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.error import URLError

import pytest

from task_manager import TaskManager, TransportError
from task_manager._rules.clients import BOTH, CLIENTS, CONNECTION, NEITHER, TIMEOUT, stands_for
from task_manager._task import Failure

SECONDS = 0.15  # after which a client gives up


@pytest.fixture(scope="module")
def addresses() -> Iterator[dict[str, str]]:
    """Of a port that nobody listens on, and of a server that accepts and never answers."""
    with socket.socket() as refuses, socket.socket() as silent:
        for server in refuses, silent:
            server.bind(("127.0.0.1", 0))  # the first one does not listen
        silent.listen(100)
        yield {
            name: f"http://127.0.0.1:{server.getsockname()[1]}/"
            for name, server in {"refuses": refuses, "silent": silent}.items()
        }


def by_requests(url: str) -> None:
    importlib.import_module("requests").get(url, timeout=SECONDS)


def by_httpx(url: str) -> None:
    importlib.import_module("httpx").get(url, timeout=SECONDS, trust_env=False)


def by_urllib(url: str) -> None:
    urllib.request.urlopen(url, timeout=SECONDS)


def by_urllib3(url: str) -> None:
    urllib3 = importlib.import_module("urllib3")
    with urllib3.PoolManager() as pool:
        pool.request("GET", url, timeout=SECONDS, retries=False)


def by_urllib3_with_retries(url: str) -> None:
    urllib3 = importlib.import_module("urllib3")
    with urllib3.PoolManager() as pool:
        pool.request("GET", url, timeout=SECONDS, retries=1)


def by_openai(url: str) -> None:
    openai = importlib.import_module("openai")
    with openai.OpenAI(base_url=url, api_key="key", timeout=SECONDS, max_retries=0) as client:
        client.models.list()


async def by_aiohttp(url: str) -> None:
    aiohttp = importlib.import_module("aiohttp")
    limits = aiohttp.ClientTimeout(sock_read=SECONDS)
    async with aiohttp.ClientSession(timeout=limits) as session, session.get(url):
        pass


async def by_async_httpx(url: str) -> None:
    async with importlib.import_module("httpx").AsyncClient(timeout=SECONDS, trust_env=False) as client:
        await client.get(url)


GETS: list[tuple[str, str, Callable[[str], Any]]] = [
    ("requests", "thread", by_requests),
    ("requests", "process", by_requests),
    ("httpx", "thread", by_httpx),
    ("httpx", "process", by_httpx),
    ("httpx", "async", by_async_httpx),
    ("aiohttp", "async", by_aiohttp),
    ("urllib", "serial", by_urllib),
    ("urllib", "process", by_urllib),
    ("urllib3", "thread", by_urllib3),
    ("urllib3", "process", by_urllib3),
    ("urllib3", "thread", by_urllib3_with_retries),
    ("openai", "thread", by_openai),
    ("openai", "process", by_openai),  # pickle cannot call the constructors of its errors
]


@pytest.mark.parametrize("address", ["refuses", "silent"])
@pytest.mark.parametrize(
    ("client", "mode", "get"), GETS, ids=[f"{get.__name__}-{mode}" for _, mode, get in GETS]
)
def test_what_a_client_raises_is_retried(
    client: str, mode: str, get: Callable[[str], Any], address: str, addresses: dict[str, str]
) -> None:
    """A refused connection and a timeout, in each client's own words."""
    pytest.importorskip(client)
    with TaskManager(get, mode, 1, max_retries=1, retry_delay=0.0, logger=None) as manager:
        summary = manager.start([addresses[address]])

    assert (1, 1) == (summary.failed, summary.retries), manager.get_error_dict()


@pytest.mark.parametrize("module", CLIENTS)
def test_the_names_are_those_of_the_client(module: str) -> None:
    """Each class of the table is there, and is called so."""
    try:
        found = importlib.import_module(module)
    except ImportError:
        pytest.skip(f"{module} is not installed")
    kinds = [getattr(found, name) for name in CLIENTS[module]]

    assert [(module, name) for name in CLIENTS[module]] == [
        (kind.__module__, kind.__qualname__) for kind in kinds
    ]


def of(module: str, name: str, *bases: type) -> Any:
    return type(name, bases or (Exception,), {"__module__": module})


Refused = of("requests.exceptions", "ConnectionError", OSError)
Odd = type("Odd", (type,), {"__hash__": None, "__eq__": lambda self, other: 1 / 0})


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Refused(), CONNECTION),
        (of("mine", "Mine", Refused)(), CONNECTION),
        (of("requests.exceptions", "SSLError", Refused)(), NEITHER),
        (of("requests.exceptions", "ConnectTimeout", Refused)(), BOTH),
        (of("mine", "ConnectionError")(), NEITHER),
        (of("httpx", "HTTPStatusError")(), NEITHER),
        (URLError(ConnectionRefusedError()), CONNECTION),
        (URLError(TimeoutError()), TIMEOUT),
        (URLError(URLError(Refused())), CONNECTION),
        (URLError("unknown url type: ftps"), NEITHER),
        (URLError(OSError(2, "no such file")), NEITHER),
        (ConnectionResetError(), CONNECTION),
        (ValueError(), NEITHER),
        (Odd("Strange", (Refused,), {})(), CONNECTION),
    ],
    ids=range(14),
)
def test_the_nearest_known_name_decides(error: Exception, expected: tuple[type, ...]) -> None:
    """That of the type, or of its nearest base, or of the error that is given as the reason."""
    assert expected == stands_for(Failure(error, type(error)))


def test_of_an_error_that_did_not_travel_the_type_decides() -> None:
    """Its reason is lost, and counts for nothing."""
    lost = TransportError("error", "x.Y", "gone")

    assert CONNECTION == stands_for(Failure(lost, Refused))
    assert NEITHER == stands_for(Failure(lost, URLError))


def test_a_reason_of_itself_has_an_end() -> None:
    """Reasons of reasons are followed so far and no further."""
    error = URLError("")
    error.reason = error  # type: ignore[assignment]

    assert NEITHER == stands_for(Failure(error, URLError))
    error.reason = None  # type: ignore[assignment] # no circle for the collector


class Panics(BaseException):
    """What an extension in Rust raises where it fails."""


class Unasked(URLError):
    """An error that lets nobody ask for its reason."""

    @property
    def reason(self) -> Any:
        raise Panics

    @reason.setter
    def reason(self, value: Any) -> None: ...


def test_f27_a_reason_that_raises_counts_for_nothing() -> None:
    """It is its own task's error, as it was, and the run goes on."""

    def get(task: int) -> int:
        if task == 1:
            raise Unasked("")
        return task

    manager = TaskManager(get, logger=None)
    manager.start([1, 2])

    assert {2: 2} == manager.get_result_dict()
    assert [Unasked] == list(map(type, manager.get_error_dict().values()))


# ------------------------------------------------------------------ what they raise for an answer


class Busy(BaseHTTPRequestHandler):
    """Answers with 503, whatever is asked."""

    def do_GET(self) -> None:
        self.send_error(503)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def busy() -> Iterator[str]:
    """The address of a server that is too busy to answer."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Busy) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def status_of_urllib(url: str) -> None:
    urllib.request.urlopen(url)


def status_of_requests(url: str) -> None:
    importlib.import_module("requests").get(url).raise_for_status()


def status_of_httpx(url: str) -> None:
    importlib.import_module("httpx").get(url, trust_env=False).raise_for_status()


@pytest.mark.parametrize(
    ("get", "name", "code"),
    [
        (status_of_urllib, "urllib.error.HTTPError", "code"),
        (status_of_requests, "requests.exceptions.HTTPError", "response.status_code"),
        (status_of_httpx, "httpx.HTTPStatusError", "response.status_code"),
    ],
)
def test_an_answer_that_is_an_error_arrives_whole(
    get: Callable[[str], None], name: str, code: str, busy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F4: from a worker process, with its code, though pickle can hardly send one; and it is retried."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    module, _, kind = name.rpartition(".")
    expected = getattr(pytest.importorskip(module), kind)
    options: Any = {"max_retries": 1, "retry_delay": 0.0, "retry_exceptions": expected}
    with TaskManager(get, "process", 1, **options, logger=None) as manager:
        summary = manager.start([busy])
        (error,) = manager.get_error_dict().values()

    assert (expected, 503, 1) == (type(error), operator.attrgetter(code)(error), summary.retries)
