"""Examples with a journal: killed at some moment and started again, they do what is missing."""

import csv
import json
import os
import signal
from collections import Counter

import pytest

from example_scripts import begun, counts, interrupt, kill, rows, run

DONE = "SELECT run, count(*) FROM tasks WHERE state = 1 GROUP BY run ORDER BY run"

# ------------------------------------------------------------------ paid_api


def bill(folder):
    path = folder / "bill.txt"
    return path.read_text().splitlines() if path.exists() else []


def in_doubt(lines):
    head = "paid or not, who knows: "
    return [line.removeprefix(head) for line in lines if line.startswith(head)]


def test_each_answer_is_paid_once(tmp_path):
    """The service counts as many payments as there are answers, though it said 429 to some."""
    lines, _ = run("paid_api", tmp_path, 90)

    assert {"tasks": 90, "succeeded": 90, "failed": 0} == {
        name: count for name, count in counts(lines).items() if name != "retries"
    }
    assert counts(lines)["retries"] > 0
    assert sorted(f"What is {n} times {n}?" for n in range(90)) == sorted(bill(tmp_path))


@pytest.mark.parametrize("end", [kill, interrupt])
def test_no_question_is_paid_twice(tmp_path, end):
    """Not after a kill either: what may have been paid is named, and is not asked by any later start."""
    end("paid_api", tmp_path, 90, until=lambda: len(bill(tmp_path)) >= 40)
    for _ in range(2):
        lines, _ = run("paid_api", tmp_path, 90)
        answered = rows(tmp_path / "answers.db", "SELECT task FROM tasks WHERE state = 1")
        doubtful = in_doubt(lines)

        questions = {f"What is {n} times {n}?" for n in range(90)}
        assert questions == {task for (task,) in answered} | set(doubtful)
        assert 90 == len(answered) + len(doubtful)
        assert {1} == set(Counter(bill(tmp_path)).values())
        assert set(bill(tmp_path)) >= {task for (task,) in answered}
    assert len(doubtful) <= 40  # what was in flight: two small batches for each of eight workers


# ------------------------------------------------------------------ crawl_sites


def visits(folder):
    """How often each page was asked for, by the status that it had."""
    path = folder / "visits.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    found = {"200": Counter(), "404": Counter(), "429": Counter()}
    for _, page, status in map(str.split, lines):
        found[status][page] += 1
    return found


@pytest.mark.parametrize("end", [kill, interrupt])
def test_a_crawl_goes_on_where_it_was(tmp_path, end):
    """No page is fetched twice, but for those that were on their way; one site says 429."""
    end("crawl_sites", tmp_path, 123, until=lambda: visits(tmp_path)["200"].total() >= 60)
    ((before,),) = rows(tmp_path / "crawl.db", "SELECT count(*) FROM tasks WHERE state = 1")
    lines, _ = run("crawl_sites", tmp_path, 123)
    found = visits(tmp_path)

    assert {"tasks": 123, "succeeded": 120 - before, "failed": 3, "duplicates": before} == {
        name: count for name, count in counts(lines).items() if name != "retries"
    }
    assert 40 <= before
    assert 120 == len(found["200"])
    assert found["200"].total() - 120 <= 36  # a thread for each of 32 cores at most, and four more
    assert {"plum.example"} == {page.partition("/")[0] for page in found["429"]}


# ------------------------------------------------------------------ simulate_overnight


