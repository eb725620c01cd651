"""The guards, and the test that needs each.

A row is a demand (F1 to F41, docs/contributing.md), what the guard is for, the file and the function that it
stands in, the edit that takes it out, a file of tests, and what pytest's -k selects there.
"""

# ruff: noqa: E501 - a table reads best in long lines

from __future__ import annotations

from typing import NamedTuple

from .edits import Edit, always, catching, instead, never, turned, without


class Guard(NamedTuple):
    """One guard. file, where: The code, by qualified name. edit: Takes it out. test, select: Who needs it."""

    demand: str
    what: str
    file: str
    where: str
    edit: Edit
    test: str
    select: str

    def __str__(self) -> str:
        return f"{self.demand} {self.what}"


WORKERS, TIMEOUTS, STOPPING = (
    "test_faults_workers.py",
    "test_faults_timeouts.py",
    "test_faults_stopping.py",
)
SUSPECTS, PIPES, COPIES = "test_faults_suspects.py", "test_faults_pipes.py", "test_faults_copies.py"
SURROUNDINGS, CHAINS, STARTS = (
    "test_faults_surroundings.py",
    "test_faults_chains.py",
    "test_faults_starts.py",
)
LINKS, PLATFORM = "test_faults_chain_links.py", "test_platform.py"
CONFORMANCE, RUNS, SIGNALS = "test_conformance.py", "test_conformance_runs.py", "test_signals.py"
WIRE_ERRORS = "test_wire_errors.py"
PROCESS, PICKLES, CHAIN = "test_process.py", "test_process_pickles.py", "test_chain.py"

POOL, WORKER, LIFE = "_runners/process.py", "_processes/worker.py", "_processes/life.py"
DEATHS = "_runners/deaths.py"
WIRE, LAUNCH, CHILD = "_processes/wire.py", "_processes/launch.py", "_processes/child.py"
UNGUARDED, REBUILT = "_processes/unguarded.py", "_processes/rebuilt.py"
WATCH, ENDS = "_platform/watch.py", "_platform/processes.py"
THREAD, ASYNC, KEPT = "_runners/thread.py", "_runners/asynchronous.py", "_runners/kept.py"
RUN, RECORDER, FAILING = "_run/run.py", "_run/recorder.py", "_run/failing.py"
RATE, KEYED, BY_KEY = "_rules/rate.py", "_rules/keyed.py", "test_rate_key.py"
EXECUTOR, POOLS, LOSSES = "_runners/executor.py", "_runners/pools.py", "_rules/losses.py"
ROUND, INTAKE, LINK, STAGE = "_chain/round.py", "_chain/intake.py", "_chain/link.py", "_chain/stage.py"

JOURNALED, PENDING = "_journal/record.py", "_journal/pending.py"
NOTED, DOUBTS = "_journal/chain_record.py", "test_faults_chain_journal.py"
STORE, DOOR = "_journal/store.py", "_journal/door.py"
FILES, STORED = "test_journal_door.py", "test_journal_store.py"
STATES, REPLACED, PROCESSES = (
    "test_faults_state.py",
    "test_faults_replaced.py",
    "_runners/worker_processes.py",
)
JOURNAL, DOUBT = "test_faults_journal.py", "test_in_doubt.py"

STREAM, STREAMS, UNTOLD = "_run/stream.py", "test_faults_streams.py", "_run/untold.py"

FILE, LISTS = "_report/file.py", "_report/lists.py"

PASSAGE, INBOX, STAGE_THREAD = "_chain/passage.py", "_chain/inbox.py", "_chain/stage_thread.py"
IN_THREADS, THREADS = "test_chain_threads.py", "test_faults_chain_threads.py"
STOP, STOPS, STOPS_CHAIN = "_stop.py", "test_stop.py", "test_stop_chain.py"

NONE = "ZeroDivisionError"  # an error that does not come

