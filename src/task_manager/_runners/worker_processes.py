"""The worker processes of a runner: started as they are needed, replaced in time, told goodbye.

     start ──▶ at work ──▶ leaving: told goodbye, cleans up ──▶ ended
       └──▶ successor of one at work: is ready, and waits until that one has made its last call

A worker that may make so many calls and no more goes when its successor is ready.  It has no more calls
than it may make, so there are never more calls at the same time than workers are allowed.
"""

from __future__ import annotations

import multiprocessing
import selectors
from collections.abc import Callable
from typing import Any

from .._call import clock
from .._processes.attempts import Worker
from .._processes.child import (
    TIME_TO_END,
    FailedStarts,
    Glance,
    failed_set_ups_error,
    failed_starts_error,
    tells_of_death,
)
from .._processes.files import standard_files_taken
from .._processes.function import pack_object
from .._processes.life import refusals_named, uninterrupted
from .._processes.worker import GOODBYE, work
from .._repr import name_of
from .._rules.renewal import Renewal
from .._state import TIME_TO_CLEAN_UP, CleanUps, has_clean_up
from ..errors import WorkerStartError
from . import Orders
from .places import Places


class WorkerProcesses:
    """Owns them, and the selector that tells of them, with the worker as data.

    at_work: Those that have calls to make, or may have. most: How many of these there may be.
    """

    def __init__(self, func: Callable[..., Any], orders: Orders) -> None:
        self.at_work: list[Worker] = []
        self.most = orders.workers
        self._context = multiprocessing.get_context(orders.start_method)
        self._sentinels_tell = tells_of_death(self._context)
        method = self._context.get_start_method()
        self._func = pack_object(func, method)
        self._make = None if orders.state is None else pack_object(orders.state, method)
        self._name_of_make = "" if orders.state is None else name_of(orders.state)
        self._cleans_up = orders.state is not None and has_clean_up(orders.state)
        self._clean_ups = CleanUps()
        with refusals_named("worker process"), standard_files_taken():
            self.selector = selectors.DefaultSelector()
        self._failed_starts = FailedStarts()
        self._glance = Glance()
        self._places = Places()
        self._renewal = None if orders.most_calls is None else Renewal(orders.most_calls)
        self._successors: dict[Worker, Worker] = {}  # of those at work
        self._no_successors = False  # none can be had: those that have made their calls go first
        self._leaving: dict[Worker, float] = {}  # since when

    # ------------------------------------------------------------------ they come

    def choose(self) -> Worker | None:
        """The worker with the least to do; a new one while all are busy and there may be more.

        None where each has to be replaced first. Raises WorkerStartError where there is none at all.
        """
        able = self.at_work
        if self._renewal is not None:
            able = [worker for worker in able if worker.room]
        least = min(able, key=lambda worker: worker.load, default=None)
        if (least is None or least.load) and len(self.at_work) < self.most:
            try:
                least = self._start()
            except WorkerStartError:
                if not self.at_work and not self._leaving:  # which make room as they end
                    raise
                self.most = max(1, len(self.at_work))  # the system has no room for more
            else:
                least.place = self._places.take()
                self.at_work.append(least)
        return least

    def _start(self) -> Worker:
        with uninterrupted(), refusals_named("worker process"):
            worker = Worker(None if self._renewal is None else self._renewal.most)
            try:
                worker.start(self._context, work, self._func, self._make, name="task_manager-worker")
                worker.listen(self.selector, self._sentinels_tell)
            except BaseException:  # it has no owner yet
                worker.kill()
                worker.close()
                raise
        return worker

    def coming(self) -> list[Worker]:
        """Those of which nothing was heard yet."""
        return [one for one in (*self.at_work, *self._successors.values()) if not one.up]

    def is_ready(self, worker: Worker) -> None:
        """This one has said so."""
        self._failed_starts.clear()
        self._no_successors = False
        if self._renewal is not None:
            self._renewal.came_up(clock() - worker.began)

    def failed(self, worker: Worker) -> None:
        """This one has ended. Raises WorkerStartError where none has been ready, and none can work."""
        if worker.ready or not self._failed_starts.too_many(worker):
            return
        if any(other.ready and (other.load or other.room) for other in self.at_work):
            self.most = len(self.at_work)
            self._no_successors = True
        elif worker.refusal:
            raise WorkerStartError(worker.refusal)
        elif worker.up:
            raise failed_set_ups_error(worker.exitcode)
        else:
            method = self._context.get_start_method()
            raise failed_starts_error("worker processes", worker.exitcode, method)

    # ------------------------------------------------------------------ they are replaced

    def renew(self, more: bool, wanted: bool) -> None:
        """Start the successors that are due; let those go that have made their calls.

        more: There may be more calls. wanted: There are some, that none can make just now.
        """
        if self._renewal is None:
            return
        for worker in list(self.at_work):
            successor = self._successors.get(worker)
            spent = not worker.load and not worker.room
            if spent and (successor.ready if successor is not None else self._no_successors):
                self._let_go(worker)
            elif more and successor is None and worker.ready and not self._no_successors:
                left = worker.calls_left
                in_time = bool(worker.load) and self._renewal.due(left, worker.usage.look(clock(), left))
                if in_time or (spent and wanted):
                    self._start_successor(worker)
        for worker, since in list(self._leaving.items()):
            if clock() - since >= TIME_TO_CLEAN_UP:
                worker.kill()
                self._clean_ups.late(self._name_of_make)
                self.forget(worker)

    def _start_successor(self, worker: Worker) -> None:
        if len(self._leaving) >= self.most:  # they clean up, and take long
            return
        try:
            successor = self._start()
        except WorkerStartError:  # the system has no room for more
            self._no_successors = True
        else:
            successor.place = worker.place
            self._successors[worker] = successor

    def _let_go(self, worker: Worker) -> None:
        """It has nothing to do any more: it cleans up and ends."""
        self._leaving[worker] = clock()  # first: at no moment it is nobody's
        self._replace(worker)
        worker.channel.send(GOODBYE)

    def _replace(self, worker: Worker) -> None:
        """It is not at work any more; its successor is, if it has one."""
        successor = self._successors.pop(worker, None)
        if successor is not None:
            self.at_work[self.at_work.index(worker)] = successor
        else:
            self.at_work.remove(worker)
            self._places.give_back(worker.place)

    # ------------------------------------------------------------------ they go

    def leaves(self, worker: Worker) -> bool:
        """Whether it was told goodbye: nothing of what it does matters to a call any more."""
        return worker in self._leaving

    def forget(self, worker: Worker) -> None:
        """One that was told goodbye has ended."""
        self._unregister(worker)
        worker.end()
        self._clean_ups.tell(worker.last_words())
        worker.close()
        del self._leaving[worker]

    def dead(self) -> list[Worker]:
        """Those that are seen to be dead, though nothing tells of it."""
        return self._glance.dead([*self.at_work, *self._successors.values(), *self._leaving])

    def remove(self, worker: Worker) -> None:
        """It has died, or is of no use: it is none of these any more."""
        self._unregister(worker)
        if worker in self.at_work:
            self._replace(worker)
            return
        for other, successor in list(self._successors.items()):
            if successor is worker:
                del self._successors[other]

    def _unregister(self, worker: Worker) -> None:
        self.selector.unregister(worker.channel)
        if self._sentinels_tell:
            self.selector.unregister(worker.process.sentinel)

    def close(self) -> list[Worker]:
        """End all; those that were at work."""
        ended = list(self.at_work)
        with uninterrupted():
            told = dict.fromkeys([*self.at_work, *self._successors.values()])
            for worker in told:
                if worker.sent:
                    worker.kill()
                worker.channel.send(GOODBYE)
                if not self._cleans_up:
                    worker.channel.close()
            patience = TIME_TO_CLEAN_UP if self._cleans_up else TIME_TO_END
            deadline = clock() + patience  # of all together
            for worker in told | self._leaving:
                if not worker.ready:  # it would come up first
                    worker.kill()
                worker.end(max(0.0, deadline - clock()))
                if self._cleans_up:
                    self._clean_ups.tell(worker.last_words())
                worker.close()
            self.at_work.clear()
            self._successors.clear()
            self._leaving.clear()
            self.selector.close()
        return ended
