"""Takes the guards out of the library, one at a time, and sees that a test fails without each.

    python -m tests.guards                  all of them, in some minutes
    python -m tests.guards F6 F21           those of these demands
    python -m tests.guards --changed        those whose code or tests a change touches, as .ci/run does

table: what is taken out, and the test that needs it. edits: how code is taken out, by its name.
__main__: a copy of the library for each, and the test in it.
"""