# fmt: off
GUARDS = [
    Guard("F1", "the task of the call is charged", DEATHS, "given_back", never("charged"), WORKERS, "f01_a_worker_dies and SIGKILL and fork"),
    Guard("F1", "a forked copy of a worker does no work", LIFE, "live", without("after_fork"), PROCESS, "a_copy_of_a_worker and fork"),
    Guard("F1", "a task that no worker can take is charged in the end", "_rules/suspects.py", "Suspects.charge", never("MOST_DEATHS"), WORKERS, "f01_a_task_that_kills and fork"),
    Guard("F1", "a suspect runs alone, so that no neighbour is charged", "_rules/suspects.py", "Suspects.parts", instead("lambda self, names: [slice(0, len(names))]"), PIPES, "f29_a_worker_that_dies and 1-patch_sockets"),
    Guard("F1", "a death that a copy of the worker hides", CHILD, "Glance.dead", instead("lambda self, children: []"), WORKERS, "f01_a_worker_dies_and_leaves and (fork or spawn)"),
    Guard("F1", "a worker that lives on without its sentinel is killed", LIFE, "end_process", without("kill()"), WORKERS, "f01_a_worker_closes and fork"),
    Guard("F1", "a process that nobody has an exit code of is not closed", LIFE, "end_process", never("code is None"), WORKERS, "f01_a_worker_dies_and_its and fork"),
    Guard("F1", "an end that another thread is told of first is known here too", LIFE, "_exit_code", without("sleep"), PROCESS, "f01_a_death_that"),
    Guard("F1", "suspects do not wait behind a long call", POOL, "ProcessRunner._hand_out", turned("worker.load >= self._depth", "False"), PROCESS, "f01_suspects"),
    Guard("F2", "neighbours are run again", DEATHS, "given_back", never("unrun"), WORKERS, "f02 and fork"),
    Guard("F3", "whatever is raised is an outcome", "_call.py", "call_batch", catching("Exception"), CONFORMANCE, "f03_any and (serial or thread or fork)"),
    Guard("F3", "whatever is raised is an outcome, in async mode", ASYNC, "AsyncRunner._work", catching("Exception"), CONFORMANCE, "f03_any and async"),
    Guard("F3", "a cancellation that is left behind", ASYNC, "AsyncRunner._work", never("cancelling"), TIMEOUTS, "f03_a_cancellation"),
    Guard("F4", "an argument that cannot be pickled", "_processes/arguments.py", "_pack_each", catching(NONE), PICKLES, "f04 and argument-pickle-fails"),
    Guard("F4", "a result that cannot be pickled", WIRE, "pack_values", catching("Exception"), PICKLES, "f04 and result-pickle-exits"),
    Guard("F4", "a result that cannot be unpickled", WIRE, "unpack_value", catching("Exception"), PICKLES, "f04 and result-unpickle-exits"),
    Guard("F4", "an error that cannot be pickled", WIRE, "pack_failure", catching("Exception"), PICKLES, "f04 and error-pickle-exits"),
    Guard("F4", "an error that pickle would make another one of", REBUILT, "pack_error", never("_same"), WIRE_ERRORS, "arrives_whole and (TwoArguments or Prefixed)"),
    Guard("F4", "a rebuilt error that is not the same is refused", REBUILT, "_rebuilt", without("_check"), WIRE_ERRORS, "cannot_travel_is_named"),
    Guard("F4", "broken notes", "_run/notes.py", "annotate", catching(NONE), CONFORMANCE, "f04 and without_notes"),
    Guard("F4", "an initial task of a chain that cannot be pickled", "_chain/feed.py", "Feed._pack", never("Lost"), CHAINS, "f04 and argument-pickle-fails"),
    Guard("F4", "process_error is told of a result that cannot be passed on", "_chain/reporter.py", "Reporter.observe", never("self.failed"), "test_failing.py", "cannot_be_passed_on"),
    Guard("F5", "the worker's traceback travels", WIRE, "unpack_failure", without("_CAUSE"), CONFORMANCE, "f05 and (fork or spawn)"),
    Guard("F5", "it begins with the user's line", "_call.py", "failure_of", without("with_traceback"), PICKLES, "f05"),
    Guard("F6", "process: overdue workers are killed", POOL, "ProcessRunner._end_overdue", instead("lambda self, timeout: None"), TIMEOUTS, "f06_a_call_that_hangs_is_timed_out and fork"),
    Guard("F6", "process: the call that was overdue is charged, and not the next one", POOL, "ProcessRunner._end_dead", turned("overdue.number", "number"), TIMEOUTS, "f06_a_call_that_ends_too_late and fork"),
    Guard("F6", "process: a worker that hangs as it comes up is ended", POOL, "ProcessRunner._end_hanging", instead("lambda self, timeout: None"), STARTS, "f06_a_worker_that_hangs and False-5-spawn"),
    Guard("F6", "thread: overdue calls are left alone", THREAD, "ThreadRunner._leave_overdue", instead("lambda self, timeout: []"), TIMEOUTS, "f06_a_call_that_hangs_is_timed_out and thread"),
    Guard("F6", "thread: a thread comes in the place of one that is left", THREAD, "ThreadRunner._fill", instead("lambda self: None"), TIMEOUTS, "f06_what_waits and thread"),
    Guard("F6", "async: overdue calls are cancelled", ASYNC, "AsyncRunner._leave_overdue", instead("lambda self, timeout: None"), TIMEOUTS, "f06_a_call_that_hangs_is_timed_out and async"),
    Guard("F6", "serial: refused", "_options.py", "timeout", never("interrupts"), TIMEOUTS, "f06_serial"),
    Guard("F7", "workers that keep dying at the start end the run", CHILD, "FailedStarts.too_many", instead("lambda *_: False"), SURROUNDINGS, "f07_a_script_without and spawn and manager"),
    Guard("F7", "a start without its guard ends the process of ours that comes to it", KEPT, "Turn.one_run", without("end_if_unguarded"), SURROUNDINGS, "f07_a_script_without and spawn and thread"),
    Guard("F7", "such a process takes what its parent would wait for ever to write", UNGUARDED, "end_if_unguarded", without("_what_parent_sends"), SURROUNDINGS, "f07_a_script_without and spawn and large"),
    Guard("F7", "a fork server that has come to such a start is known by its end", LAUNCH, "launch", never("end_of_servant"), SURROUNDINGS, "f07_a_script_without and fork_server"),
    Guard("F7", "the parent tells it at the first", CHILD, "failed_starts_error", never("UNGUARDED"), SURROUNDINGS, "f07_a_script_without and spawn and manager"),
    Guard("F7", "a worker says that it cannot load its function", WORKER, "_serve", catching(NONE), PICKLES, "f07_a_function_that_no_worker_can_load"),
    Guard("F7", "the workers there are do the work where no more can be started", PROCESSES, "WorkerProcesses.choose", catching(NONE), PROCESS, "f07_no_more_processes and fork"),
    Guard("F8", "start says to await start_async", "_run/pump.py", "refuse_running_loop", instead("lambda *_: None"), RUNS, "f08_start_in_a_running_loop and async"),
    Guard("F8", "a forked child has locks of its own", LIFE, "", without("_begin_anew"), RUNS, "f08_a_manager_works_inside and process and fork"),
    Guard("F9", "process: children are deaf to Ctrl-C", LIFE, "live", turned("ignore_ctrl_c", "signal.default_int_handler"), STOPPING, "f09_workers_leave and fork"),
    Guard("F9", "process: what children start is not deaf to it", LIFE, "live", turned("ignore_ctrl_c", "signal.SIG_IGN"), TIMEOUTS, "f09_what_a_worker_starts and fork"),
    Guard("F9", "what was read for a batch is counted", "_run/source.py", "IterableSource.read", without("self.dropped"), SIGNALS, "iterator_had_given"),
    Guard("F9", "a task that waits for another attempt has had a call", RUN, "Run._judge", without("self._begun.add"), "test_begun.py", "a_retry_has"),
    Guard("F9", "a worker tells how far its calls have come while it reports", "_processes/report.py", "reports_of", without("slot[2]"), "test_begun.py", "how_far"),
    Guard("F9", "what has no outcome is not started, and not failed", "_run/tally.py", "Tally.so_far", always("broken_off is None"), STOPPING, "f09_one_ctrl_c"),
    Guard("F10", "a child ends with its parent", WATCH, "end_with_parent", instead("lambda: None"), STOPPING, "f10 and (fork or spawn or chain)"),
    Guard("F10", "programs that a worker runs end with it", ENDS, "kill_left_behind", instead("lambda process: None"), TIMEOUTS, "f06_what_a_worker_has_started and fork"),
    Guard("F11", "at exit children are killed before they are waited for", LIFE, "_kill_the_rest", without("kill()"), STOPPING, "f11_a_script_that_ends and (fork or chain)"),
    Guard("F11", "a dropped manager ends its runner", KEPT, "close_idle", instead("lambda runner, turn: None"), RUNS, "f11 and (thread or fork)"),
    Guard("F12", "thread: a goodbye that was not taken yet is put back", THREAD, "ThreadRunner.not_begun", turned("range(goodbyes)", "()"), "test_wake.py", "f12"),
    Guard("F12", "a stage that is through is waited for", CHILD, "Child.end", without("end_process"), STOPPING, "f12 and chain"),
    Guard("F13", "the error of the input is kept back", "_run/source.py", "IterableSource.read", catching(NONE), CONFORMANCE, "f13 and (serial or thread or async or fork)"),
    Guard("F13", "it is raised at the end of a chain", "chain.py", "TaskChain._answer", never("source.error"), CHAIN, "f13"),
    Guard("F13", "the error of a queue is kept back", "_run/queues.py", "QueueSource.read", catching(NONE), "test_queues.py", "f13_a_queue"),
    Guard("F13", "the error of an async iterable is kept back", "_run/async_source.py", "AsyncIterableSource._pull", catching(NONE), "test_conformance_input.py", "f13_an_async_iterable_that and serial"),
    Guard("F13", "an async generator is closed where the run is broken off", "_run/async_source.py", "AsyncIterableSource.close", without("cancel"), "test_queues.py", "f13_closing"),
    Guard("F14", "an async iterable is pulled a batch ahead, and no more", "_run/async_source.py", "AsyncIterableSource._pull_all", never("self._wanted"), "test_queues.py", "f14"),
    Guard("F32", "an async iterable that takes no cancellation is left alone", "_run/async_source.py", "AsyncIterableSource.close", without("_unregister_task"), "test_queues.py", "f32"),
    Guard("F26", "a handler raises nothing in the last steps of a puller", "_run/async_source.py", "AsyncIterableSource._pull", instead("makes_calls(AsyncIterableSource._pull)"), "test_queues.py", "f26"),
    Guard("F14", "process: two batches a worker", POOL, "ProcessRunner.room", instead("lambda self, depth: True"), CONFORMANCE, "f14_endless and fork"),
    Guard("F14", "thread: two batches a worker", THREAD, "ThreadRunner.room", instead("lambda self, depth: True"), CONFORMANCE, "f14_endless and thread"),
    Guard("F14", "async: as many as may run", ASYNC, "AsyncRunner.room", instead("lambda self, depth: True"), CONFORMANCE, "f14_endless and async"),
    Guard("F14", "a chain reads a few batches ahead", "_chain/feed.py", "Feed.steps", never("AHEAD"), CHAINS, "f14_a_chain_reads"),
    Guard("F15", "what refuses to be looked at is known by itself", "_run/keys.py", "key_of_unhashable", catching(NONE), CONFORMANCE, "f15_any"),
    Guard("F15", "a broken repr is shown as such", "_repr.py", "_Showing._instance", catching(NONE), "test_repr.py", ""),
    Guard("F16", "get_args", "_run/hooks.py", "calls_of", catching(NONE), CONFORMANCE, "f16 and (serial or thread or async or fork)"),
    Guard("F16", "process_result", "_run/hooks.py", "process_results", catching(NONE), CONFORMANCE, "f16 and (serial or thread or async or fork)"),
    Guard("F16", "handle_error of a stage, in turn", "_chain/serial.py", "run_in_serial", catching(NONE), CHAIN, "f16 and serial"),
    Guard("F17", "a log that cannot be opened is left out", RECORDER, "Recorder.tell", catching(NONE), SURROUNDINGS, "f17_the_log and full and (serial or thread or async or fork or chain)"),
    Guard("F17", "of two observers that are equal the one that failed is left out", RECORDER, "Recorder._detach", turned("other is not observer", "other != observer"), "test_recorder.py", "named_by_its_class"),
    Guard("F18", "workers that die while they log are replaced", DEATHS, "given_back", never("unrun"), WORKERS, "f18 and fork"),
    Guard("F19", "a waiting retry lies in the heap until it is due", "_run/waiting.py", "WaitingAttempts.take", turned("self._heap[0][0] <= now", "True"), CONFORMANCE, "f19 and (serial or thread or async or fork)"),
    Guard("F20", "as many attempts as asked for", "_rules/retry.py", "RetryPolicy.delay", turned("number > self.max_retries", "number >= self.max_retries"), CONFORMANCE, "f20"),
    Guard("F21", "the task of the call that a stage died in is charged", ROUND, "Round.charge", instead("lambda self, stage: None"), CHAINS, "f21_a_stage_dies and SIGKILL"),
    Guard("F21", "three restarts, and no more", "_chain/deaths.py", "Deaths", turned("RESTARTS", "99"), CHAINS, "f21_the_fourth"),
    Guard("F21", "what waits for a stage that is given up is an error", ROUND, "Round.give_up", instead("lambda self, stage: None"), "test_chain_processes.py", "f21_a_stage_that_keeps"),
    Guard("F21", "a stage is not over before its queue is written", LINK, "Writer.end", without("join_thread"), LINKS, "queue_is_full and feeder and fork"),
    Guard("F22", "a note names stage and initial task", "_chain/book.py", "Book.failed", without("annotate"), CHAIN, "f22"),
    Guard("F23", "a stage takes what it needs, and leaves the rest in the link", STAGE, "LinkSource._receive", turned("len(self._arrived) < enough", "True"), "test_stage.py", "f23_a_stage_opens"),
    Guard("F23", "a stage that is broken off ends the chain", INTAKE, "Intake._take", never("through"), CHAINS, "f23"),
    Guard("F24", "a result that is lost is an error where it was made", INTAKE, "Intake._pass", catching(NONE), CHAIN, "f24_a_result_that_cannot"),
    Guard("F25", "a repeat is run once, in every mode", "_run/ledger.py", "Ledger.enter_new", without("repeats.append"), "test_properties.py", "f25 and (serial or thread or async or fork)"),
    Guard("F26", "sigpipe at its default ends nobody", "_processes/channel.py", "Channel.send", turned("NO_SIGNAL", "0"), PIPES, "f26_sigpipe"),
    Guard("F26", "signals are held back from the first look at what is the user's", "manager.py", "TaskManager.start", turned("HeldSignals().held()", "__import__('contextlib').nullcontext(HeldSignals())"), SIGNALS, "first_lines"),
    Guard("F27", "no class is asked to be hashed", "_run/keys.py", "key_of", catching(NONE), "test_faults_classes.py", "f27_every_object_has"),
    Guard("F27", "what fails in code of ours is tried again", ASYNC, "AsyncRunner._take_up_what_was_dropped", instead("lambda self: None"), "test_faults_inside.py", "f27 and (worker or step)"),
    Guard("F27", "an error may refuse to be asked for its reason", "_rules/clients.py", "stands_for", catching(NONE), "test_clients.py", "a_reason_that_raises"),
    Guard("F28", "a hashable task keeps the key that it had", "_run/keys.py", "_is_steady", instead("lambda kind: True"), "test_faults_changed_tasks.py", "f28_hashable_tasks"),
    Guard("F29", "suspects of a stage run alone", "_chain/feed.py", "Feed.steps", never("ticket in self._suspects"), SUSPECTS, "f29_a_function_ends_its_stage and thread"),
    Guard("F29", "the slot of a stage tells whose result is unpickled", STAGE, "LinkSource._open", without("slot[0]"), SUSPECTS, "f29_a_result_that_ends and serial"),
    Guard("F29", "a worker that has died is not told as a timeout", POOL, "ProcessRunner._end_overdue", never("has_died"), PIPES, "f29_a_death_that_a_copy_hides"),
    Guard("F30", "a frame is not believed without bounds", "_processes/channel.py", "", turned("size > LARGEST_FRAME", "False"), "test_channel.py", ""),
    Guard("F30", "what no memory holds is an error by its name", "_processes/channel.py", "Channel._make_room", catching(NONE), PIPES, "f30"),
    Guard("F30", "an item that cannot be written is not lost in silence", LINK, "LinkQueue._on_queue_feeder_error", without("_exit"), "test_link.py", "item_that_cannot_be_written"),
    Guard("F30", "no length beyond that of an item is believed", LINK, "LinkQueue._receive", turned("LARGEST_ITEM", "None"), "test_link.py", "bytes_that_no_queue"),
    Guard("F30", "a reader that waits for what never comes is noticed", ROUND, "Round._take_in", without("stuck"), LINKS, "garbage and 19 and length"),
    Guard("F31", "an error frees what its frames hold", "_call.py", "_clear", instead("lambda frame: None"), "test_kept_errors.py", "f31_an_error_frees"),
    Guard("F31", "one error for many tasks does not grow", "_call.py", "_unrepeated", instead("lambda head: head"), "test_kept_errors.py", "f31_one_error_for_many_tasks_does"),
    Guard("F32", "a worker without a thread watches its parent by a signal", WATCH, "_watch_by_signal", instead("lambda *_: None"), STARTS, "f32_no_thread_for_a_worker"),
    Guard("F32", "a start that is refused leaves no files open", LAUNCH, "_clear_up", instead("lambda error: None"), STARTS, "f32_no_more_processes"),
    Guard("F32", "a fork server that is killed is started again", LAUNCH, "launch", turned("ATTEMPTS", "1"), STARTS, "f32_a_servant"),
    Guard("F32", "a feeder thread that cannot start is named", STAGE, "run_stage", without("begin"), LINKS, "without_a_feeder"),
    Guard("F33", "a copy may end by any line", "_signals.py", "_may_be_of_a_handler", never("_copied"), "test_faults_copies.py", "without_harm and fork-pickle"),
    Guard("F33", "a forked copy of the script ends, and says nothing", "_platform/copies.py", "end_a_copy", instead("lambda *_: None"), COPIES, "f33"),
    Guard("F33", "a copy closes no connection to a journal", "_journal/connections.py", "_in_a_copy", without("_keep_for_ever"), "test_journal_lock.py", "f33"),
    Guard("F33", "a copy uses no connection to a journal", "_journal/connections.py", "", without("after_fork"), "test_journal_lock.py", "f33"),
    Guard("F33", "a copy tells the journal nothing", JOURNALED, "Record.observe", never("this_process"), JOURNAL, "f33 and serial"),
    Guard("F17", "what a full disk refuses is kept for later", PENDING, "Pending.write", catching(NONE), JOURNAL, "f17_a_disk_that_has_room"),
    Guard("F17", "a disk that refuses is not asked all the time", PENDING, "Pending.write_now", always("_refused"), JOURNAL, "not_asked and thread"),
    Guard("F17", "a row that no file takes goes alone", PENDING, "Pending._write", without("_write_each"), JOURNAL, "f17_one_row"),
    Guard("F27", "whatever our own steps raise, the run has its results", JOURNALED, "Record.observe", catching(NONE), JOURNAL, "f27"),
    Guard("F28", "a task that can be changed is noted as it enters", JOURNALED, "Record.entered", never("_marks"), "test_resume.py", "tasks_are_matched and serial"),
    Guard("F10", "what is about to be called is noted first", RUN, "Run.next_batch", without("leaving"), DOUBT, "what_was_started_is_in_doubt and serial"),
    Guard("F10", "in serial mode no outcome waits for the end of the next call", JOURNALED, "Record.leaving", without("resting"), JOURNAL, "before_the_next_call"),
    Guard("F1", "what a dead worker had begun is in doubt, and not called again", JOURNALED, "Record.returned", always("not self._strict"), DOUBT, "what_had_begun"),
    Guard("F9", "what had not begun is not in doubt", RUN, "Run.break_off", without("_record.not_begun"), DOUBT, "after_a_ctrl_c"),
    Guard("F10", "in a chain, what has passed stages goes on from there", NOTED, "ChainRecord.resumes", instead("lambda self, tickets: {}"), DOUBTS, "f10_a_chain_that_is_killed_goes and second"),
    Guard("F10", "in a chain, a retry of a stage process stays noted", NOTED, "ChainRecord._note", turned("mode != 'serial'", "False"), DOUBTS, "f10_a_retry"),
    Guard("F10", "in a chain, what enters is noted first, in process mode", "_chain/feed.py", "Feed.packed", without("leaving"), DOUBTS, "f10_a_chain_that_is_killed_calls and first-process"),
    Guard("F10", "in a chain, what a stage calls is noted first, in serial mode", "_chain/serial.py", "StageMarks.leaving", instead("lambda self, indices: None"), DOUBTS, "f10_a_chain_that_is_killed_calls and second-serial"),
    Guard("F9", "in a chain, what had not begun is not in doubt", "_chain/book.py", "Book.note_not_begun", instead("lambda self: None"), DOUBTS, "f09_what_had_not_begun"),
    Guard("F21", "what a stage may have called is not called again", INTAKE, "Intake.fail_doubtful", instead("lambda self: None"), DOUBTS, "f21_a_stage_dies_and_nothing and thread"),
    Guard("F21", "what a dead worker of a stage may have called is not called again", "_chain/plans.py", "AtMostOnce.returned", instead("lambda self, batch, unrun, fail: unrun.positions"), DOUBTS, "f21_a_stage_dies_and_nothing and fork"),
    Guard("F30", "large values do not wait for many rows", PENDING, "Pending.write_if_due", turned("self._bytes >= LARGEST_TOGETHER", "False"), "test_journal_pending.py", "large_values"),
    Guard("F31", "what a full disk refuses is bounded in bytes", PENDING, "Pending._excess", turned("weight > MOST_BYTES", "False"), "test_journal_pending.py", "full_disk or errors_count"),
    Guard("F34", "a text is one line", "_repr.py", "one_line", instead("lambda text: text"), "test_faults_text.py", "f34_text_is_one or f34_no_task"),
    Guard("F34", "a task in a list is one line", LISTS, "_escaped", instead("lambda text: text"), "test_shown.py", "f34_whatever"),
    Guard("F34", "a task in a table is no formula", LISTS, "_field", never("FORMULAS"), "test_shown.py", "f34_no_task_is_a_formula"),
    Guard("F34", "a line of a traceback is harmless", "_report/traces.py", "lines_of", without("one_line"), "test_shown.py", "f34_whatever"),
    Guard("F35", "nobody is asked by signal 0 where that is a Ctrl-C", ENDS, "has_died", never("_killpg"), PLATFORM, "load"),
    Guard("F35", "no selector is asked where nothing is registered", ENDS, "when_ready", never("get_map"), PLATFORM, "only_one"),
    Guard("F35", "no selector is given what is no socket", CHILD, "tells_of_death", turned("CAN_POLL", "True"), PLATFORM, "load"),
    Guard("F35", "the slot is an argument where no file can be passed", "_platform/sharing.py", "shared_by_argument", always("PASSES_FILES"), PLATFORM, "load"),
    Guard("F35", "a child ends with its parent", WATCH, "end_with_parent", never("sentinel is not None"), PLATFORM, "end_with_their_parent"),
    Guard("F36", "one run at a time has a journal", "_journal/lock.py", "Lock._take", without("BEGIN EXCLUSIVE"), "test_journal_lock.py", "second_run"),
    Guard("F36", "a journal that others can write is refused", DOOR, "Door.check_place", never("hands is not None"), "test_journal_owners.py", "others_can_write and 438"),
    Guard("F36", "what lay beside a journal that was removed is not taken", DOOR, "Door.make", without("beside(ending).unlink(missing_ok"), FILES, "left_beside"),
    Guard("F36", "one of another function is read without a trace", STORE, "Store._open", never("door.meta()"), FILES, "killed_process_left"),
    Guard("F36", "what is to be certain is synced", STORE, "Store.write", turned("'FULL' if sync else 'NORMAL'", "'NORMAL'"), STORED, "to_be_synced"),
    Guard("F36", "what came last is synced while nothing comes", PENDING, "Pending.write", turned("sync and self._unsynced", "False"), "test_journal_synced.py", "came_last"),
    Guard("F36", "a write that fails leaves nothing open", STORE, "Store.write", without("roll_back"), STORED, "in_the_middle"),
    Guard("F36", "a journal that is gone is noticed", STORE, "Store.write", never("_file_at"), STORED, "removed_or_replaced"),
    Guard("F36", "to look at one that was closed makes no file", FILE, "JournalFile._look", turned("'mode=ro&immutable=1'", "'mode=ro'"), "test_file.py", "one_that_was_closed"),
    Guard("F36", "what a run has changed meanwhile is looked at again", FILE, "JournalFile._unchanged", instead("lambda self, since: None"), "test_file.py", "begins_while"),
    Guard("F36", "a copy without its -shm is read elsewhere", FILE, "JournalFile._look", turned("self._copy_of(before)", "_uri(self.path, 'mode=ro')"), "test_file.py", "copied_in_part"),
    Guard("F36", "a newer one is refused", FILE, "JournalFile._check", never("FORMAT"), "test_file.py", "a_wrong_file and newer"),
    Guard("F36", "a run that has ended since the look was not killed", "_report/reading.py", "seen_in", always("_last_without_end"), "test_file.py", "ends_while"),
    Guard("F36", "a reader who has enough ends it quietly", "_report/command.py", "main", catching(NONE), "test_command.py", "has_enough"),
    Guard("F37", "a batch ends at a stop", STOP, "Stop.ask", without("exhaust"), STOPS, "a_function_that_calls_it and (serial or thread)"),
    Guard("F37", "a worker process looks for it", WORKER, "_until_stopped", never("STOPPED"), STOPS, "a_batch_in_a_worker"),
    Guard("F37", "workers of a loop get nothing more", ASYNC, "AsyncRunner._hear_stop", instead("lambda self: None"), STOPS, "a_function_that_calls_it and async"),
    Guard("F37", "a forked copy stops nothing", STOP, "Stop.stop", never("_home"), STOPS, "a_copy_in_a_worker and fork"),
    Guard("F37", "get_args is called for nothing more", "_run/hooks.py", "batch_of", turned("stop.take(stop, indices)", "iter(indices)"), STOPS, "get_args_is_called"),
    Guard("F37", "a stage is told", "_chain/stage_process.py", "StageProcess.stop_run", instead("lambda self: None"), STOPS_CHAIN, "what_runs_at_a_stage and process-start"),
    Guard("F37", "an input that was closed has not ended", "_run/async_source.py", "AsyncIterableSource._pull", turned("not self._closing", "True"), STOPS_CHAIN, "input_that_waits and async-process"),
    Guard("F37", "nor is an outcome of a batch that goes on", "_runners/thread_worker.py", "Outbox.tell", turned("outcomes.positions[-1] + 1 < len(batch)", "False"), "test_wake.py", "f37_an_outcome"),
    Guard("F37", "a wake is no thread that will be free", "_runners/thread_worker.py", "Outbox.ends", turned("len(self._others)", "0"), "test_wake.py", "f37"),
    Guard("F40", "a call of the run does not wait for itself", STREAM, "Streamed.leaves", turned("in_a_worker()", "False"), STREAMS, "garbage and thread"),
    Guard("F40", "a manager that is garbage with its stream has its workers ended", KEPT, "close_idle", without("close_due"), STREAMS, "manager_that_is_garbage and thread"),
    Guard("F40", "the end of the script waits for no call", STREAM, "", without("atexit.register"), STREAMS, "open_stream and process"),
    Guard("F40", "a blocked loop is not waited for", "_runners/looped.py", "LoopedRunner.close", turned("self._heard.wait(2 * TIME_TO_END)", "self._heard.wait()"), STREAMS, "open_stream and block_async"),
    Guard("F40", "a copy of the reader goes no further", STREAM, "_read", without("end_a_copy"), STREAMS, "a_copy and fork"),
    Guard("F40", "a copy does not wait for the calls of its parent", STREAM, "Streamed.leaves", never("this_process"), STREAMS, "a_copy and thread"),
    Guard("F40", "no handler comes between taking an outcome out and telling it", UNTOLD, "Untold.tell", turned("map(_without_index, taken_out)", "(one for _, one in taken_out)"), "test_untold.py", "no_handler"),
    Guard("F40", "no more than so many wait for a slow task", UNTOLD, "BoundedSource.read", turned("self._told.waiting", "0"), "test_untold.py", "so_many"),
    Guard("F40", "what had come when a signal raised runs again", STREAM, "RunStreamed.break_off", without("_give_back"), STREAMS, "any_moment and (serial or async)"),
    Guard("F40", "a fast stage waits for the next one", "_chain/turns.py", "PassedSource.full", turned("len(self._waiting) >= 2 * self.workers * self._wanted", "False"), "test_chain_stream.py", "waits_in_bounds"),
    Guard("F40", "what a call raises while its reader awaits is of no handler", "_signals.py", "_may_be_of_a_handler", turned("frame.f_code in codes", "True"), "test_faults_streams.py", "call_that_exits"),
    Guard("F40", "a second stop() ends what a reader who left waits for, and is no error", STREAM, "_read", turned("suppress(StoppedAtOnce)", "suppress()"), "test_faults_streams.py", "stop_twice_while_calls and thread"),
    Guard("F40", "a loop that ends has cancelled the calls: no task fails of that", STREAM, "Streamed.leaves", turned("(_Exiting, asyncio.CancelledError)", "_Exiting"), "test_faults_streams.py", "loop_that_ends"),
    Guard("F40", "who was not told runs again", STREAM, "RunStreamed._give_back", without("give_back"), "test_stream.py", "nobody_was_told and serial"),
    Guard("F14", "in thread mode, a stage waits for room", PASSAGE, "Passage.put", never("len(self._items) >= ITEMS"), IN_THREADS, "f14_a_slow"),
    Guard("F14", "in thread mode, a chain reads some batches ahead", "_chain/entering.py", "Entering.step", never("has_room"), IN_THREADS, "f14_a_slow"),
    Guard("F31", "what stages in threads say is bounded", INBOX, "Inbox.post", never("self._room.acquire(blocking=False)"), THREADS, "f31_what_stages_say"),
    Guard("F9", "the thread of a stage is left alone in a call", STAGE_THREAD, "StageSignals.leave", instead("lambda self: False"), THREADS, "f09_a_ctrl_c and call"),
    Guard("F9", "a thread that was left alone touches nothing more", STAGE_THREAD, "StageSignals.through", never("left"), THREADS, "f09_a_ctrl_c"),
    Guard("F9", "what comes after a Ctrl-C is not taken for it", "_chain/threads.py", "Threads._close", without("comes_from_a_handler"), THREADS, "ends_in_time"),
    Guard("F9", "in thread mode, what no stage has begun is not in doubt", "_chain/threads.py", "Threads._close", turned("stage.begun", "range(10 ** 6)"), DOUBTS, "f09_a_chain_that_is_stopped and thread"),
    Guard("F10", "in a chain, what enters is noted first, in thread mode", "_chain/entering.py", "Entering._enter", without("leaving"), DOUBTS, "f10_a_chain_that_is_killed_calls and first-thread"),
    Guard("F23", "a stage in a thread that is broken off ends the chain", "_chain/threads.py", "Threads._ended", never("error is not None"), THREADS, "f23"),
    Guard("F32", "no thread for a stage", STAGE_THREAD, "StageThread.start", catching(NONE), THREADS, "f32"),
    Guard("F33", "a copy that the input of a chain in threads has forked ends", "_chain/entering.py", "Entering.step", without("end_a_copy"), THREADS, "f33_a_copy_that and input"),
    Guard("F33", "and one that an observer has forked", "_chain/threads.py", "Threads._take_in", without("end_a_copy"), THREADS, "f33_a_copy_that and observer"),
    Guard("F33", "a copy waits for no room that stages make", INBOX, "Inbox.post", never("self._home is not this_process()"), THREADS, "f33_a_copy_waits"),
    Guard("F33", "nor for room in a passage", PASSAGE, "Passage.put", never("self._home is not this_process()"), THREADS, "f33_a_copy_waits"),
    Guard("F33", "no log is made while another thread forks", "_log/handler.py", "Handler.__init__", instead("lambda self, format, severity: (setattr(self, '_file', None), setattr(self, 'logger', own_logger()), self.logger.add(self, format=format, level=severity, catch=False)) and None"), THREADS, "f33_no_log"),
    Guard("F37", "a stage that waits for room hears of a stop", PASSAGE, "Passage.put", turned("not self._stop.asked", "True"), STOPS_CHAIN, "full_queue and thread-start"),
    Guard("F39", "a state is not cleaned up under a call that is left alone", "_runners/serial.py", "SerialRunner.close", always("self._calls_in"), THREADS, "f39"),
    Guard("F39", "a stage in a thread cleans its state up itself", STAGE_THREAD, "StageThread._live", without("shutdown"), IN_THREADS, "a_state_is_used"),
    Guard("F40", "a stream that its own stage collects is not waited for there", "_chain/stream.py", "ChainStreamed.leaves", turned("self._flow.inside", "False"), THREADS, "f40_a_stream_that and stage"),
    Guard("F37", "what has passed a stage is not in doubt", "_journal/pending.py", "_passed", instead("lambda row: row"), "test_stop_journal.py", "a_chain_goes_on and process-thread"),
    Guard("F38", "behind repeats no more tasks are taken than may begin", "_chain/serial.py", "EntranceSource.read", turned("min(limit, len(self._entered))", "len(self._entered)"), "test_rate_limit.py", "behind and serial"),
    Guard("F38", "what has left counts until its begin is known", RATE, "RateLimit.room", turned("len(self._out or ())", "0"), "test_rate.py", "no_window_has_more"),
    Guard("F38", "what came home unbegun does not count", RATE, "RateLimit.returned", never("self._out"), "test_rate.py", "came_home_unbegun"),
    Guard("F38", "what a run has left begins by its end", "_run/gate.py", "Gate.close", without("over"), "test_rate_limit.py", "broken_off"),
    Guard("F38", "a server that says when holds back all", "_run/gate.py", "Gate.hold", without("_held_until"), "test_failing.py", "for_all_holds_back"),
    Guard("F38", "or all of its key", KEYED, "KeyedLimit.pause", without("held_until"), BY_KEY, "holds_back_its_key"),
    Guard("F38", "keys that do not matter are forgotten", KEYED, "KeyedLimit._look_at_next", always("matters"), "test_keyed.py", "f31"),
    Guard("F38", "keys that matter are not", KEYED, "Key.matters", instead("lambda self, now: False"), "test_keyed.py", "is_not_forgotten"),
    Guard("F38", "what waits for its key bounds what is read", RUN, "Run._fresh", never("MOST_WAITING"), BY_KEY, "no_more_is_read"),
    Guard("F38", "what leaves the queue of its key has a place", "_run/waiting_by_key.py", "WaitingByKey.take", without("leaving.append"), BY_KEY, "f09_a_signal"),
    Guard("F38", "too many failures end a run", RUN, "Run._fail", without("after_failure"), "test_failing.py", "goes_wrong and serial"),
    Guard("F38", "a deadline ends a wait", RUN, "Run.next_batch", without("_ends.after"), "test_failing.py", "a_deadline_ends"),
    Guard("F16", "a rate_key that raises costs its task alone", "_run/first.py", "FirstAttempts.queue", catching(NONE), BY_KEY, "f16"),
    Guard("F16", "so does a get_retry_delay", FAILING, "Failing.verdict", catching(NONE), "test_failing.py", "a_hook_that_raises"),
    Guard("F16", "what process_error raises costs nothing", FAILING, "Failing.failed", catching(NONE), "test_failing.py", "what_process_error"),
    Guard("F27", "an error may refuse to be asked for its class", FAILING, "_retry_after", turned("issubclass(type(error), RetryAfter)", "isinstance(error, RetryAfter)"), "test_faults_errors.py", "f27 and serial"),
    Guard("F39", "a copy that a set-up has forked ends", "_state.py", "set_up", without("end_a_copy"), STATES, "f39_a_copy and use and serial"),
    Guard("F39", "a copy that a call has forked cleans up nothing", "_state.py", "State.__init__", never("generator"), STATES, "f39_a_copy_that_is_done"),
    Guard("F39", "a set-up that raises ends the run, in its own words", "_processes/attempts.py", "Worker.hear", never("StateRefusal"), STATES, "f39_its_traceback and fork"),
    Guard("F39", "one that is killed as it makes its state is not tried fifty times", CHILD, "FailedStarts.too_many", turned("not child.up", "True"), "test_child.py", "f07_so_many"),
    Guard("F39", "a set-up has no time limit", WORKER, "_serve", without("UP"), STATES, "f39_a_slow_set_up"),
    Guard("F39", "asyncio has no error that a cancelled start does not fetch", "_runners/awaited.py", "_came", catching(NONE), STATES, "f39_a_set_up_that_fails_while"),
    Guard("F39", "a state is cleaned up where its loop ends, and cancels that as well", "_runners/async_state.py", "StateOfLoop._until_over", catching(NONE), STATES, "f39_a_loop_that_ends"),
    Guard("F39", "a thread that was left alone cleans up when its call returns", "_runners/thread_worker.py", "take_batches", never("state is not None"), STATES, "f39_a_thread"),
    Guard("F39", "the successor of one that dies takes its place", PROCESSES, "WorkerProcesses._replace", never("successor is not None"), REPLACED, "f39_one_that_dies or f39_one_whose"),
    Guard("F39", "a worker is given no more than it may make", POOL, "ProcessRunner._hand_out", never("worker.room"), "test_max_tasks.py", "no_worker_makes_more and fork"),
    Guard("F39", "where no successor can be had a process goes first", PROCESSES, "WorkerProcesses._start_successor", catching(NONE), REPLACED, "f39_no_process"),
    Guard("F39", "where no successor can be had a thread goes first", THREAD, "ThreadRunner._go_alone", instead("lambda self, worker, handover: None"), REPLACED, "f39_no_thread"),
    Guard("F39", "a clean-up that hangs is not waited for", PROCESSES, "WorkerProcesses.renew", never("TIME_TO_CLEAN_UP"), REPLACED, "f39_a_clean_up and not thread"),
    Guard("F39", "a thread waits until the one before it has made its calls", "_runners/thread_worker.py", "take_batches", never("worker.before is not None"), "test_max_tasks.py", "ready_first and thread"),
    Guard("F38", "the next process of a stage knows what had begun", "_chain/stage.py", "run_stage", never("begins"), "test_faults_limits.py", "f21_a_stage_that_dies_leaves and fork"),
    Guard("F38", "of the one that died it is not told what has begun", "_chain/round.py", "Round.close", without("leave_to_limit"), "test_faults_limits.py", "f21_a_stage_that_dies_leaves and fork"),
    Guard("F39", "a thread that has no state is seen at once", "_runners/thread_worker.py", "take_batches", without("outbox.wake()"), "test_faults_state.py", "seen_at_once"),
    Guard("F39", "the successor of a process is looked for with each call", POOL, "ProcessRunner._hand_out", without("self._renew"), "test_max_tasks.py", "looked_for and fork"),
    Guard("F39", "the successor of a thread that is idle is looked for with each call", THREAD, "ThreadRunner._is_used_up", turned("len(self._successors) < len(self._open)", "False"), "test_max_tasks.py", "looked_for and thread"),
    Guard("F39", "a pause is no pace", "_rules/renewal.py", "Usage.look", turned("SLOWER * self.seconds", "each"), "test_renewal.py", "call_after or rests"),
    Guard("F39", "what lies before threads that take nothing comes home at a stop", THREAD, "ThreadRunner._take_back", instead("lambda self: None"), "test_max_tasks.py", "a_stop_when_all"),
    Guard("F39", "idle workers are told goodbye before those left are killed, at exit", KEPT, "KeptRunner.close_at_exit", instead("lambda self: None"), "test_worker_state.py", "interpreters_exit"),
    Guard("F41", "an executor that is ours and breaks is made anew", EXECUTOR, "ExecutorRunner._renew", turned("self._pool.ours", "False"), "test_faults_executors.py", "killed_from_outside"),
    Guard("F41", "what was lost too often runs alone", LOSSES, "Losses.parts", turned("FORGIVEN", "99"), "test_losses.py", "runs_alone"),
    Guard("F41", "a suspect waits until nothing else is in flight", EXECUTOR, "ExecutorRunner._hand_out", turned("suspected", "False"), "test_faults_executors.py", "of_a_thousand"),
    Guard("F41", "one that was passed in is not shut down", POOLS, "Pool.close", turned("self.ours", "True"), "test_faults_executors.py", "is_not_shut_down"),
    Guard("F41", "one that never makes a call is not made for ever", EXECUTOR, "ExecutorRunner._judge", turned("never is not None", "False"), "test_faults_executors.py", "never_makes_a_call"),
    Guard("F41", "a copy of the process is told", POOLS, "Pool.__init__", turned("_homes.get(given, this_process()) is not this_process()", "False"), "test_faults_executors.py", "a_copy_of_the_process"),
    Guard("F41", "its processes are killed where a run is broken off", POOLS, "end", without("process.kill"), "test_faults_executors.py", "leaves_no_process"),
    Guard("F41", "a call does not fail of a Ctrl-C", "_runners/packed.py", "deaf_to_ctrl_c", instead("contextlib.nullcontext"), "test_faults_executors.py", "call_does_not_fail"),
    Guard("F10", "a process of a pool ends with the script that is its parent", "_runners/packed.py", "_end_with", without("end_with_parent"), "test_faults_executors.py", "script_that_is_killed"),
    Guard("F41", "one that refuses all calls as broken is not made for ever", EXECUTOR, "ExecutorRunner._judge", turned("lost", "True"), "test_faults_odd_executors.py", "breaks_at_once"),
    Guard("F41", "one that cancels all futures ends the run", EXECUTOR, "ExecutorRunner._take_in_cancelled", never("MOST_CANCELLED"), "test_faults_odd_executors.py", "cancels_everything"),
    Guard("F41", "a cancelled future is no loss of its task", EXECUTOR, "ExecutorRunner._take_in", without("_take_in_cancelled"), "test_faults_odd_executors.py", "somebody_cancels"),
    Guard("F41", "a worker that has not had the function asks for it", "_runners/parcel.py", "Parcel.opened", without("self._function.want"), "test_faults_odd_executors.py", "of_megabytes"),
    Guard("F41", "a passed-in executor is refused in a stage", "_chain/plans.py", "refuse_executors", never("isinstance"), "test_faults_executors.py", "does_not_travel"),
]
# fmt: on
