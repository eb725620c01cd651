"""Takes the guards out of the library, one at a time, and sees that a test fails without each.

    python tests/guards.py            all of them, in some minutes
    python tests/guards.py F6 F21     those of these demands

A hang that is cut off counts as a failure.  Exits with 1 if any mutation survives.
"""

# ruff: noqa: E501 - a table reads best in long lines

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "src" / "task_manager"
LIMIT = 90  # seconds for a test that was to be cut off after 20, and was not


class Guard(NamedTuple):
    """One guard, and the test that needs it.

    text: As it stands in the file, exactly once. instead: What takes the guard out.
    test: A file of tests and what pytest's -k selects in it.
    """

    demand: str
    what: str
    file: str
    text: str
    instead: str
    test: tuple[str, str]


def without(text: str, part: str, instead: str = "") -> tuple[str, str]:
    """A text, and the same with this part of it replaced."""
    return text, text.replace(part, instead)


WORKERS, STOPPING = "test_faults_workers.py", "test_faults_stopping.py"
SUSPECTS = "test_faults_suspects.py"
PIPES = "test_faults_pipes.py"
SURROUNDINGS, CHAINS = "test_faults_surroundings.py", "test_faults_chains.py"
CONFORMANCE, PROCESS, CHAIN = "test_conformance.py", "test_process.py", "test_chain.py"

POOL, WORKER = "_runners/process.py", "_processes/worker.py"
LIFE, CHILD = "_processes/life.py", "_processes/child.py"
PLATFORM = "test_platform.py"
WATCH, ENDS = "_platform/watch.py", "_platform/processes.py"
ARGUMENTS, REPORT = "_processes/arguments.py", "_processes/report.py"
THREAD, ASYNC, SERIAL = "_runners/thread.py", "_runners/asynchronous.py", "_runners/serial.py"

NARROW = "except ZeroDivisionError as"

