"""Executors over what others have built: each module has a function `executor(address)`."""
