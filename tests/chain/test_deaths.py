"""Who is charged for the deaths of stages, and when there are too many."""

from __future__ import annotations

from task_manager._chain.deaths import RESTARTS, Deaths


def test_what_was_in_hand_is_charged_and_each_death_counts() -> None:
    """Up to three; the fourth is one too many."""
    deaths = Deaths()
    charged = [deaths.charge([ticket], ticket, going_on=True) for ticket in range(RESTARTS)]
    before = deaths.too_many
    deaths.charge([9], 9, going_on=True)

    assert list(range(RESTARTS)) == charged
    assert (False, True) == (before, deaths.too_many)


def test_a_suspect_that_dies_alone_confirms_the_death_before() -> None:
    """The two are one: three tasks may each bring down a stage whose calls go on side by side."""
    deaths = Deaths()
    charged = []
    for culprit in range(RESTARTS):
        charged.append(deaths.charge([culprit, culprit + 10], None, going_on=False))
        charged.append(deaths.charge([culprit], None, going_on=False))
        deaths.suspects.clear([culprit + 10])

    assert [None, 0, None, 1, None, 2] == charged
    assert not deaths.too_many


def test_the_second_of_the_suspects_is_a_death_of_its_own() -> None:
    """A stage that dies of each of its tasks is given up."""
    deaths = Deaths()
    deaths.charge([0, 1, 2, 3, 4], None, going_on=False)
    for suspect in range(RESTARTS):
        deaths.charge([suspect], None, going_on=False)
    before = deaths.too_many
    deaths.charge([RESTARTS], None, going_on=False)

    assert (False, True) == (before, deaths.too_many)


def test_a_death_with_empty_hands_counts_and_is_nobody_s() -> None:
    """As where something outside kills a stage that has nothing to do."""
    deaths = Deaths()
    charged = [deaths.charge([], None, going_on=False) for _ in range(RESTARTS + 1)]

    assert [None] * (RESTARTS + 1) == charged
    assert deaths.too_many
