"""The streams of a chain: what became of its initial tasks, yielded as it comes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Sequence
from typing import Any, Generic, Literal

from .. import _options as options
from .._generic import R, T
from .._outcome import Outcome
from .._run.inputs import AsyncTasks, Tasks, awaited_input_of, input_of
from .._run.source import Input
from .._run.stream import stream, stream_async
from .._runners.kept import Turn
from .._signals import HeldSignals
from ..events import Observer
from ..journal import Journal
from ..manager import TaskManager
from ..options import ChainMode
from .starts import Starts, Wanted
from .stream import ChainStreamed

_AWAITED = "async for outcome in chain.stream_async(tasks)"


class ChainStreams(Generic[T, R]):
    """A chain that yields what became of its initial tasks."""

    stages: tuple[TaskManager[Any, Any], ...]
    chain_mode: ChainMode
    observers: Sequence[Observer]
    journal: Journal | None
    _starts: Starts
    _turn: Turn

    def stream(
        self,
        tasks: Tasks[T],
        *,
        ordered: bool = False,
        keep_results: bool | Literal["errors"] = False,
    ) -> Generator[Outcome[T, R], None, None]:
        """Yield what became of each initial task as it comes: `for outcome in chain.stream(tasks)`.

        tasks: As for `start_chain`. They are read, and the stages go on, as outcomes are asked for, in
            serial mode too: its stages take turns then. The start begins with the first question.
        ordered: As of `TaskManager.stream`; 100 tasks for each worker of all stages.
        keep_results: For this start, in the place of the options of all stages: nothing is kept unless
            it is given.

        An outcome has the initial task, the result of the last stage or the error of the one where it
        failed, and the attempts and seconds of the stage where it came to its end. Who leaves the loop,
        closes the generator or drops it ends the start as `stop` does.
        """
        with HeldSignals().held() as signals:
            source = signals.through(input_of, tasks, _AWAITED)
            return stream(self._streamed(source, ordered, keep_results))

    def stream_async(
        self,
        tasks: AsyncTasks[T],
        *,
        ordered: bool = False,
        keep_results: bool | Literal["errors"] = False,
    ) -> AsyncGenerator[Outcome[T, R], None]:
        """The same in the caller's event loop: `async for outcome in chain.stream_async(tasks)`.

        Python ends one that is left by `break` a moment later; `contextlib.aclosing` does it at once.
        """
        with HeldSignals().held() as signals:
            source = signals.through(awaited_input_of, tasks, _AWAITED)
            return stream_async(self._streamed(source, ordered, keep_results))

    def _streamed(self, tasks: Input, ordered: bool, keep_results: Any) -> ChainStreamed:
        """A start that is read, not begun yet."""
        ordered = options.flag("ordered", ordered)
        kept = options.keeps("keep_results", keep_results)
        wanted = Wanted(self.stages, self.chain_mode, self.observers, self.journal, kept)
        return ChainStreamed(self._starts, self._turn, wanted, tasks, ordered)
