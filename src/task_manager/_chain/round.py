"""One round of a chain in process mode, from the parent's side.

                      ┌──────────────────── reports, one pipe a stage ◀───────────────┐
     parent ─ socket ─┴▶ stage 1 ── queue ──▶ stage 2 ── queue ──▶ stage 3 ───────────┘

A round takes tasks each with the stage at which it enters: all at the first one, unless they got
further in a round before.  It ends when every stage has ended, or when one has died: then one task at
most is charged with that, and the book has the place of the others.  Suspects enter one by one, each
when the one before is through with the stage, so that each is alone there.

After a death all stages are ended, and the next round has queues of its own: a process that is killed
inside a queue may leave its lock behind, or half an item.
"""

from __future__ import annotations

import asyncio
import selectors
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from time import monotonic  # bound here, as tests of other code stop the clock

from .._platform import end_a_copy, pair_of_sockets, this_process
from .._processes.channel import NAP, Channel
from .._processes.child import tells_of_death
from .._processes.files import standard_files_taken
from .._processes.life import refusals_named, uninterrupted
from .._rules.batch_size import MOST_ATTEMPTS, BatchSize
from .._run.recorder import Recorder
from .._run.run import TICK
from .._run.source import Source
from .._runners.awaited import Waiter
from .._signals import HeldSignals
from ..events import Waiting
from ..manager import TaskManager
from .book import Book
from .deaths import Deaths
from .feed import Feed
from .intake import Intake
from .link import LinkQueue, make_queue
from .reports import END
from .stage_process import StageProcess
from .vigil import Vigil

Ready = Sequence[tuple[selectors.SelectorKey, int]]


