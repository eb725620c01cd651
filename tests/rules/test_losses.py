"""Who is charged where an executor loses what it had, and nobody knows at which call."""

from __future__ import annotations

from task_manager._rules.losses import FORGIVEN, Losses


def test_the_first_losses_are_forgiven() -> None:
    """A node may go for any reason: what was on it runs once more, with others."""
    losses = Losses()
    for _ in range(FORGIVEN - 1):
        assert losses.charge([1, 2], alone=False) is None

    assert [(slice(0, 3), False)] == losses.parts([1, 2, 3])


def test_then_each_runs_alone() -> None:
    """Those that were lost too often, and only they."""
    losses = Losses()
    for _ in range(FORGIVEN):
        losses.charge([2, 4], alone=False)

    assert [
        (slice(0, 1), False),
        (slice(1, 2), True),
        (slice(2, 3), False),
        (slice(3, 4), True),
    ] == losses.parts([1, 2, 3, 4])


def test_what_is_lost_alone_is_charged_and_what_comes_back_is_cleared() -> None:
    """The one has the error, the other has nothing to fear any more."""
    losses = Losses()
    for _ in range(FORGIVEN):
        losses.charge([1, 2], alone=False)
    losses.clear([2])

    assert 1 == losses.charge([1], alone=True)
    assert not losses
