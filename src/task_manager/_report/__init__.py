"""What `python -m task_manager` shows of a journal.  It reads only, and unpickles nothing."""