REPEATS = 25  # of each of 15 densities


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The lines of a night without a power cut."""
    return run("simulate_overnight", tmp_path_factory.mktemp("whole"), REPEATS)[0]


@pytest.mark.parametrize("end", [kill, interrupt])
def test_a_night_goes_on_where_it_was(tmp_path, undisturbed, end):
    """The curve is that of a night without a power cut, and no stone that was done is done again."""
    journal = tmp_path / "stones.db"
    end(
        "simulate_overnight",
        tmp_path,
        REPEATS,
        until=lambda: any(n >= 30 for _, n in rows(journal, DONE)),
    )
    ((_, before),) = rows(journal, DONE)
    lines, _ = run("simulate_overnight", tmp_path, REPEATS)
    now = 15 * REPEATS - before

    assert undisturbed[-15:] == lines[-15:]
    assert {"tasks": now + before, "succeeded": now, "failed": 0, "duplicates": before} == counts(lines)
    assert [(1, before), (2, now)] == rows(journal, DONE)


def test_a_larger_number_does_what_is_new(tmp_path):
    """Of 5 repeats and then 6, the second start does one of each."""
    run("simulate_overnight", tmp_path, 5)
    lines, _ = run("simulate_overnight", tmp_path, 6)

    assert {"tasks": 90, "succeeded": 15, "failed": 0, "duplicates": 75} == counts(lines)


# ------------------------------------------------------------------ score_rows


def loads(lines):
    return [line for line in lines if line.endswith("loads the model")]


@pytest.mark.parametrize("end", [kill, interrupt])
def test_rows_are_scored_once_and_the_model_is_loaded_once_a_worker(tmp_path, end):
    """A start that was ended, and another one: each row has its score, as a plain loop finds it."""
    journal = tmp_path / "reviews" / "scores.db"
    end("score_rows", tmp_path, 30_000, until=lambda: any(n >= 500 for _, n in rows(journal, DONE)))
    ((_, before),) = rows(journal, DONE)
    lines, _ = run("score_rows", tmp_path, 30_000)
    model = json.loads((tmp_path / "reviews" / "model.json").read_text())
    with (tmp_path / "reviews" / "reviews.csv").open(newline="") as file:
        reviews = [review for _, review in csv.reader(file)]
    scores = sorted(sum(model[word] for word in review.split()) for review in reviews)

    now = 30_000 - before
    assert {"tasks": 30_000, "succeeded": now, "failed": 0, "duplicates": before} == counts(lines)
    assert 1 <= len(loads(lines)) == len(set(loads(lines))) <= (os.cpu_count() or 1)
    assert [float(line.split()[0]) for line in lines[-6:]] == pytest.approx(
        [*scores[:3], *scores[-3:]], abs=0.01
    )


# ------------------------------------------------------------------ watch_folder


def test_a_watcher_stops_when_told_and_does_each_file_once(tmp_path):
    """SIGTERM: it finishes what it is at, shows its summary and exits with 0; the next start goes on."""
    printed = []
    for _ in range(2):
        seen = []
        with begun("watch_folder", tmp_path, until=lambda: True) as process:
            while len(seen) < 12:
                seen.append(process.stdout.readline().rstrip())
            process.send_signal(signal.SIGTERM)
            rest, errors = process.stdout.read(), process.stderr.read()
        assert process.returncode == 0, errors
        lines = [*seen, *rest.splitlines()]
        printed += [line for line in lines if ".txt: " in line]
        found = counts(lines)

        assert "stop()" in rest
        assert found["succeeded"] == len([line for line in lines if ".txt: " in line])

    names = [line.partition(":")[0] for line in printed]
    assert sorted(set(names)) == sorted(names)
    assert [f"{n:06}.txt" for n in range(1, 11)] == sorted(names)[:10]


def test_a_watcher_that_is_killed_does_the_file_again(tmp_path):
    """What it was at has no outcome: it is done by the next start, and nothing else is."""
    with begun("watch_folder", tmp_path, until=lambda: True) as process:
        first = [process.stdout.readline().partition(":")[0] for _ in range(12)]
        process.kill()
        rest = process.stdout.read()
        first += [line.partition(":")[0] for line in rest.splitlines()]
    kept = {task for (task,) in rows(tmp_path / "watched.db", "SELECT task FROM tasks WHERE state = 1")}
    with begun("watch_folder", tmp_path, until=lambda: True) as process:
        second = [process.stdout.readline().partition(":")[0] for _ in range(12)]
        process.send_signal(signal.SIGTERM)
        process.stdout.read()

    assert not kept & set(second)
    assert set(first) - kept <= set(second)
