"""`python -m task_manager crawl.db`: what a journal says, for people and for programs."""

from ._report.command import main

if __name__ == "__main__":
    raise SystemExit(main())