# fmt: off
GUARDS = [
    Guard("F1", "the task in hand is charged", POOL,
          "if given.batch.indices[position] == charged:", "if False:",
          (WORKERS, "f01_a_worker_dies and SIGKILL and fork")),
    Guard("F1", "a forked copy of a worker does no work", LIFE,
          "after_fork(slot.release)", "",
          (PROCESS, "a_copy_of_a_worker and fork")),
    Guard("F1", "its neighbours are run again", POOL,
          "self._answers.append((given.batch, Unrun(unrun)))", "pass",
          (WORKERS, "f01_a_worker_dies and exit and spawn")),
    Guard("F1", "a dead worker is counted no more, and is replaced", POOL,
          "self._running.remove(worker)\n", "pass\n",
          (WORKERS, "f01_a_dead_worker_is_replaced and forkserver")),
    Guard("F1", "a worker of a stage: the same, in the stage's process", POOL,
          "if given.batch.indices[position] == charged:", "if False:",
          (WORKERS, "f01_a_worker_of_a_stage_dies and process and fork")),
    Guard("F1", "a task that no worker can take is charged in the end", "_rules/suspects.py",
          "self._deaths[name] >= PATIENCE", "False",
          (WORKERS, "f01_a_task_that_kills and fork")),
    Guard("F1", "it is looked for alone, so that no neighbour is charged", POOL,
          "for part in self._suspects.parts(batch.indices):", "for part in [slice(0, len(batch))]:",
          (PIPES, "f29_a_worker_that_dies and 1-patch_sockets")),
    Guard("F1", "a death that a copy of the worker hides", POOL,
          "ended += [worker for worker in self._glance.dead(self._running) if worker not in ended]", "pass",
          (WORKERS, "f01_a_worker_dies_and_leaves and (fork or spawn)")),
    Guard("F1", "a process that nobody has an exit code of is not closed", LIFE,
          "if code is None:  # multi", "if False:  # multi",
          (WORKERS, "f01_a_worker_dies_and_its and fork")),
    Guard("F1", "a worker that lives on without its sentinel is killed", LIFE,
          "    if process.exitcode is None:  # alive, whatever the sentinel says, or somebody else waited for it\n        process.kill()\n", "    if process.exitcode is None:  # alive\n",
          (WORKERS, "f01_a_worker_closes and fork")),
    Guard("F35", "nobody is asked by signal 0 where that is a Ctrl-C", ENDS,
          "if _killpg is None:\n        return process.exitcode", "if False:\n        return process.exitcode",
          (PLATFORM, "load")),
    Guard("F35", "no selector is asked where nothing is registered", ENDS,
          "if not selector.get_map():", "if False:",
          (PLATFORM, "only_one")),
    Guard("F35", "no selector is given what is no socket", CHILD,
          "return CAN_POLL and", "return",
          (PLATFORM, "load")),
    Guard("F35", "the slot is an argument where no file can be passed", "_platform/sharing.py",
          "    if PASSES_FILES:\n", "    if True:\n",
          (PLATFORM, "load")),
    Guard("F35", "a child ends with its parent", WATCH,
          "elif sentinel is not None:\n        gone", "elif False:\n        gone",
          (PLATFORM, "end_with_their_parent")),
    Guard("F2", "neighbours are run again", POOL,
          "self._answers.append((given.batch, Unrun(unrun)))", "pass",
          (WORKERS, "f02 and fork")),
    Guard("F3", "whatever is raised is an outcome", "_call.py",
          "except BaseException as error:", "except Exception as error:",
          (CONFORMANCE, "f03_any and (serial or thread or fork)")),
    Guard("F3", "whatever is raised is an outcome", ASYNC,
          "except BaseException as error:\n                        if member", "except Exception as error:\n                        if member",
          (CONFORMANCE, "f03_any and async")),
    Guard("F3", "a cancellation that is left behind", ASYNC,
          "if task.cancelling():", "if False:",
          (WORKERS, "f03_a_cancellation")),
    Guard("F3", "in a stage", "_call.py",
          "except BaseException as error:", "except Exception as error:",
          (CHAINS, "f03")),
    Guard("F4", "an argument that cannot be pickled", ARGUMENTS,
          *without("except BaseException as error:\n            let_through(error)\n            failures",
                   "except BaseException as", NARROW),
          (PROCESS, "f04 and argument-pickle-fails")),
    Guard("F4", "an argument that cannot be unpickled", WORKER,
          *without("except BaseException as error:\n            raise unnamed",
                   "except BaseException as", NARROW),
          (PROCESS, "f04 and argument-unpickle-exits")),
    Guard("F4", "a result that cannot be pickled", "_processes/wire.py",
          *without("except BaseException as error:\n            let_through(error)\n            cells",
                   "BaseException", "Exception"),
          (PROCESS, "f04 and result-pickle-exits")),
    Guard("F4", "a result that cannot be unpickled", "_processes/wire.py",
          *without("except BaseException as error:\n        let_through(error)\n        raise",
                   "BaseException", "Exception"),
          (PROCESS, "f04 and result-unpickle-exits")),
    Guard("F4", "a result whose pickling kills: the slot names it", "_processes/wire.py",
          "slot[0] = number\n", "pass\n",
          (PROCESS, "f04 and result-pickle-crashes")),
    Guard("F4", "an error whose pickling kills: the slot names it", REPORT,
          "slot[0] = base + position", "pass",
          (PROCESS, "f04 and error-pickle-crashes and spawn")),
    Guard("F4", "an error that cannot be pickled", "_processes/wire.py",
          *without("return dumps(value)\n    except BaseException as", "BaseException", "Exception"),
          (PROCESS, "f04 and error-pickle-exits")),
    Guard("F4", "an error that cannot be unpickled", "_processes/wire.py",
          *without("value = loads(packed)\n    except BaseException as", "BaseException", "Exception"),
          (PROCESS, "f04 and error-unpickle-exits")),
    Guard("F4", "it is retried by its own type", "_processes/wire.py",
          "kind = _try_loads(cell.kind, type)", "kind = None",
          (PROCESS, "f04 and retried_by_its_type")),
    Guard("F4", "its traceback stays beside it", "_processes/wire.py",
          "cell.type_name, cell.message, cell.traceback)", "cell.type_name, cell.message)",
          (PROCESS, "f04 and comes_as_text")),
    Guard("F4", "a broken __str__, on its way", "_processes/wire.py",
          *without("str(error))\n    except BaseException as", "except BaseException as", NARROW),
          (CONFORMANCE, "f04 and without_a_text and fork")),
    Guard("F4", "a text that is no exact str", "_processes/wire.py",
          "return str.__str__(str(error))", "return str(error)",
          (PROCESS, "f04_an_object_of_an_odd and text and fork")),
    Guard("F4", "a class whose name is broken", "_processes/wire.py",
          *without("{name}\"\n    except BaseException as", "except BaseException as", NARROW),
          (PROCESS, "f04_an_object_of_an_odd and name and fork")),
    Guard("F4", "an error that refuses assignments, on its arrival", "_processes/wire.py",
          "_CAUSE.__set__(error, WorkerTraceback(cell.traceback))",
          "error.__cause__ = WorkerTraceback(cell.traceback)",
          ("test_wire.py", "refuses_assignments")),
    Guard("F4", "a tuple's subclass is pickled by itself", ARGUMENTS,
          "not wire.all_of(wire.TUPLE, calls)", "False",
          (PROCESS, "f04_a_namedtuple")),
    Guard("F4", "broken notes", "_run/run.py",
          "except BaseException as broken:  # an error whose notes", f"{NARROW} broken:  #",
          (CONFORMANCE, "f04 and without_notes")),
    Guard("F4", "an error that refuses every assignment", "_call.py",
          "BaseException.with_traceback(error, head)", "error.__traceback__ = head",
          (CONFORMANCE, "f04 and frozen and (serial or thread or async)")),
    Guard("F4", "an initial task that cannot be pickled", "_chain/feed.py",
          "if isinstance(cell, wire.Lost):", "if False:",
          (CHAINS, "f04 and argument-pickle-fails")),
    Guard("F4", "an initial task that cannot be unpickled", "_chain/stage.py",
          *without("except TransportError as error:\n                self._reporter", "TransportError", "ZeroDivisionError"),
          (CHAINS, "f04 and argument-unpickle-fails")),
    Guard("F5", "the worker's traceback travels", "_processes/wire.py",
          "elif cell.traceback:", "elif False:",
          (CONFORMANCE, "f05 and (fork or spawn)")),
    Guard("F5", "through the processes of a stage, too", "_processes/wire.py",
          "elif cell.traceback:", "elif False:",
          (CHAINS, "f05 and process and thread")),
    Guard("F5", "it begins with the user's line", "_call.py",
          "BaseException.with_traceback(error, head)", "pass",
          (PROCESS, "f05")),
    Guard("F6", "process: overdue workers are killed", POOL,
          "self._end_overdue(self._timeout)", "pass",
          (WORKERS, "f06_a_call_that_hangs_is_timed_out and fork")),
    Guard("F6", "process: they alone", POOL,
          "if not worker.sent or took < timeout:",
          "if getattr(self, 'late', 0) < 1 and (took < timeout or setattr(self, 'late', 9)):",
          (WORKERS, "f06_only_the_call and fork")),
    Guard("F6", "process: the call that was overdue is charged, and not the next one", POOL,
          "worker.index_of(overdue.number)", "worker.index_of(int(worker.slot[0]))",
          (WORKERS, "f06_a_call_that_ends_too_late and fork")),
    Guard("F6", "process: a call that is over is in time", REPORT,
          "slot[1] = NEVER\n    names", "names",
          (WORKERS, "f06_a_hook_that_is_slow and fork")),
    Guard("F6", "thread: overdue calls are left alone", THREAD,
          "answers += self._leave_overdue(self._timeout)", "pass",
          (WORKERS, "f06_a_call_that_hangs_is_timed_out and thread")),
    Guard("F6", "thread: the slot is filled again", THREAD,
          "if self._short:", "if False:",
          (WORKERS, "f06_what_waits and thread")),
    Guard("F6", "thread: it does not keep the interpreter", THREAD,
          "daemon=True", "daemon=False",
          (WORKERS, "f06_a_thread_that_hangs")),
    Guard("F6", "thread: a dismissed one gives back what it takes up", THREAD,
          "inbox.put(batch)  # for", "pass  # for",
          (WORKERS, "f06_a_thread_that_is_dismissed")),
    Guard("F6", "async: overdue calls are cancelled", ASYNC,
          "self._leave_overdue(self._timeout)", "pass",
          (WORKERS, "f06_a_call_that_hangs_is_timed_out and async")),
    Guard("F6", "async: the slot is filled again", ASYNC,
          "        self._hire()\n        parts,", "        parts,",
          (WORKERS, "f06_a_coroutine_that_swallows")),
    Guard("F6", "async: a cancellation that is swallowed is not waited for", ASYNC,
          "asyncio.wait(self._left, timeout=FAREWELL)", "asyncio.wait(self._left)",
          (WORKERS, "f06_a_coroutine_that_swallows")),
    Guard("F6", "serial: refused", "_options.py",
          "if not MODES[mode].interrupts:", "if False:",
          (WORKERS, "f06_serial")),
    Guard("F7", "workers that keep dying at the start end the run", CHILD,
          "return self._died >= most or self._hanging >= FAILED_HANGING", "return False",
          (SURROUNDINGS, "f07_a_script_without and spawn and manager")),
    Guard("F7", "stages that keep dying at the start end the chain", "chain.py",
          "if failed_starts.too_many(died):", "if False:",
          (SURROUNDINGS, "f07_a_script_without and spawn and chain")),
    Guard("F7", "a worker says that it cannot load its function", WORKER,
          *without("except BaseException as error:\n        send_frame", "except BaseException as", NARROW),
          (PROCESS, "f07_a_function_that_no_worker_can_load")),
    Guard("F7", "what was defined at a prompt travels by value", "_processes/wire.py",
          'if start_method == "fork" or b"__main__" not in packed or script_can_be_imported():', "if True:",
          (SURROUNDINGS, "f07_a_function_from_a_prompt and spawn")),
    Guard("F7", "the workers there are do the work where no more can be started", POOL,
          "except WorkerStartError:", "except ZeroDivisionError:",
          (PROCESS, "f07_no_more_processes and fork")),
    Guard("F7", "a daemonic process is told at the door", POOL,
          "refuse_daemons()\n", "pass\n",
          (PROCESS, "f07_a_daemonic and manager")),
    Guard("F7", "a chain in a daemonic process", LIFE,
          "    refuse_daemons()\n", "",
          (PROCESS, "f07_a_daemonic and chain")),
    Guard("F7", "a script from stdin is not blamed for a missing guard", CHILD,
          "if script is None or Path(script).exists():", "if True:",
          (PROCESS, "f07_a_script_from_stdin")),
    Guard("F8", "start says to await start_async", "manager.py",
          'refuse_running_loop("a manager', 'max("a manager',
          (CONFORMANCE, "f08_start_in_a_running_loop and async")),
    Guard("F8", "a thread that is not the main one sets no handler", "_signals.py",
          "if threading.current_thread() is not threading.main_thread():\n            yield", "if False:\n            yield",
          (CONFORMANCE, "f08_a_manager_works_outside and fork")),
    Guard("F8", "a forked child has locks of its own", LIFE,
          "after_fork(_begin_anew)", "",
          (CONFORMANCE, "f08_a_manager_works_inside and process and fork")),
    Guard("F9", "serial: it is no outcome", SERIAL,
          "passing=_ends_the_run", "passing=None",
          (STOPPING, "f09_one_ctrl_c and serial")),
    Guard("F9", "thread: nobody waits for a call", THREAD,
          "thread.join(FAREWELL / len(self._crew))", "thread.join()",
          (STOPPING, "f09_one_ctrl_c and thread")),
    Guard("F9", "process: children are deaf to it", LIFE,
          "signal.signal(signal.SIGINT, ignore_ctrl_c)",
          "signal.signal(signal.SIGINT, signal.default_int_handler)",
          (STOPPING, "f09_workers_leave and fork")),
    Guard("F9", "process: what children start is not deaf to it", LIFE,
          "signal.signal(signal.SIGINT, ignore_ctrl_c)", "signal.signal(signal.SIGINT, signal.SIG_IGN)",
          (WORKERS, "f09_what_a_worker_starts and fork")),
    Guard("F9", "process: a run that is broken off closes its pool", "manager.py",
          "            finally:\n                self._pool.close()", "            finally:\n                pass",
          (STOPPING, "f09_a_ctrl_c_while_processes_start and fork")),
    Guard("F9", "process: it waits until a worker has an owner", POOL,
          "with uninterrupted(), refusals_named(", "with refusals_named(",
          (STOPPING, "f09_a_ctrl_c_while_processes_start and spawn")),
    Guard("F9", "it is held back while a run moves its books", "_signals.py",
          "if self._may_raise(error, now) or _in_a_call(frame):", "if True:",
          ("test_signals.py", "at_any_line and hooks")),
    Guard("F9", "what was read for a batch is counted", "_run/source.py",
          "        except BaseException:\n            self.dropped = len(tasks)", "        except BaseException:\n            pass",
          ("test_signals.py", "iterator_had_given")),
    Guard("F9", "it is not the error of a task that is being pickled", "_signals.py",
          "if self._may_raise(error, now) or _in_a_call(frame):", "if True:",
          (STOPPING, "f09_a_ctrl_c_while_a_task_is_pickled")),
    Guard("F9", "what has no outcome is not started, and not failed", "_run/run.py",
          "not_started=self._read + self._source.dropped - settled.taken", "not_started=0",
          (STOPPING, "f09_one_ctrl_c")),
    Guard("F9", "chain: what has no outcome is not started, and not failed", "_chain/book.py",
          "not_started=self._taken + dropped - counts.taken", "not_started=dropped",
          ("test_signals.py", "f09_a_chain")),
    Guard("F9", "process: workers end in silence when the parent has gone", WORKER,
          "except (ConnectionError, EOFError):", "except ZeroDivisionError:",
          (PROCESS, "ends_in_silence")),
    Guard("F10", "a child ends with its parent", WATCH,
          'threading.Thread(target=watch, name="task_manager-watch", daemon=True).start()', "pass",
          (STOPPING, "f10 and (fork or spawn or chain)")),
    Guard("F10", "programs that a worker runs end with its parent", ENDS,
          "_killpg(0, signal.SIGKILL)", "pass",
          (STOPPING, "f10_programs and 15 and (fork or chain)")),
    Guard("F10", "an idle worker knows a goodbye from the death of its parent", WORKER,
          "        end_with_group()\n", "        return\n",
          (STOPPING, "f10_programs_of_an_idle")),
    Guard("F10", "programs that a worker runs end with it", LIFE,
          "if code != 0:", "if False:",
          (WORKERS, "f06_what_a_worker_has_started and fork")),
    Guard("F11", "at exit children are killed before they are waited for", LIFE,
          "@atexit.register\n", "",
          (STOPPING, "f11_a_script_that_ends and (fork or chain)")),
    Guard("F11", "and nothing is started any more", LIFE,
          "if not _exiting:", "if True:",
          (STOPPING, "f11_nothing")),
    Guard("F11", "a runner in mid-run is left to its thread", "_runners/kept.py",
          "if turn.take():", "if True:",
          ("test_kept.py", "f11")),
    Guard("F11", "threads do not keep the interpreter", THREAD,
          "daemon=True", "daemon=False",
          (STOPPING, "f11_a_script_that_ends and thread")),
    Guard("F11", "a dropped manager ends its runner", "_runners/kept.py",
          "weakref.finalize(self, close_idle, self._runner, self._turn)", "None",
          (CONFORMANCE, "f11 and (thread or fork)")),
    Guard("F11", "workers that do not end are waited for together", POOL,
          "max(0.0, deadline - clock())", "FAREWELL",
          (PROCESS, "f11_workers_that and fork")),
    Guard("F12", "a dropped manager ends its runner", "_runners/kept.py",
          "weakref.finalize(self, close_idle, self._runner, self._turn)", "None",
          (STOPPING, "f12 and (thread or fork)")),
    Guard("F12", "a stage that is through is waited for", CHILD,
          "self.exitcode = end_process(self.process, patience)", "self.exitcode = None",
          (STOPPING, "f12 and chain")),
    Guard("F13", "the error of the input is kept back", "_run/source.py",
          "except Exception as error:", f"{NARROW} error:",
          (CONFORMANCE, "f13 and (serial or thread or async or fork)")),
    Guard("F13", "it is raised at the end", "manager.py",
          "if run.error is not None:", "if False:",
          (CONFORMANCE, "f13")),
    Guard("F13", "it is raised at the end of a chain", "chain.py",
          "if source.error is not None:", "if False:",
          (CHAIN, "f13")),
    Guard("F14", "process: two batches a worker", POOL,
          "sum(worker.load for worker in self._running) < self._most * depth", "True",
          (CONFORMANCE, "f14_endless and fork")),
    Guard("F14", "process: what could not be sent is recorded first", POOL,
          "return not self._answers and", "return",
          (PROCESS, "f14")),
    Guard("F14", "what was not called is not taken for fast", "_run/run.py",
          "if seconds:\n                    self", "if True:\n                    self",
          ("test_run.py", "teach_nothing")),
    Guard("F14", "thread: two batches a worker", THREAD,
          "return len(self._open) < self.workers * depth", "return True",
          (CONFORMANCE, "f14_endless and thread")),
    Guard("F14", "async: as many as may run", ASYNC,
          "return self._ahead < self.workers", "return True",
          (CONFORMANCE, "f14_endless and async")),
    Guard("F14", "serial: one batch", SERIAL,
          "return self._batch is None", "return True",
          (CONFORMANCE, "f14_endless and serial")),
    Guard("F14", "the first batch is of one task", "_rules/batch_size.py",
          "self._size = 1\n", "self._size = LARGEST\n",
          (CONFORMANCE, "f14_the_first_result")),
    Guard("F14", "nothing is kept", "manager.py",
          "[self._results, self._ledger] if self.keep_results else []", "[self._results, self._ledger]",
          (CONFORMANCE, "f14_nothing_is_kept and serial")),
    Guard("F14", "a chain reads a few batches ahead", "_chain/feed.py",
          "if self._ahead >= AHEAD * self._batch:", "if False:",
          (CHAINS, "f14_a_chain_reads")),
    Guard("F14", "a chain forgets the tasks that arrive", "_chain/book.py",
          "for ticket in tickets:\n                forget(ticket)", "pass",
          (CHAINS, "f14_a_chain_that_keeps")),
    Guard("F15", "what refuses to be a key is known by its content", "_run/ledger.py",
          "except BaseException as error:  # unhashable", "except ZeroDivisionError as error:  # unhashable",
          (CONFORMANCE, "f15_any")),
    Guard("F15", "what refuses to be looked at is known by itself", "_run/keys.py",
          "except BaseException as error:  # content", "except ZeroDivisionError as error:  # content",
          (CONFORMANCE, "f15_any")),
    Guard("F15", "a mapping that holds such tasks", "_run/keys.py",
          "except BaseException as error:  # an unhash", "except ZeroDivisionError as error:  # an unhash",
          (CHAINS, "f15")),
    Guard("F15", "a broken repr is shown as such", "_repr.py",
          'return f"<unreprable {type_name(type(x))}>"\n        return', 'raise\n        return',
          ("test_repr.py", "")),
    Guard("F15", "a long repr is cut", "_repr.py",
          'text if len(text) <= length else f"{text[: length - 3]}..."', "text",
          ("test_repr.py", "")),
    Guard("F16", "get_args", "_run/run.py",
          *without("except Exception as error:\n                let_through(error)\n                self._fail", "except Exception as", NARROW),
          (CONFORMANCE, "f16 and (serial or thread or async or fork)")),
    Guard("F16", "process_result", "_run/run.py",
          *without("except Exception as error:\n                    let_through(error)\n                    hook_error",
                   "except Exception as", NARROW),
          (CONFORMANCE, "f16 and (serial or thread or async or fork)")),
    Guard("F16", "handle_error of a stage, in turn", "chain.py",
          "except Exception as error:", f"{NARROW} error:",
          (CHAIN, "f16 and serial")),
    Guard("F16", "handle_error of a stage, in its process", "_chain/round.py",
          "self.error = error", "pass",
          (CHAIN, "f16 and process")),
    Guard("F17", "a log that cannot be opened is left out", "_run/recorder.py",
          *without("guest.open(total)\n            except Exception as", "except Exception as", NARROW),
          (SURROUNDINGS, "f17_the_log and full and (serial or thread or async or fork or chain)")),
    Guard("F17", "a bar that cannot be moved is left out", "_run/recorder.py",
          *without("guest.observe(event)\n            except Exception as", "except Exception as", NARROW),
          ("test_recorder.py", "")),
    Guard("F17", "processes start although stderr is gone", "_processes/launch.py",
          "except (OSError, ValueError):", "except ZeroDivisionError:",
          (SURROUNDINGS, "f17_stderr and (fork or chain)")),
    Guard("F17", "processes start although stdout cannot flush", "_processes/launch.py",
          "except AttributeError:  # multi", f"{NARROW} _:  # multi",
          (PROCESS, "f17_a_stdout and fork")),
    Guard("F17", "a temporary file in place of shared memory", "_platform/sharing.py",
          "except OSError:  # forbidden", f"{NARROW} _:  # forbidden",
          (PROCESS, "f17_no_shared and fork")),
    Guard("F18", "neighbours are run again", POOL,
          "self._answers.append((given.batch, Unrun(unrun)))", "pass",
          (WORKERS, "f18 and fork")),
    Guard("F19", "a waiting retry lies in the heap until it is due", "_run/run.py",
          "self._waiting[0][0] <= now and", "",
          (CONFORMANCE, "f19 and (serial or thread or async or fork)")),
    Guard("F19", "in a stage", "_run/run.py",
          "self._waiting[0][0] <= now and", "",
          (CHAINS, "f19")),
    Guard("F20", "as many attempts as asked for", "_rules/retry.py",
          "number > self.max_retries", "number >= self.max_retries",
          (CONFORMANCE, "f20")),
    Guard("F20", "the count of attempts stands on the error", "_run/run.py",
          "annotate(error, f\"task_manager: failed", "str(f\"task_manager: failed",
          (CHAINS, "f20")),
    Guard("F21", "what was in the hands of a dead stage is charged", "chain.py",
          "round_.charge(died)", "pass",
          (CHAINS, "f21_a_stage_dies and SIGKILL")),
    Guard("F21", "the parent knows what a stage has taken", "_chain/round.py",
          "stage.held.update(zip(tickets, count(stage.taken)))", "pass",
          (CHAINS, "f21_a_stage_dies and SIGSEGV")),
    Guard("F21", "the task of the call is charged alone", "_chain/round.py",
          "[in_hand] if in_hand is not None and going_on else stage.hands", "stage.hands",
          (CHAINS, "f21_a_stage_that_dies_in_a_batch and call")),
    Guard("F21", "a result that kills at pickling is charged alone", "_chain/stage.py",
          "wire.pack_values(results, self._slot, indices)", "pack_column(results)",
          (CHAINS, "f21_a_stage_that_dies_in_a_batch and result")),
    Guard("F21", "an error that kills at pickling is charged alone", "_chain/stage.py",
          "with self._in_hand(index):\n                    cell = _pack(error)\n                self.report(F",
          "if index:\n                    cell = _pack(error)\n                self.report(F",
          (CHAINS, "f21_a_stage_that_dies_in_a_batch and error")),
    Guard("F21", "a death that a copy of the stage hides", "_chain/round.py",
          "died += self._silently_dead()", "pass",
          (CHAINS, "f21_a_stage_dies_and_leaves")),
    Guard("F21", "a copy of a stage does no work", LIFE,
          "after_fork(slot.release)", "pass",
          (CHAINS, "a_copy_of_a_stage")),
    Guard("F21", "an input that nobody takes any more is told", "chain.py",
          "if not initial.ended:", "if False:",
          (CHAINS, "f21_an_input_that_nobody")),
    Guard("F21", "three restarts, and no more", "chain.py",
          "if deaths.too_many:", "if False:",
          (CHAINS, "f21_the_fourth")),
    Guard("F21", "what waits for a stage that is given up is an error", "chain.py",
          "round_.give_up(died)", "pass",
          (CHAIN, "f21_a_stage_that_keeps")),
    Guard("F21", "the workers of a dead stage end with it", WATCH,
          'threading.Thread(target=watch, name="task_manager-watch", daemon=True).start()', "pass",
          (CHAINS, "f21_a_stage_that_is_killed and fork")),
    Guard("F29", "suspects of a stage run alone", "_chain/feed.py",
          "while ticket in self._suspects:", "while False:",
          (SUSPECTS, "f29_a_function_ends_its_stage and thread")),
    Guard("F29", "the slot of a stage tells whose hook is called", "manager.py",
          "slot=self._slot,", "slot=None,",
          (SUSPECTS, "f29_a_hook_ends_its_stage and serial")),
    Guard("F29", "the slot of a stage tells whose result is unpickled", "_chain/stage.py",
          "slot[0] = opening(ticket)", "pass",
          (SUSPECTS, "f29_a_result_that_ends and serial")),
    Guard("F29", "a stage whose slot tells nothing says what it unpickles", "_chain/stage.py",
          "self._reporter.report(OpeningReport(parcel.tickets))", "pass",
          (SUSPECTS, "f29_a_result_that_ends and thread")),
    Guard("F29", "a suspect that waits to be tried again is none any more", "_chain/round.py",
          "self._suspects.clear([ticket])  # it has come back from its call", "pass",
          (SUSPECTS, "f29_what_waits")),
    Guard("F22", "a note names stage and initial task", "_chain/book.py",
          "annotate(error, f", "str(f",
          (CHAIN, "f22")),
    Guard("F23", "a stage takes what it needs, and leaves the rest in the link", "_chain/stage.py",
          "while len(self._arrived) < enough and ", "while ",
          ("test_stage.py", "f23_a_stage_opens")),
    Guard("F23", "a stage that is broken off ends the chain", "_chain/round.py",
          "if not through:", "if False:",
          (CHAINS, "f23")),
    Guard("F24", "a result that is lost is an error where it was made", "_chain/round.py",
          "except TransportError as", NARROW,
          (CHAIN, "f24_a_result_that_cannot")),
    Guard("F25", "a repeat is run once, in every mode", "_run/ledger.py",
          "repeats.append(task)\n                    continue", "pass",
          ("test_properties.py", "f25 and (serial or thread or async or fork)")),
]
# fmt: on


