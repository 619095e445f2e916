"""Focal loss: Lin's formula, and what becomes of it between 0 and 1."""

import pytest
import torch
from torch.nn import functional as F

from yoloslim.losses.focal import Focus, binary_loss, categorical_loss

LOGITS = torch.tensor([-3.0, -0.5, 0.0, 0.5, 3.0], dtype=torch.float64)
PLAIN = Focus(0.0, 0.25)


def test_without_gamma_it_is_the_cross_entropy() -> None:
    wanted = torch.tensor([0.0, 1.0, 0.3, 0.0, 1.0], dtype=torch.float64)

    expected = F.binary_cross_entropy_with_logits(LOGITS, wanted, reduction="none")

    torch.testing.assert_close(binary_loss(LOGITS, wanted, PLAIN), expected, rtol=0, atol=0)


@pytest.mark.parametrize("there", [0.0, 1.0])
def test_certain_answers_follow_the_paper(there: float) -> None:
    wanted = torch.full_like(LOGITS, there)
    p = LOGITS.sigmoid() if there else 1 - LOGITS.sigmoid()

    found = binary_loss(LOGITS, wanted, Focus(2.0, 0.25))

    torch.testing.assert_close(found, -(0.25 if there else 0.75) * (1 - p) ** 2 * p.log())


def test_a_quality_that_is_met_costs_nothing() -> None:
    wanted = LOGITS.sigmoid()

    assert binary_loss(LOGITS, wanted, Focus(2.0, 0.5)).max() < 1e-11


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_answers_that_are_exact_have_a_finite_gradient(gamma: float) -> None:
    logits = torch.tensor([200.0, -200.0, 0.0], requires_grad=True)

    binary_loss(logits, torch.tensor([1.0, 0.0, 0.5]), Focus(gamma, 0.25)).sum().backward()

    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_a_softmax_counts_by_the_probability_of_its_class() -> None:
    logits = torch.tensor([[4.0, 0.0, 0.0], [0.0, 0.0, 0.0]], dtype=torch.float64)
    class_id = torch.tensor([0, 2])
    p = logits.softmax(1)[[0, 1], class_id]

    torch.testing.assert_close(categorical_loss(logits, class_id, 0.0, PLAIN), -p.log())
    torch.testing.assert_close(categorical_loss(logits, class_id, 0.0, Focus(2.0, 0.25)), -((1 - p) ** 2) * p.log())
