"""Largest shares that can be pruned: found with few looks, also where several losses share them."""

import pytest

from yoloslim.compress.pruning.prunable import prunable_shares

LOSSES = (0.0, 0.005, 0.01, 0.02)


def test_a_cliff_is_found_by_all_losses_together() -> None:
    asked = []

    def lost(share: float) -> float:
        asked.append(share)
        return 0.0 if share < 0.37 else 0.5

    found = prunable_shares(lost, LOSSES, looks=6)

    assert len(asked) == 6
    assert found == pytest.approx((0.37,) * 4, abs=1 / 64)
    assert max(found) < 0.37


def test_a_slope_gives_every_loss_its_share() -> None:
    found = prunable_shares(lambda share: max(0.0, share - 0.2) / 10, LOSSES, looks=30)

    assert found == pytest.approx((0.205, 0.255, 0.305, 0.405), abs=0.01)


def test_shares_beyond_the_first_that_loses_too_much_do_not_count() -> None:
    found = prunable_shares(lambda share: 0.1 if share == 0.5 else 0.0, (0.01,), looks=10)

    assert found[0] < 0.5


def test_looking_ends_where_shares_are_near_enough() -> None:
    asked = []
    prunable_shares(lambda share: asked.append(share) or 0.0, LOSSES, looks=100)

    assert len(asked) == 7
