"""What stands in the file of a journal, and what its numbers mean.

meta     what it is of: `functions` (a JSON list of "module:qualname", one a stage), `chain` (0 or 1),
         `codec`, `made` (unix seconds), `holder` (JSON, [pid, host] of who opened it last)
runs     one row a run; `ended` is NULL while it goes on, and for ever where its process died
tasks    one row a task, id in the order of first taking, from 0
errors   of tasks whose state is FAILED; of other tasks a row counts for nothing, and goes at the end

A cell (`task`, `value`) is NULL, INTEGER, REAL or TEXT for the value itself, or a BLOB in the words of
the codec: a pickle, or JSON. `text` is a short text for people where `task` is a BLOB, otherwise NULL.
`value` stands last: who counts or lists need not walk over large ones.

Times are unix seconds. `at` is when the state was recorded, `seconds` how long the last call took.
"""

from __future__ import annotations

APPLICATION_ID = 0x74736B6A  # "tskj": PRAGMA application_id, bytes 68 to 71 of the file
FORMAT = 1  # PRAGMA user_version, bytes 60 to 63

DONE = 1
FAILED = 2  # in a chain, `stage` stages are behind it, and `value` is the result of the last of these
PASSED = 3  # of a chain: as FAILED, and it goes on from there
STARTED = 4  # a call may have begun, and no outcome is known

STATES = {DONE: "done", FAILED: "failed", PASSED: "passed", STARTED: "started"}

TABLES = """
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE runs(
    run INTEGER PRIMARY KEY, began REAL, ended REAL, mode TEXT, workers INTEGER, total INTEGER,
    pid INTEGER, host TEXT, counts TEXT, ended_early TEXT);
CREATE TABLE tasks(
    id INTEGER PRIMARY KEY, task, text TEXT, state INTEGER, stage INTEGER,
    attempts INTEGER, seconds REAL, at REAL, run INTEGER, value);
CREATE TABLE errors(
    id INTEGER PRIMARY KEY, error BLOB, kind TEXT, place TEXT, said TEXT, traceback TEXT);
"""

# A row of each, as Store.write takes them: tuples in this order.
TASK = ("id", "task", "text", "state", "stage", "value", "attempts", "seconds", "at", "run")
ERROR = ("id", "error", "kind", "place", "said", "traceback")

# What a task is stays as it was first written, as its function may have changed it since. One that
# fails, or is started, keeps what it has got to in a chain.
_KEPT = f"excluded.stage IS NULL AND excluded.state IN ({FAILED}, {STARTED})"
WRITE_TASK = f"""
INSERT INTO tasks({", ".join(TASK)}) VALUES({", ".join("?" * len(TASK))})
ON CONFLICT(id) DO UPDATE SET state = excluded.state,
    stage = CASE WHEN {_KEPT} THEN stage ELSE excluded.stage END,
    value = CASE WHEN {_KEPT} THEN value ELSE excluded.value END,
    attempts = excluded.attempts, seconds = excluded.seconds, at = excluded.at, run = excluded.run"""
# A task that was not started after all is what it was before.
_HAS_ERROR = "EXISTS (SELECT 1 FROM errors WHERE errors.id = tasks.id)"
UNMARK = (
    f"DELETE FROM tasks WHERE id = ? AND state = {STARTED} AND stage IS NULL AND NOT {_HAS_ERROR}",
    f"UPDATE tasks SET state = CASE WHEN {_HAS_ERROR} THEN {FAILED} ELSE {PASSED} END "
    f"WHERE id = ? AND state = {STARTED}",
)
WRITE_RUN = f"REPLACE INTO runs VALUES({', '.join('?' * 10)})"
WRITE_ERROR = f"REPLACE INTO errors({', '.join(ERROR)}) VALUES({', '.join('?' * len(ERROR))})"
OUTDATED = f"(SELECT id FROM tasks WHERE id IN (SELECT id FROM errors) AND state <> {FAILED})"