def main(demands: list[str]) -> int:
    guards = [guard for guard in GUARDS if not demands or guard.demand in demands]
    survived = 0
    with tempfile.TemporaryDirectory() as folder:
        # What fails anyway shows nothing: of each test that is the suite's business, of the copy ours.
        if outcome_without(None, guards[0].test, Path(folder)) != "SURVIVED":
            sys.exit("a test fails in a copy that has all its guards")
        for guard in guards:
            outcome = outcome_without(guard, guard.test, Path(folder))
            survived += outcome == "SURVIVED"
            test = " ".join(filter(None, guard.test))
            print(f"{guard.demand:4} {guard.file}: {guard.what} | {test} | {outcome}", flush=True)
    return min(survived, 1)


def outcome_without(guard: Guard | None, test: tuple[str, str], folder: Path) -> str:
    """Run a test against a copy of the package without the guard."""
    copy = folder / "task_manager"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    if guard is not None:
        file = copy / guard.file
        file.write_text(file.read_text().replace(guard.text, guard.instead))

    name, selected = test
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--timeout", "20", "-x", "-q"]
    # Before the installed one on the path; without bytecode, as a copy may be as old as the next one.
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.Popen(
        [*command, str(file_of(name)), "-k", selected],
        cwd=TESTS.parent,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return "failed as it should (it hung)"
    finally:
        kill_group(process.pid)
    if process.returncode == 0:
        return "SURVIVED"
    if process.returncode == 1 or process.returncode < 0:
        return "failed as it should"
    raise RuntimeError(f"pytest did not run: {test}\n{said}")


def file_of(name: str) -> Path:
    """Of tests, in whichever wing it lies."""
    (file,) = TESTS.rglob(name)
    return file


def kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
