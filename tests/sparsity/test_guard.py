"""When a training counts as converged."""

import pytest

from yoloslim.compress.sparsity.guard import has_converged


@pytest.mark.parametrize(
    ("prunable", "means", "expected"),
    [
        ([0.40, 0.405, 0.409], [0.5, 0.496, 0.495], True),
        ([0.45, 0.41, 0.40], [0.5, 0.5, 0.5], True),
        ([0.40, 0.405, 0.42], [0.5, 0.5, 0.5], False),
        ([0.40, 0.40, 0.40], [0.5, 0.45, 0.4], False),
        ([0.0, 0.0, 0.0], [0.5, 0.5, 0.5], False),
    ],
    ids=["still", "falling", "growing", "gammas still fall", "nothing yet"],
)
def test_a_training_has_converged_when_neither_what_can_be_pruned_nor_gammas_move(
    prunable: list[float], means: list[float], expected: bool
) -> None:
    assert has_converged(prunable, means) is expected
