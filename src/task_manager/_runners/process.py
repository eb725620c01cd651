"""Calls in processes of our own, one pipe each.

     this process                                worker process
     submit ──▶ Channel ═══════ socket ═══════▶  loads, call_batch
     collect ◀── Channel ═══════ socket ═══════  its outcomes, pickled by itself
             ◀── Slot ── shared memory ────────  what it has in hand

Workers share nothing with each other: a worker that dies takes its one task with it, and is
replaced.  This side never blocks on a pipe, neither reading nor writing, so no worker can make it
hang.
"""

from __future__ import annotations

import multiprocessing
import selectors
from collections.abc import Callable
from dataclasses import replace
from time import sleep  # by name: tests of other code put something else into the module
from typing import Any, NamedTuple

from .._call import NEVER, clock, release
from .._platform import this_process
from .._processes import wire
from .._processes.arguments import named
from .._processes.channel import NAP, Channel, GarbageError, TooLarge
from .._processes.files import standard_files_taken
from .._processes.held import Held, Part, Worker
from .._processes.life import (
    FAREWELL,
    Glance,
    end_process,
    has_died,
    hopeless,
    not_ready,
    refusals_named,
    refuse_daemons,
    stillborn_error,
    tells_of_death,
    time_to_come_up,
    uninterrupted,
)
from .._processes.report import Note, open_note, open_report, refusal_in
from .._processes.slot import start_with_slot
from .._processes.worker import GOODBYE, READY, work
from .._rules.suspects import Suspects
from .._task import Batch, Failure, InTurn, Outcomes, Unrun
from ..errors import (
    TaskTimeoutError,
    TransportError,
    WorkerDiedError,
    WorkerStartError,
)
from . import Answer, Orders
from .places import Places

SHORTLY = 1.0  # seconds in which a process whose pipe has ended ends as well, if it is what has ended
GAP = 0.002  # seconds between two looks at it
HANGING = 2  # workers in a row that are not ready by then; then there is no hope


class Overdue(NamedTuple):
    """A call that was ended by us. number: The worker's. took: Seconds, so far."""

    number: int
    failure: Failure
    began: float
    took: float


