"""The journal: outcomes on disk, from which the next start goes on.

schema     what stands in the file, and what its numbers mean
codec      tasks and results as what the file holds, and back
functions  by what name a journal knows a function
lock       one run at a time
door       which file is opened, and which is refused, and why
store      the file, open and locked
record     the journal of one run: an observer, and what is known from before
"""
