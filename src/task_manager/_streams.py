"""The streams of a manager: its outcomes, yielded as they come."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import Any, Literal

from . import _options as options
from ._generic import R, T
from ._hooks import Hooks
from ._outcome import Outcome
from ._plan import plan_of_start
from ._run.inputs import AsyncTasks, Tasks, awaited_input_of, input_of
from ._run.pump import refuse_running_loop
from ._run.runs import Runs
from ._run.source import Input
from ._run.stream import RunStreamed, stream, stream_async
from ._runners.modes import mode_of
from ._signals import HeldSignals

_AWAITED = "async for outcome in manager.stream_async(tasks)"


class Streams(Hooks[T, R]):
    """A manager that yields what came of its tasks."""

    _runs: Runs

    def stream(
        self,
        task_list: Tasks[T],
        *,
        ordered: bool = False,
        keep_results: bool | Literal["errors"] = False,
    ) -> Generator[Outcome[T, R], None, None]:
        """Yield what came of each task as it comes: `for outcome in manager.stream(tasks)`.

        task_list: As for `start`. It is read, and the run goes on, as outcomes are asked for: the run
            begins with the first one, and a slow reader slows it down.
        ordered: Yield in the order of the input. Behind a slow task 100 others for each worker may wait,
            and 1000 in all, or more where tasks are tiny; then no more are begun.
        keep_results: For this run, in the place of the option: nothing is kept unless it is given.

        A repeat has no outcome of its own. Who leaves the loop, closes the generator or drops it ends
        the run as `stop` does. What has no outcome may be run again, and so may what the reader was
        not told, if nothing keeps it.
        """
        with HeldSignals().held() as signals:
            if mode_of(self.execution_mode).awaits:
                refuse_running_loop("a stream of a manager in async mode", _AWAITED)
            source = signals.through(input_of, task_list, _AWAITED)
            return stream(self._streamed(source, ordered, keep_results))

    def stream_async(
        self,
        task_list: AsyncTasks[T],
        *,
        ordered: bool = False,
        keep_results: bool | Literal["errors"] = False,
    ) -> AsyncGenerator[Outcome[T, R], None]:
        """The same in the caller's event loop: `async for outcome in manager.stream_async(tasks)`.

        Python ends one that is left by `break` a moment later; `contextlib.aclosing` does it at once.
        """
        with HeldSignals().held() as signals:
            source = signals.through(awaited_input_of, task_list, _AWAITED)
            return stream_async(self._streamed(source, ordered, keep_results))

    def _streamed(self, source: Input, ordered: bool, keep_results: Any) -> RunStreamed:
        """A run that is read, not begun yet."""
        ordered = options.flag("ordered", ordered)
        kept = options.keeps("keep_results", keep_results)
        plan = plan_of_start(self, self._runs, source, kept)
        return RunStreamed(self._runs, plan, source, ordered)