class ProcessRunner:
    sharing = 1
    calls_here = False

    def __init__(self, func: Callable[..., Any], orders: Orders) -> None:
        refuse_daemons()
        self.workers = self._most = orders.workers
        self._timeout = orders.task_timeout
        self._context = multiprocessing.get_context(orders.start_method)
        self._func = wire.pack_object(func, self._context.get_start_method())
        self._crew: list[Worker] = []
        self._answers: list[Answer] = []
        with refusals_named("worker process"), standard_files_taken():
            self._selector = selectors.DefaultSelector()
        self._stillborn = self._hanging = 0
        self._suspects: Suspects[int] = Suspects()  # by the index of the task
        self._glance = Glance()
        self._places = Places()
        self._owner = this_process()

    # ------------------------------------------------------------------ the verbs

    def room(self, depth: int) -> bool:
        return not self._answers and sum(worker.load for worker in self._crew) < self._most * depth

    def submit(self, batch: Batch) -> None:
        positions = range(len(batch))
        for part in self._suspects.parts(batch.indices):
            worker = self._choose()
            worker.parts.append(Part(batch, positions[part]))
            self._feed(worker)

    def collect(self, timeout: float) -> list[Answer]:
        if self._crew and all(worker.busy for worker in self._crew):
            sleep(min(NAP, timeout))
        ready = self._selector.select(0.0 if self._answers else self._patience(timeout))
        ended: list[Worker] = []
        for key, events in ready:
            worker: Worker = key.data
            if worker in ended:
                continue
            if key.fileobj is worker.channel:
                if events & selectors.EVENT_WRITE:
                    self._feed(worker)
                self._read(worker)
            if key.fileobj is not worker.channel or worker.gone:
                ended.append(worker)
        ended += [worker for worker in self._glance.dead(self._crew) if worker not in ended]
        for worker in ended:
            self._bury(worker)
        if self._timeout is not None:
            self._end_overdue(self._timeout)
            self._end_hanging(self._timeout)
        answers, self._answers = self._answers, []
        return answers

    def close(self) -> None:
        if self._owner is not this_process():  # a copy in a forked child: nothing in it is its own
            return
        with uninterrupted():
            for worker in self._crew:
                if worker.held:
                    worker.process.kill()
                worker.channel.send(GOODBYE)
                worker.channel.close()
            deadline = clock() + FAREWELL  # of all together
            for worker in self._crew:
                end_process(worker.process, max(0.0, deadline - clock()))
                worker.slot.close()
            self._crew.clear()
            self._selector.close()

    # ------------------------------------------------------------------ workers come and go

    def _choose(self) -> Worker:
        """The worker with the least to do; a new one while all are busy and there may be more."""
        least = min(self._crew, key=lambda worker: worker.load, default=None)
        if least is None or (least.load and len(self._crew) < self._most):
            try:
                return self._hire()
            except WorkerStartError:
                if least is None:
                    raise
                self._most = len(self._crew)  # the system has no room for more
        return least

    def _hire(self) -> Worker:
        with uninterrupted(), refusals_named("worker process"):
            process, pipe, slot = start_with_slot(
                self._context, work, self._func, name="task_manager-worker"
            )
            try:
                worker = Worker(process, Channel(pipe), slot)
                worker.number = self._places.take()
                self._selector.register(worker.channel, selectors.EVENT_READ, worker)
                if tells_of_death(self._context):
                    self._selector.register(process.sentinel, selectors.EVENT_READ, worker)
            except BaseException:  # it has no owner yet
                pipe.close()
                process.kill()
                end_process(process, FAREWELL)
                slot.close()
                raise
            self._crew.append(worker)
        return worker

    def _patience(self, longest: float) -> float:
        """Seconds that may be spent on waiting: not longer than until a call may be due."""
        if self._timeout is None:
            return longest
        began = min((worker.slot[1] for worker in self._crew), default=NEVER)
        return min(longest, self._timeout, max(0.0, began + self._timeout - clock()))

    def _end_hanging(self, timeout: float) -> None:
        """Kill the workers that do not come up."""
        coming = [worker for worker in self._crew if not worker.ready]
        limit = time_to_come_up(timeout, len(coming))
        for worker in coming:
            if clock() - worker.began >= limit:
                worker.refusal = not_ready("a worker process", limit)
                worker.process.kill()
                self._bury(worker)

    def _end_overdue(self, timeout: float) -> None:
        """Kill the workers whose call takes too long."""
        for worker in list(self._crew):
            number = int(worker.slot[0])  # first: the next call writes its beginning before its number
            began = worker.slot[1]
            took = clock() - began
            if not worker.held or took < timeout:
                continue
            if has_died(worker.process):  # which a copy of it may hide from us
                self._bury(worker)
                continue
            worker.process.kill()
            error = TaskTimeoutError(timeout)
            self._bury(worker, Overdue(number, Failure(error, type(error)), began, took))

    def _bury(self, worker: Worker, overdue: Overdue | None = None) -> None:
        """A worker is dead, or as good as dead: charge who is to be charged, give the others back.

        overdue: The call that it was killed for by us; None if it died by itself.
        """
        self._crew.remove(worker)
        self._places.give_back(worker.number)
        self._selector.unregister(worker.channel)
        if tells_of_death(self._context):
            self._selector.unregister(worker.process.sentinel)
        pid = worker.process.pid
        number = int(worker.slot[0])
        alive = overdue is None and self._lives_on(worker)
        exitcode = end_process(worker.process, 0.0 if alive else FAREWELL)
        try:
            self._read(worker)  # what it sent before it died
            if overdue is not None:  # its worker may have gone on to the next call
                charged = worker.index_of(overdue.number)
                call = (overdue.began, overdue.took)
                self._give_back(worker, charged, overdue.failure, call)
            else:
                began = worker.slot[1]
                going_on = not alive and began != NEVER
                guilty = self._blame(worker, number if alive else int(worker.slot[0]), going_on)
                error = WorkerDiedError(pid, exitcode)
                last_call = (began, clock() - began) if going_on else None
                self._give_back(worker, guilty, Failure(error, type(error)), last_call)
        finally:
            worker.channel.close()
            worker.slot.close()
        if not worker.ready:
            self._count_stillborn(worker, exitcode)

    def _lives_on(self, worker: Worker) -> bool:
        """Whether it is its pipe alone that has ended, or is no pipe of ours any more.

        Then the one to blame need not be the call that it has in hand by now.
        """
        if not worker.lost and not worker.channel.garbled:
            deadline = clock() + SHORTLY
            while not has_died(worker.process) and clock() < deadline:
                sleep(GAP)  # a process that dies closes its files before it is seen to be dead
        return not has_died(worker.process)

    def _blame(self, worker: Worker, number: int, going_on: bool) -> int | None:
        """The index of the task that is charged for this death, or None."""
        if not worker.ready or not worker.held:
            return None
        in_hand = worker.index_of(number)
        if in_hand is None:  # it may have died of receiving the next ones
            return self._suspects.charge(worker.held[0].indices_left, None, going_on=False)
        held = [index for held in worker.held for index in held.indices_left]
        return self._suspects.charge(held, in_hand, going_on)

    def _give_back(
        self,
        worker: Worker,
        charged: int | None,
        failure: Failure,
        call: tuple[float, float] | None,
    ) -> None:
        """The task of this index has the failure; what else the worker had is not run.

        call: When its call began, and its seconds; None where it had none, or nobody knows.
        """
        had: list[Held | Part] = [*worker.held, *worker.parts]
        for given in had:
            unrun = list(given.left)
            for position in given.left if charged is not None else ():
                if given.batch.indices[position] == charged:
                    unrun.remove(position)
                    outcomes = Outcomes([position], [None], {position: failure}, [])
                    if call is not None:
                        began, took = call
                        outcomes = replace(
                            outcomes, seconds=[took], began=[began], workers=[worker.number]
                        )
                    self._answers.append((given.batch, outcomes))
            if unrun:
                self._answers.append((given.batch, Unrun(unrun)))

    def _count_stillborn(self, worker: Worker, exitcode: int | None) -> None:
        """This one never came to work: others go on without it, and where none works that is the end."""
        if worker.refusal:
            self._hanging += 1
        else:
            self._stillborn += 1
        if self._hanging < HANGING and not hopeless(self._stillborn, exitcode):
            return
        if any(other.ready for other in self._crew):
            self._most = len(self._crew)
        elif worker.refusal:
            raise WorkerStartError(worker.refusal)
        else:
            method = self._context.get_start_method()
            raise stillborn_error("worker processes", exitcode, method)

    # ------------------------------------------------------------------ pipes

    def _feed(self, worker: Worker) -> None:
        """Send as much as its pipe takes now; the selector says when there is room for the rest.

        What waits for it is pickled a share at a time, so that no batch is there twice as a whole.
        """
        was_waiting = worker.channel.unsent
        worker.channel.send(b"")
        while worker.parts and not worker.channel.unsent:
            part = worker.parts[0]
            share, positions = part.pack()
            if not part.left:
                worker.parts.popleft()
            if share.failures:
                failures = {positions[place]: failure for place, failure in share.failures.items()}
                self._answers.append((part.batch, _failed(failures)))
                positions = [position for position in positions if position not in failures]
            if positions:
                frame = wire.dumps((part.batch.unpack, *share.column))
                worker.hold(part.batch, positions, len(frame))
                del share
                worker.channel.send(frame)
        if worker.channel.unsent != was_waiting:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE * bool(worker.channel.unsent))
            self._selector.modify(worker.channel, events, worker)

    def _read(self, worker: Worker) -> None:
        if worker.lost:
            return
        try:
            for frame in worker.channel.receive():
                if worker.ready:
                    self._take(worker, frame)
                elif not isinstance(frame, TooLarge) and frame == READY:
                    worker.ready = True
                    self._stillborn = self._hanging = 0
                else:
                    worker.refusal = refusal_in(frame)
                    if not any(other.ready for other in self._crew):
                        raise WorkerStartError(worker.refusal)
        except GarbageError:
            worker.lost = True

    def _take(self, worker: Worker, frame: memoryview | TooLarge) -> None:
        """Raises GarbageError, before anything is changed, if it is no report of what it has in hand."""
        try:
            if isinstance(frame, TooLarge):
                raise MemoryError
            report = open_report(frame)
        except MemoryError:
            self._take_note(worker, open_note(worker.channel.note), len(frame))
            return
        held = worker.expect(len(report.seconds))
        if not report.seconds:
            worker.held.popleft()
            self._answers.append((held.batch, Unrun(held.left)))
            return
        places = range(held.done, held.done + len(report.seconds))
        positions = held.positions[places.start : places.stop]
        failures = {}
        for place, cell in report.failures.items():
            if place not in places:
                raise GarbageError
            failure, position = wire.unpack_failure(cell), held.positions[place]
            failures[position] = named(failure, held.batch.calls[position], held.batch.unpack)
        values = report.cells
        if not report.plain:
            values = []
            for place, (position, cell) in enumerate(zip(positions, report.cells, strict=True)):
                value = None
                try:
                    value = wire.unpack_value(cell)
                except TransportError as error:
                    named_error = wire.renamed(error, report.name_of(place) or error.type_name)
                    release(named_error)
                    failures.setdefault(position, Failure(named_error, TransportError))
                values.append(value)
        self._come_home(
            worker,
            Outcomes(
                positions,
                values,
                failures,
                report.seconds,
                InTurn(report.began, report.seconds),
                [worker.number] * len(positions),
                report.aside,
                held.weight,
            ),
        )

    def _take_note(self, worker: Worker, note: Note, size: int) -> None:
        """There is no memory for a report about one call: that is the error of its task."""
        held = worker.expect(1)
        if note.number != held.base + held.done:
            raise GarbageError
        message = f"there is no memory for its {size:,} bytes"
        error = TransportError(note.what, note.type_name, message)
        position = held.positions[held.done]
        failures = {position: Failure(error, TransportError)}
        self._come_home(
            worker,
            Outcomes(
                [position],
                [None],
                failures,
                [note.seconds],
                [note.began],
                [worker.number],
                note.aside,
                held.weight,
            ),
        )

    def _come_home(self, worker: Worker, outcomes: Outcomes) -> None:
        """These are the outcomes of the next attempts of what it has in hand."""
        held = worker.held[0]
        held.done += len(outcomes.positions)
        if held.done == len(held.positions):
            worker.held.popleft()
        if self._suspects:
            self._suspects.clear(held.batch.indices[position] for position in outcomes.positions)
        worker.pace = sum(outcomes.seconds) / len(outcomes.seconds)
        self._answers.append((held.batch, outcomes))


def _failed(failures: dict[int, Failure]) -> Outcomes:
    """Outcomes of calls that were not made."""
    return Outcomes(list(failures), [None] * len(failures), failures, [])
