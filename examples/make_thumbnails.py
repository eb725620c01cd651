"""Makes small pictures of as many large ones as you like, in one file, in memory that stays flat.

    python examples/make_thumbnails.py             2,000 pictures
    python examples/make_thumbnails.py 1000000     more of them

Shows: results as they come, in the order of the input, with nothing kept. What is in the file says how
far it got, so it goes on there after Ctrl-C or `kill -9`, without a journal.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from task_manager import TaskManager


def thumbnail(number: int) -> bytes:
    """Each pixel is the mean of eight by eight."""
    picture = photograph(number)
    strips = (picture[y * SIDE : (y + 8) * SIDE] for y in range(0, SIDE, 8))
    means = (
        sum(sum(strip[x + y * SIDE : x + y * SIDE + 8]) for y in range(8)) // 64
        for strip in strips
        for x in range(0, SIDE, 8)
    )
    return bytes(means)


def main() -> None:
    manager = TaskManager(thumbnail, "process", deduplicate=False, show_progress=True)
    with SHEET.open("ab") as sheet:
        done = sheet.tell() // SIZE
        sheet.truncate(done * SIZE)  # of the last one a part may have been written
        for outcome in manager.stream(numbers(done), ordered=True):
            sheet.write(outcome.result or BLANK)
    print(manager.get_summary())
    print(f"{SHEET.stat().st_size // SIZE:,} thumbnails in {SHEET}, {done:,} of them from before")


# ------------------------------------------------ the pictures, of which a few are torn

PICTURES = int(sys.argv[1]) if sys.argv[1:] else 2000
SIDE = 128  # pixels
SIZE = (SIDE // 8) ** 2  # bytes of a thumbnail
BLANK = bytes(SIZE)
SHEET = Path("thumbnails.gray")


def numbers(first: int) -> Iterator[int]:
    """Without end, if you like: nothing is read ahead but a little."""
    yield from range(first, PICTURES)


def photograph(number: int) -> bytes:
    """The sky of one day, in shades of gray."""
    if number % 500 == 17:
        raise ValueError(f"picture {number} ends in the middle")
    row = [(number + x) % 256 for x in range(SIDE)]
    return bytes(shade // (1 + y // 32) for y in range(SIDE) for shade in row)


if __name__ == "__main__":
    main()
