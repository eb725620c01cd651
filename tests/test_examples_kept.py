"""Examples of much work, and of work of every night: what fails costs itself, a kill costs little."""

import wave

import pytest

from example_scripts import counts, interrupt, kill, rows, run

# ------------------------------------------------------------------ transcode_files


def halves(folder):
    return {path.name: path.stat().st_ino for path in (folder / "songs").glob("*.half")}


def test_a_hang_and_a_crash_cost_one_song_each(tmp_path):
    """Both are named, and every other song is half as large."""
    lines, errors = run("transcode_files", tmp_path, 45)

    assert {"tasks": 45, "succeeded": 43, "failed": 2} == counts(lines)
    assert "00017.wav: the call took longer than task_timeout=2 s" in lines
    (crash,) = [line for line in lines if line.startswith("00042.wav: ")]
    assert "SIGSEGV" in crash
    assert lines[-1] == f"saved {43 * 2000:,} bytes"
    assert 43 == len(halves(tmp_path))
    with wave.open(str(tmp_path / "songs" / "00003.half")) as song:
        assert (4000, 1000) == (song.getframerate(), song.getnframes())
    assert errors.splitlines()[-1].startswith("Processing: 45/45, 2 failed")


@pytest.mark.parametrize("end", [kill, interrupt])
def test_songs_survive_a_kill(tmp_path, end):
    """Every file is whole at any time, and a second start makes what is missing."""
    end("transcode_files", tmp_path, 45, until=lambda: len(halves(tmp_path)) >= 5)
    for name in halves(tmp_path):
        wave.open(str(tmp_path / "songs" / name)).close()
    run("transcode_files", tmp_path, 45)

    assert 43 == len(halves(tmp_path))


# ------------------------------------------------------------------ make_thumbnails


def thumbnails(folder):
    path = folder / "thumbnails.gray"
    return path.stat().st_size // 256 if path.exists() else 0


def test_a_torn_picture_costs_one_thumbnail(tmp_path):
    """It is blank, in its place; every other one has its own."""
    lines, _ = run("make_thumbnails", tmp_path, 60)
    sheet = (tmp_path / "thumbnails.gray").read_bytes()

    assert {"tasks": 60, "succeeded": 59, "failed": 1} == counts(lines)
    assert [17] == [n for n in range(60) if not any(sheet[256 * n : 256 * (n + 1)])]
    assert "60 thumbnails in thumbnails.gray, 0 of them from before" == lines[-1]


@pytest.mark.parametrize("end", [kill, interrupt])
def test_a_sheet_goes_on_where_it_was(tmp_path, end):
    """What is in the file is not made again, and in the end it is as if nothing had happened."""
    end("make_thumbnails", tmp_path, 400, until=lambda: thumbnails(tmp_path) >= 60)
    with (tmp_path / "thumbnails.gray").open("ab") as sheet:
        sheet.write(b"half of a thumbnail")
    lines, _ = run("make_thumbnails", tmp_path, 400)
    whole = (tmp_path / "thumbnails.gray").read_bytes()
    (tmp_path / "thumbnails.gray").unlink()
    run("make_thumbnails", tmp_path, 400)

    assert counts(lines)["tasks"] <= 340
    assert (tmp_path / "thumbnails.gray").read_bytes() == whole


# ------------------------------------------------------------------ download_parse_insert

DOCUMENTS = 100
FUNCTIONS = "SELECT name, functions FROM modules"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run to the end, and what was seen of it."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, *run("download_parse_insert", folder, DOCUMENTS)


def test_every_document_goes_through_three_stages(whole):
    """Those that are Python are in the database; the others failed at their stage."""
    folder, lines, errors = whole
    found = counts(lines)

    assert found["tasks"] == DOCUMENTS == found["succeeded"] + found["failed"]
    assert found["succeeded"] == len(rows(folder / "library.db", FUNCTIONS)) > DOCUMENTS // 2
    assert "urllib.error.HTTPError" in "\n".join(lines)
    bars = [line.split(":")[0] for line in errors.splitlines()]
    assert ["Download", "Parse", "Insert"] == bars[-3:]


@pytest.mark.parametrize("end", [kill, interrupt])
def test_documents_survive_a_kill(tmp_path, whole, end):
    """A second start has all of them in the database, and those that were there are not done again."""
    library = tmp_path / "library.db"
    end("download_parse_insert", tmp_path, DOCUMENTS, until=lambda: len(rows(library, FUNCTIONS)) >= 10)
    lines, _ = run("download_parse_insert", tmp_path, DOCUMENTS)

    assert sorted(rows(whole[0] / "library.db", FUNCTIONS)) == sorted(rows(library, FUNCTIONS))
    assert counts(lines)["duplicates"] > 0


# ------------------------------------------------------------------ nightly_reports


def reports(folder):
    return {path.stem for path in (folder / "reports").glob("*.txt")}


def test_the_late_one_comes_and_the_wrong_ones_are_named(tmp_path):
    """The exit code says that something is missing; two are, with their reasons, and no other one."""
    lines, _ = run("nightly_reports", tmp_path, 30, exit_code=1)

    assert {"tasks": 30, "succeeded": 27, "failed": 3} == counts(lines)
    assert [
        "no report of shop-0002: KeyError('pieces')",
        """no report of shop-0005: ValueError("invalid literal for int() with base 10: 'a dozen'")""",
    ] == lines[-2:]
    assert reports(tmp_path) == {f"shop-{n:04}" for n in range(1, 31)} - {"shop-0002", "shop-0005"}


def test_a_good_night_ends_with_nothing_to_say(tmp_path):
    """One shop, and its report: exit code 0."""
    lines, _ = run("nightly_reports", tmp_path, 1)

    assert {"tasks": 1, "succeeded": 1, "failed": 0} == counts(lines)
    (report,) = (tmp_path / "reports").iterdir()
    assert 5 == len(report.read_text().splitlines())


@pytest.mark.parametrize("end", [kill, interrupt])
def test_reports_survive_a_kill(tmp_path, end):
    """A second start of the same night has all reports."""
    end("nightly_reports", tmp_path, 400, until=lambda: len(reports(tmp_path)) >= 3)
    run("nightly_reports", tmp_path, 400, exit_code=1)

    assert 398 == len(reports(tmp_path))
