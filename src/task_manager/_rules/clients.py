"""Which errors of well-known clients stand for Python's ConnectionError and TimeoutError.

Most clients have errors of their own, some of the same name, that derive from neither.  They are known
here by the qualified names in the type's MRO: no client is imported.  docs/errors-and-retries.md names
the versions that this was checked against.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from .._signals import let_through
from .._task import Failure

CONNECTION, TIMEOUT, NEITHER = (ConnectionError,), (TimeoutError,), ()
BOTH = (*CONNECTION, *TIMEOUT)

# The nearest name in the MRO decides; so NEITHER takes out what its base would let in, as an untrusted
# certificate, with which no further attempt helps.
CLIENTS: dict[str, dict[str, tuple[type[OSError], ...]]] = {
    "requests.exceptions": {
        "ConnectionError": CONNECTION,
        "ConnectTimeout": BOTH,
        "Timeout": TIMEOUT,
        "SSLError": NEITHER,
    },
    "httpx": {"NetworkError": CONNECTION, "ConnectTimeout": BOTH, "TimeoutException": TIMEOUT},
    "httpx2": {"NetworkError": CONNECTION, "ConnectTimeout": BOTH, "TimeoutException": TIMEOUT},
    "aiohttp.client_exceptions": {
        "ClientConnectionError": CONNECTION,
        "ServerTimeoutError": BOTH,
        "ClientSSLError": NEITHER,
        "ServerFingerprintMismatch": NEITHER,
    },
    "urllib3.exceptions": {
        "NewConnectionError": CONNECTION,  # derives from ConnectTimeoutError
        "ConnectTimeoutError": BOTH,
        "TimeoutError": TIMEOUT,
    },
    "openai": {"APIConnectionError": CONNECTION, "APITimeoutError": BOTH},
    "anthropic": {"APIConnectionError": CONNECTION, "APITimeoutError": BOTH},
    "botocore.exceptions": {
        "ConnectionError": CONNECTION,
        "ConnectionClosedError": CONNECTION,
        "ConnectTimeoutError": BOTH,
        "ReadTimeoutError": TIMEOUT,
        "SSLError": NEITHER,
    },
    "redis.exceptions": {
        "ConnectionError": CONNECTION,
        "TimeoutError": TIMEOUT,
        "AuthenticationError": NEITHER,
        "AuthorizationError": NEITHER,
        "ExternalAuthProviderError": NEITHER,
    },
    "pymongo.errors": {
        "ConnectionFailure": CONNECTION,
        "NetworkTimeout": BOTH,
        "ServerSelectionTimeoutError": BOTH,
    },
    "psycopg.errors": {"ConnectionTimeout": BOTH},
    "elastic_transport": {
        "ConnectionError": CONNECTION,
        "ConnectionTimeout": TIMEOUT,
        "TlsError": NEITHER,
    },
    "websocket._exceptions": {"WebSocketTimeoutException": TIMEOUT},
    "paramiko.ssh_exception": {"NoValidConnectionsError": CONNECTION},
}
# What tells of another error by this attribute: that one decides.
REASONS = {
    ("urllib.error", "URLError"): "reason",
    ("urllib3.exceptions", "MaxRetryError"): "reason",
}
DEEPEST = 5  # reasons of reasons


def stands_for(failure: Failure) -> tuple[type[OSError], ...]:
    """ConnectionError, TimeoutError, both or neither: what the error is, or counts as. Never raises.

    Of an error that could not travel only the type is known: no reason of it.
    """
    kind, error = failure.kind, failure.error
    try:
        for _ in range(DEEPEST):
            looked_up: Callable[..., Any] = _look_up if type(kind) is type else _looked_up
            found, reason = looked_up(kind)
            if reason is None:
                return found  # type: ignore[no-any-return]
            error = getattr(error, reason, None)  # type: ignore[assignment]
            kind = type(error)
    except BaseException as broken:  # a class that makes anything of being asked
        let_through(broken)
    return NEITHER


def _looked_up(kind: type) -> tuple[tuple[type[OSError], ...], str | None]:
    """What the type stands for by itself, or else the name of the attribute that says it."""
    own = tuple(one for one in BOTH if issubclass(kind, one))
    for base in _MRO.__get__(kind):
        module, name = _MODULE.__get__(base), _QUALNAME.__get__(base)
        if type(module) is not str:
            continue
        if name in CLIENTS.get(module, ()):
            return (*own, *CLIENTS[module][name]), None
        if (module, name) in REASONS:
            return own, None if own else REASONS[module, name]
    return own, None


_look_up = lru_cache(maxsize=256)(
    _looked_up
)  # of types whose metaclass is Python's own: these can be hashed
_MRO: Any = vars(type)["__mro__"]
_MODULE: Any = vars(type)["__module__"]
_QUALNAME: Any = vars(type)["__qualname__"]
