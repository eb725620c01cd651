"""Chains: where each initial task is, and the processes of the stages."""
