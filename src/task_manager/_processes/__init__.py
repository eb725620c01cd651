"""Processes of ours: their start and end, their life inside, and what crosses to them and back."""
