"""Scores the rows of a table with a model that is loaded once in each worker.

    python examples/score_rows.py            20,000 reviews, which it makes first, in reviews/
    python examples/score_rows.py 2000000    as many as a large shop has

Stop it whenever you like, with Ctrl-C or `kill -9`; start it again, and it scores the rows that
are missing.

Shows: `worker_state`, which makes what a worker needs before its first call, and passes it to each.
"""

import csv
import json
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from task_manager import TaskManager

Model = dict[str, float]  # what each word is worth


def load_model() -> Model:
    print(f"process {os.getpid()} loads the model", flush=True)
    return dict(json.loads(Path("reviews/model.json").read_text()))


def score(model: Model, number: str, review: str) -> float:
    return sum(model.get(word, 0.0) for word in review.split())


def rows() -> Iterator[tuple[str, ...]]:
    with Path("reviews/reviews.csv").open(newline="") as file:
        yield from map(tuple, csv.reader(file))


def main() -> None:
    make_reviews()
    with TaskManager(
        score, "process", worker_state=load_model, show_progress=True, journal="reviews/scores.db"
    ) as manager:
        print(manager.start(rows()))
    found = sorted(manager.get_result_dict().items(), key=lambda scored: scored[1])
    for (number, review), points in (*found[:3], *found[-3:]):
        print(f"{points:+6.2f}  {number}  {review}")


# ------------------------------------------------ the reviews, and a model as somebody has trained it

REVIEWS = int(sys.argv[1]) if sys.argv[1:] else 20_000
SYLLABLES = ["ba", "di", "fo", "ga", "ki", "lu", "me", "no", "pa", "ri", "su", "te", "vo", "wa"]


def make_reviews() -> None:
    """So many; each is whole, or not there. The same ones each time."""
    folder = Path("reviews")
    folder.mkdir(exist_ok=True)
    chance = random.Random(7)
    model = {
        a + b + c + d: round(chance.gauss(0, 1), 3)
        for a in SYLLABLES
        for b in SYLLABLES
        for c in SYLLABLES
        for d in SYLLABLES
    }
    words = list(model)
    texts = ([f"{number:07}", " ".join(chance.choices(words, k=8))] for number in range(REVIEWS))
    new = folder / "new.part"
    new.write_text(json.dumps(model))
    new.replace(folder / "model.json")
    with new.open("w", newline="") as file:
        csv.writer(file).writerows(texts)
    new.replace(folder / "reviews.csv")


if __name__ == "__main__":
    main()
