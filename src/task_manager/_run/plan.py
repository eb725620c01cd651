"""What a run is made of, besides its source: the values that a manager gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .._journal.no_record import NoRecord
from .._rules.ends import Ends
from .._rules.limits import Limit
from .._rules.rate import Rate
from .._rules.retry import RetryPolicy
from .._runners import Mode, Orders
from ..events import Observer
from ..journal import Journal
from .results import Keeps


@dataclass(frozen=True, slots=True)
class Plan:
    """What a manager wants of one run: its options and hooks, as they are when it starts.

    owner, name: The manager and its function, for people.
    orders: What the runner is made with.
    keeps: Results and errors are kept; "errors": only these. distinct: Repeats are not run.
    get_args, process_result, get_retry_delay, process_error: The hooks; None where nobody overrode them.
    handle_error: Called at the end. observers: Those of this run.
    ends: When it is to end before its input does.
    limit: As of `Run`. rate, rate_key: What makes a limit that is kept from run to run.
    stage: Of a chain, from 1; None: of none. journal: None: there is none.
    record: Without a journal of its own, who is told what begins: in a chain, what notes it in that of
        the chain.
    """

    owner: str
    name: str
    func: Callable[..., Any]
    mode: Mode
    orders: Orders
    retry: RetryPolicy
    keeps: Keeps
    distinct: bool
    get_args: Callable[[Any], Any] | None
    process_result: Callable[[Any, Any], Any] | None
    get_retry_delay: Callable[[Any, Any, int], Any] | None
    process_error: Callable[[Any, BaseException], Any] | None
    handle_error: Callable[[], None]
    observers: tuple[Observer, ...]
    ends: Ends
    limit: Limit | None = None
    rate: Rate | None = None
    rate_key: Callable[[Any], Any] | None = None
    stage: int | None = None
    journal: Journal | None = None
    record: NoRecord | None = None
