"""Boxes with gradients: ``scale_x_y`` and ``new_coords`` say where a box can go and how fast it gets there."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from yoloslim.graph.ops import Yolo
from yoloslim.losses.decode import every_box, logits_of

YOLO = Yolo((0,), ((32.0, 32.0),), 2)
STRIDE = (16.0, 16.0)
KINDS = [{}, {"scale_x_y": 1.1}, {"scale_x_y": 2.0, "new_coords": True}]


def raw_map(yolo: Yolo) -> Tensor:
    raw = torch.randn(1, 1, 4, 4, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return raw.sigmoid() if yolo.new_coords else raw


@pytest.mark.parametrize("changes", KINDS)
def test_gradients_of_boxes_are_those_of_finite_differences(changes: dict[str, float]) -> None:
    yolo = replace(YOLO, **changes)

    assert torch.autograd.gradcheck(lambda raw: every_box(raw, yolo, STRIDE), raw_map(yolo).requires_grad_())


@pytest.mark.parametrize(("changes", "slope"), [({}, 1 / 4), ({"scale_x_y": 2.0}, 2 / 4)])
def test_the_stretch_of_the_cell_is_a_factor_of_the_gradient(changes: dict[str, float], slope: float) -> None:
    raw = torch.zeros(1, 1, 4, 4, 7, requires_grad=True)

    every_box(raw, replace(YOLO, **changes), STRIDE)[..., 0].sum().backward()

    assert raw.grad is not None
    assert raw.grad[..., 0].unique().tolist() == [slope]  # the sigmoid's at 0 is 1 / 4


def test_with_new_coords_the_network_gives_offsets_and_roots_of_sizes() -> None:
    raw = torch.full((1, 1, 4, 4, 7), 0.5, requires_grad=True)

    box = every_box(raw, replace(YOLO, scale_x_y=2.0, new_coords=True), STRIDE)[0, 0, 1, 2]
    box.sum().backward()

    assert box.tolist() == [2.5, 1.5, 2.0, 2.0]  # the middle of its cell, the size of its anchor
    assert raw.grad is not None
    assert raw.grad[0, 0, 1, 2, :4].tolist() == [2.0, 2.0, 8.0, 8.0]  # d (2w)^2 * 2 / dw = 16 w


def test_probabilities_as_logits_give_the_gradient_of_the_logits_behind_them() -> None:
    behind = torch.tensor([-4.0, 0.0, 3.0], dtype=torch.float64, requires_grad=True)

    logits_of(behind.sigmoid(), replace(YOLO, new_coords=True)).sum().backward()

    torch.testing.assert_close(behind.grad, torch.ones(3, dtype=torch.float64))
