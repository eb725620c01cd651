"""The journal: outcomes on disk, from which the next start goes on.

schema     what stands in the file, and what its numbers mean
codec      tasks and results as what the file holds, and back
functions  by what name a journal knows a function
lock       one run at a time
door       which file is opened, and which is refused, and why
sqlite     SQLite, where Python has it
store      the file, open and locked
record     the journal of one run: told by the run, and an observer; no_record: where there is none
pending    rows on their way to the file: together, and kept where the disk refuses them
known      which row is of which task, from run to run
restoring  what the file has, made known to a run
errors     errors as rows, and back
"""
