"""What a task costs, beside the peers: `python -m tests.benchmarks --help`."""
