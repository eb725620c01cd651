"""Who is charged for a death, and who travels alone from then on."""

from __future__ import annotations

import pytest

from task_manager._rules.suspects import MOST_DEATHS, Suspects


def test_a_call_that_is_going_on_is_charged() -> None:
    """It was in hand, so the death is its own; what had not begun is none of it."""
    suspects = Suspects[str]()

    assert "a" == suspects.charge(["a", "b", "c"], "a", going_on=True)
    assert not suspects


def test_what_was_called_before_and_not_told_of_runs_alone() -> None:
    """A thread that it has left behind may have killed."""
    suspects = Suspects[str]()

    assert "c" == suspects.charge(["a", "b", "c", "d"], "c", going_on=True)
    assert [True, True, False, False] == [name in suspects for name in "abcd"]


def test_a_death_after_the_calls_is_charged_to_nobody() -> None:
    """All that were called may have caused it, and each runs alone from then on."""
    suspects = Suspects[str]()

    assert suspects.charge(["a", "b", "c"], "b", going_on=False) is None
    assert [True, True, False] == [name in suspects for name in "abc"]


def test_a_death_before_the_first_call_is_charged_to_nobody() -> None:
    """Any of them may have killed as it arrived."""
    suspects = Suspects[str]()

    assert suspects.charge(["a", "b"], None, going_on=False) is None
    assert [True, True] == [name in suspects for name in "ab"]


def test_one_that_was_called_alone_is_charged_at_once() -> None:
    """There is nobody else whom the death after its call could be about."""
    suspects = Suspects[str]()
    suspects.charge(["a", "b"], "b", going_on=False)

    assert "a" == suspects.charge(["a"], "a", going_on=False)
    assert "a" not in suspects
    assert "b" in suspects


def test_one_that_was_taken_alone_is_charged_at_once() -> None:
    """As by a hook that is called before the function is."""
    assert "a" == Suspects[str]().charge(["a"], None, going_on=False, taken=True)


def test_one_that_arrived_alone_is_charged_in_the_end() -> None:
    """The first deaths may have been chance, but it is not tried without end."""
    suspects = Suspects[str]()
    charged = [suspects.charge(["a"], None, going_on=False) for _ in range(MOST_DEATHS)]

    assert [None, None, "a"] == charged
    assert not suspects


def test_a_group_that_is_never_parted_is_not_tried_without_end() -> None:
    """Where nobody lets them travel alone, one after the other is charged."""
    suspects = Suspects[str]()
    charged = [suspects.charge(["a", "b"], None, going_on=False) for _ in range(MOST_DEATHS)]

    assert [None, None, "a"] == charged


def test_nobody_in_hand() -> None:
    """A death with no task in hand is charged to no task."""
    suspects = Suspects[str]()

    assert suspects.charge([], None, going_on=True) is None
    assert not suspects


def test_an_outcome_ends_the_suspicion() -> None:
    """What has come back has killed nobody; other names harm nothing."""
    suspects = Suspects[str]()
    suspects.charge(["a", "b"], None, going_on=False)
    suspects.clear(["a", "z"])

    assert [False, True] == [name in suspects for name in "ab"]


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        ("xyz", ["xyz"]),
        ("a", ["a"]),
        ("ab", ["a", "b"]),
        ("axyb", ["a", "xy", "b"]),
        ("xaybz", ["x", "a", "y", "b", "z"]),
    ],
)
def test_suspects_travel_alone(names: str, parts: list[str]) -> None:
    """The others between them travel together, and in their order."""
    suspects = Suspects[str]()
    suspects.charge(["a", "b"], None, going_on=False)

    assert parts == [names[part] for part in suspects.parts(names)]
