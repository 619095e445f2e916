"""Picking values of a head map gives what indexing gives, and the same gradient."""

import pytest
import torch

from yoloslim.losses.assign import Matches
from yoloslim.losses.pick import pick

SHAPE = (2, 3, 4, 5, 7)  # objectness at 4
TWICE = torch.tensor([[0, 2, 3, 4], [1, 0, 0, 0], [1, 0, 0, 0]])  # one cell answers for two objects


def matches() -> Matches:
    image, anchor, row, column = TWICE.T
    return Matches(image, anchor, row, column, torch.zeros(3, 4), torch.zeros(3, dtype=torch.long))


@pytest.mark.parametrize("channels_last", [False, True])
def test_values_and_gradients_are_those_of_indexing(channels_last: bool) -> None:
    torch.manual_seed(0)
    head_map = torch.randn(SHAPE, dtype=torch.float64)
    if channels_last:
        head_map = head_map.permute(0, 2, 3, 1, 4).contiguous().permute(0, 3, 1, 2, 4)
    ours, theirs = (head_map.clone().requires_grad_() for _ in range(2))
    assert ours.is_contiguous() != channels_last

    found = pick(ours, matches(), 4)
    raw = theirs[matches().cells]
    expected = raw[:, :4], raw[:, 5:], theirs[..., 4].permute(0, 2, 3, 1)
    weights = [torch.randn_like(part) for part in expected]
    sum((part * weight).sum() for part, weight in zip(found[:3], weights, strict=True)).backward()
    sum((part * weight).sum() for part, weight in zip(expected, weights, strict=True)).backward()

    for part, wanted in zip(found[:3], expected, strict=True):
        torch.testing.assert_close(part, wanted, rtol=0, atol=0)
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_without_matches_every_objectness_is_there() -> None:
    head_map = torch.randn(SHAPE, requires_grad=True)
    nothing = Matches(*torch.zeros(4, 0, dtype=torch.long), torch.zeros(0, 4), torch.zeros(0, dtype=torch.long))

    found = pick(head_map, nothing, 4)
    found.objectness.sum().backward()

    assert (found.geometry.shape, found.classes.shape) == ((0, 4), (0, 2))
    assert head_map.grad is not None
    assert head_map.grad.sum(-1).unique().tolist() == [1.0]
