"""Makes the reports of the night: which of them failed, why, and those again.

    python examples/nightly_reports.py         300 shops, whose orders it makes first, in orders/
    python examples/nightly_reports.py 3000    more of them

Shows: a failure costs one report, and is named with its line; what came too late is there after the
second go; and the exit code tells whoever started it, cron or a person, whether anything is missing.
Start it again in the same night, and it makes those that are missing; the journal is of this day.
"""

import csv
import random
import sys
import time
from collections import Counter
from datetime import date
from pathlib import Path
from threading import Timer

from task_manager import TaskManager


def report(shop: str) -> float:
    """What it has sold today, written to reports/, by product; the total is returned."""
    sold: Counter[str] = Counter()
    with Path("orders", f"{shop}.csv").open(newline="") as file:
        for order in csv.DictReader(file):
            sold[order["product"]] += int(order["pieces"]) * int(order["cents"])
    lines = [f"{product:<10}{cents / 100:>10.2f}\n" for product, cents in sold.most_common()]
    Path("reports", f"{shop}.txt").write_text("".join(lines))
    return sold.total() / 100


def main() -> None:
    shops = made_orders()
    manager = TaskManager(report, "thread", show_progress=True, journal=f"reports-{date.today()}.db")
    print(summary := manager.start(shops))
    if summary.failed:
        time.sleep(1)  # an hour, in a real night
        print("\nand those again:\n", manager.retry_failed())
    for shop, error in manager.get_error_dict().items():
        print(f"no report of {shop}: {error!r}")
    sys.exit(bool(manager.get_error_dict()))


# ------------------------------------------------ the orders

PRODUCTS = ("apples", "bread", "candles", "doors", "elephants")
LATE = 0.9  # seconds
SHOPS = int(sys.argv[1]) if sys.argv[1:] else 300


def made_orders() -> list[str]:
    """All shops. The second one forgot a column, the third is late, the fifth wrote a number by hand."""
    for folder in ("orders", "reports"):
        Path(folder).mkdir(exist_ok=True)
    shops = [f"shop-{number:04}" for number in range(1, SHOPS + 1)]
    for number, shop in enumerate(shops, start=1):
        chance = random.Random(number)
        rows = [
            [chance.choice(PRODUCTS), chance.randrange(1, 9), chance.randrange(99, 9999)]
            for _ in range(200)
        ]
        text = "product,pieces,cents\n" + "".join("{},{},{}\n".format(*row) for row in rows)
        if number == 2:
            text = text.replace("pieces", "number", 1)
        if number == 5:
            text += "doors,a dozen,99\n"
        path = Path("orders", f"{shop}.csv")
        if number == 3 and not path.exists():
            Timer(LATE, path.write_text, [text]).start()
        else:
            path.write_text(text)
    return shops


if __name__ == "__main__":
    main()
