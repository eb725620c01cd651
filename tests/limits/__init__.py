"""Rate limits measured at the call: `python -m tests.limits --seconds 10`."""
