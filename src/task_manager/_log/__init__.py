"""The log of a run: what its records say, and the file that they go to."""
