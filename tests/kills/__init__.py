"""A script with a journal, killed again and again until it is done: `python -m tests.kills --help`.

__main__   arguments, and the table
calls      the calls that were made: each writes its beginning and its end into a file by itself
script     what is killed: a manager or a chain over all tasks, with one journal
driver     starts the script, kills it, starts it again, and looks at the calls and at the journal
"""
