"""How progress is shown: a bar in a terminal or a notebook, lines everywhere else."""
