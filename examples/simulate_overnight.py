"""Simulates through the night: how full of holes must a stone be, until water runs through it?

    python examples/simulate_overnight.py         each of 15 densities 100 times
    python examples/simulate_overnight.py 5000    a night's work

Stop it whenever you like: Ctrl-C, `kill -9`, the plug. Start it again, and it does what is missing.
Start it with a larger number, and it does only what is new.

Shows: a journal, which is one more argument.
"""

import random
import sys
from collections import Counter

from task_manager import TaskManager


def runs_through(density: float, seed: int) -> bool:
    """Whether water finds a way from the top to the bottom, through holes that touch."""
    chance = random.Random(seed)
    holes = {(x, y) for x in range(SIZE) for y in range(SIZE) if chance.random() < density}
    wet = [hole for hole in holes if hole[1] == 0]
    while wet:
        x, y = wet.pop()
        if y == SIZE - 1:
            return True
        wet += (around := {(x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)} & holes)
        holes -= around
    return False


def main() -> None:
    stones = [(density, seed) for seed in range(REPEATS) for density in DENSITIES]
    with TaskManager(runs_through, "process", show_progress=True, journal="stones.db") as manager:
        print(manager.start(stones))
    wet = Counter(density for (density, _), through in manager.get_result_dict().items() if through)
    for density in DENSITIES:
        print(f"{density:.2f} {wet[density] / REPEATS:5.0%} {'▪' * round(50 * wet[density] / REPEATS)}")


# ------------------------------------------------ how much of it

SIZE = 100  # of a stone, in cells
DENSITIES = [n / 100 for n in range(52, 67)]
REPEATS = int(sys.argv[1]) if sys.argv[1:] else 100


if __name__ == "__main__":
    main()