class Round:
    """Owns the processes and links of one round: a socket to the first stage, queues between stages.

    source: The initial tasks not yet entered. recorders: Those of the stages.
    first: The first stage that is still used, from 0; those before it have been given up, and no
        initial task can enter any more.
    deaths: Those in the rounds before, of this start of the chain.
    indices: For each stage, by ticket, the number that its manager has given to the task.
    signals: Held back by the caller; let through while nothing happens and while the input is read.
    in_loop: It is `turn_awaiting` that is called.
    """

    def __init__(
        self,
        stages: Sequence[TaskManager],
        recorders: Sequence[Recorder],
        book: Book,
        source: Source,
        first: int,
        deaths: Deaths,
        indices: Sequence[dict[int, int]],
        signals: HeldSignals,
        in_loop: bool = False,
    ) -> None:
        self._book = book
        self._source = source
        self._deaths = deaths
        self._suspects = deaths.suspects
        self._signals = signals
        self._stages = [
            StageProcess(number, manager, recorder, indices[number])
            for number, (manager, recorder) in enumerate(zip(stages, recorders, strict=True))
            if number >= first
        ]
        self._started: list[StageProcess] = []
        # What takes away the links. Both ends of each are kept open here: what the end of a stage
        # means is decided here, not by the next one.
        self._links = ExitStack()
        self._way_in: Channel
        with refusals_named("stage process"), standard_files_taken():
            self._selector = selectors.DefaultSelector()
        size = BatchSize(workers=1)
        self._intake = Intake(self._stages, book, deaths, size)
        self._feed = Feed(
            book, source, self._stages, deaths.suspects, self._intake.fail, signals, size, in_loop
        )
        self._steps = self._feed.steps()
        self._fed = False
        self._stopping = False
        self._home = this_process()
        self._waiter: Waiter | None = None  # in a loop, once there was something to wait for
        self._vigil = Vigil(self._stages, self._intake)
        self._told = monotonic()  # when something came, or observers were told that nothing does

    @property
    def over(self) -> bool:
        """All stages have ended."""
        return all(stage.ended for stage in self._stages)

    def turn(self) -> StageProcess | None:
        """Send what there is room for, take in what comes; the stage that died, which ends the round.

        Raises what broke off the run of a stage: as in a manager, the rest is not started.
        """
        self._obey()
        more = self._fill()
        if not more and self._may_nap():
            self._signals.through(time.sleep, NAP)
        patience = 0.0 if more else self._feed.patience
        ready = self._signals.through(self._selector.select, patience)
        return self._take_in(ready, more, patience)

    def _note_begun(self) -> None:
        """Note for which tasks a stage may have called its function, where it has not ended.

        Asked of the first one, and of each where the journal is to know it. What a stage has taken it
        may be calling for. Its reports tell what that is, the unread ones too, and it is ended before
        they are read to their end.
        """
        if self._home is not this_process():  # a copy, which ends with what has been raised in it
            return
        asked = [
            stage
            for stage in self._stages
            if (not stage.number or self._book.marks) and not stage.ended and stage.pid is not None
        ]
        for stage in asked:
            stage.kill()
        for stage in asked:
            stage.end()
        if self._book.marks:
            self._intake.take_in_rest()
        for stage in asked:
            self._book.begun([*stage.held, *self._intake.taken_unread(stage)])
        self._book.note_not_begun()

    async def turn_awaiting(self) -> StageProcess | None:
        """The same, in an event loop that others use as well: a thread waits for the reports."""
        try:
            self._signals.deliver()
            self._obey()
            more = self._fill()
            end_a_copy(self._home)
            patience = 0.0 if more else self._feed.patience
            if more:
                await asyncio.sleep(0)
            elif self._feed.dry and self._book.idle:
                await self._source.wait(TICK)
            elif self._may_nap():
                await asyncio.sleep(NAP)
            if self._waiter is None:
                self._waiter = Waiter()
            waiting = self._waiter.begin(self._selector.select, patience) if patience else None
            if waiting is None:
                ready = self._selector.select(0.0)
                await asyncio.sleep(min(patience, NAP))
            else:
                ready = await self._waiter.end(waiting)
            end_a_copy(self._home)
            return self._take_in(ready, more, patience)
        except BaseException as error:
            end_a_copy(self._home, error)  # it must not come to the end of the loop: see `turn_awaiting`
            raise

    def _obey(self) -> None:
        """Once the chain is to stop: let nothing more enter, and have the stages begin nothing more."""
        stop = self._book.stop
        stop.check()
        if stop.asked and not self._stopping:
            self._stopping = True
            self._steps = iter(())
            self._feed.dry = False
            self._tell_stages()

    def _tell_stages(self) -> None:
        """In whatever thread, and more than once. One that is being started just now is told later."""
        for stage in tuple(self._started):
            stage.stop_run()

    def _take_in(self, ready: Ready, more: bool, patience: float) -> StageProcess | None:
        """What has come in so many seconds; a stage that has died, the first in the chain."""
        died = [stage for stage in map(self._hear, ready) if stage is not None]
        died += self._vigil.silently_dead()
        died += [stage for stage in self._stages if stage.garbled and not stage.ended]
        died += self._vigil.stuck(0.0 if ready or more else patience, self._fed)
        if died:
            for stage in self._stages:  # what they have done need not be done again
                self._intake.drain(stage)
            return min(died, key=lambda stage: stage.number)
        now = monotonic()
        if ready or more:
            self._told = now
        elif now - self._told >= TICK:
            self._told = now
            for stage in self._stages:
                stage.recorder.record(Waiting(stage.number + 1))
            self._book.waiting()
            self._vigil.refuse_hanging()
        return None

    # ------------------------------------------------------------------ processes

    def begin(self) -> None:
        """Start the processes. `close` is to be called whatever this raises."""
        self._book.stop.follow(self._tell_stages)
        outgoing: LinkQueue | None = None
        for stage in reversed(self._stages):
            with uninterrupted(), refusals_named("stage process"):
                incoming = self._link_to(stage)
                self._started.append(stage)
                concluded = stage.number in self._deaths.concluded
                stage.start_stage(concluded, self._book, incoming, outgoing)
                stage.listen(self._selector, tells_of_death(stage.context))
            outgoing = incoming if isinstance(incoming, LinkQueue) else None

    def _link_to(self, stage: StageProcess) -> LinkQueue | socket.socket:
        """What this stage is to read from."""
        if stage is not self._stages[0]:
            queue = make_queue(self._intake.before(stage).context, stage.context)
            self._links.callback(queue.release)
            return queue
        with standard_files_taken():
            ours, theirs = pair_of_sockets()
        self._links.callback(ours.close)
        self._links.callback(theirs.close)
        self._way_in = Channel(ours)
        return theirs

    def close(self) -> None:
        """End what still runs, and take away the links; whatever raises meanwhile, all of them."""
        with uninterrupted(), ExitStack() as last_to_first:
            last_to_first.callback(self._links.close)
            last_to_first.callback(self._selector.close)
            for stage in self._started:
                last_to_first.callback(stage.leave_to_limit)
            for stage in reversed(self._started * 2):  # at a second attempt if the first one raises
                last_to_first.callback(stage.close)
            if not all(stage.ended for stage in self._stages):
                for stage in self._started:
                    last_to_first.callback(stage.kill)
            last_to_first.callback(self._note_begun)
            if self._waiter is not None:  # first: it waits for the reports of those
                last_to_first.callback(self._waiter.close)

    # ------------------------------------------------------------------ tasks out

    def _fill(self) -> bool:
        """Send the next batch to the first stage; whether there is more to send at once."""
        if self._fed or self._way_in.unsent:
            return False
        step = next(self._steps, None)
        if isinstance(step, bool):
            return step
        if step is None:
            self._fed = True
            self._send(END)
            return True
        packed = self._feed.packed(step)
        if packed is not None:
            self._send(*packed)
        return True

    def _send(self, frame: bytes, note: bytes = b"") -> None:
        """Send as much as goes at once; the selector says when there is room for the rest."""
        was_waiting = self._way_in.unsent
        self._way_in.send(frame, note)
        if self._way_in.unsent and not was_waiting:
            self._selector.register(self._way_in, selectors.EVENT_WRITE)
        elif was_waiting and not self._way_in.unsent:
            self._selector.unregister(self._way_in)

    # ------------------------------------------------------------------ reports in

    def _may_nap(self) -> bool:
        """News comes in drops, and the first stage has enough to do until there is more."""
        drops = all(stage.channel.little for stage in self._stages) and not self._suspects
        return drops and (self._fed or self._feed.worth >= 2 * NAP)

    def _hear(self, ready: tuple[selectors.SelectorKey, int]) -> StageProcess | None:
        """Take in what a stage reports; the stage if it has died."""
        speaker = ready[0].fileobj
        if speaker is self._way_in:
            self._send(b"")
            return None
        stage: StageProcess = ready[0].data
        self._intake.drain(stage)
        if stage.garbled:  # and listened to no more
            return None
        gone = stage.channel.ended or speaker is not stage.channel
        if gone and not stage.ended:
            self._intake.drain(stage)  # what it sent between the first look and its death
            return None if stage.ended else stage
        if gone:
            for end in (stage.channel, stage.process.sentinel):
                if end in self._selector.get_map():
                    self._selector.unregister(end)
        return None

    @property
    def error(self) -> BaseException | None:
        """The first that a stage's handle_error raised."""
        return self._intake.error

    def charge(self, stage: StageProcess) -> None:
        """This stage died: one ticket at most is charged for it, and has that for its error."""
        self._intake.charge(stage)
        if self._book.strict:
            self._intake.fail_doubtful()

    def give_up(self, stage: StageProcess) -> None:
        """This stage keeps dying: what has not passed it never will."""
        while not self._source.ended and self._source.remaining is not None:
            self._book.enter(self._source.read(MOST_ATTEMPTS, 0.0, self._signals))
        for ticket in self._book.stranded(stage.number):
            self._intake.fail(stage, ticket, stage.error, attempts=0)
