"""Overlap of paired boxes: its values, its bounds, its gradients."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from yoloslim.boxes.iou import pairwise_iou
from yoloslim.losses.iou import IouKind, paired_iou

SIDES = st.tuples(*[st.floats(0.1, 10)] * 2, *[st.floats(0.1, 5)] * 2)


def corners(box: torch.Tensor) -> torch.Tensor:
    return torch.cat([box[:, :2] - box[:, 2:] / 2, box[:, :2] + box[:, 2:] / 2], 1)


@given(SIDES, SIDES)
def test_plain_overlap_is_that_of_the_corners(a: tuple[float, ...], b: tuple[float, ...]) -> None:
    first, second = torch.tensor([a], dtype=torch.float64), torch.tensor([b], dtype=torch.float64)

    expected = pairwise_iou(corners(first).float().numpy(), corners(second).float().numpy())[0, 0]

    assert paired_iou(first, second).item() == pytest.approx(expected, abs=1e-5)


@given(SIDES, SIDES, st.sampled_from(["giou", "diou", "ciou"]))
def test_penalised_overlaps_never_exceed_the_plain_one(
    a: tuple[float, ...], b: tuple[float, ...], kind: IouKind
) -> None:
    first, second = torch.tensor([a], dtype=torch.float64), torch.tensor([b], dtype=torch.float64)

    assert paired_iou(first, second, kind) <= paired_iou(first, second) + 1e-9
    assert paired_iou(first, second, kind) >= -2.0


@pytest.mark.parametrize("kind", ["iou", "giou", "diou", "ciou"])
def test_a_box_overlaps_itself_completely(kind: IouKind) -> None:
    box = torch.tensor([[3.0, 4.0, 2.0, 5.0]], dtype=torch.float64)

    assert paired_iou(box, box, kind).item() == pytest.approx(1.0, abs=1e-8)


def test_generalised_overlap_of_separate_boxes_follows_the_paper() -> None:
    # unit squares two apart: hull 3x1, union 2, so 0 - (3 - 2) / 3
    a, b = torch.tensor([[0.5, 0.5, 1.0, 1.0]]), torch.tensor([[2.5, 0.5, 1.0, 1.0]])

    assert paired_iou(a, b, "giou").item() == pytest.approx(-1 / 3, abs=1e-6)


def test_distance_overlap_takes_off_the_squared_distance_as_a_share_of_the_hull() -> None:
    # unit squares two apart: no overlap, distance 2 of a 3x1 hull, whose diagonal squared is 10
    a, b = torch.tensor([[0.5, 0.5, 1.0, 1.0]]), torch.tensor([[2.5, 0.5, 1.0, 1.0]])

    assert paired_iou(a, b, "diou").item() == pytest.approx(-4 / 10, abs=1e-6)


def test_complete_overlap_adds_distance_and_aspect() -> None:
    # same centre: no distance; 4x1 in 1x4 overlap 1 of 7; v = 4/pi^2 (atan 4 - atan 1/4)^2
    a, b = torch.tensor([[0.0, 0.0, 4.0, 1.0]]), torch.tensor([[0.0, 0.0, 1.0, 4.0]])
    v = 4 / torch.pi**2 * (torch.atan(torch.tensor(4.0)) - torch.atan(torch.tensor(0.25))) ** 2
    expected = 1 / 7 - v * v / (1 - 1 / 7 + v)

    assert paired_iou(a, b, "ciou").item() == pytest.approx(expected.item(), abs=1e-6)


@pytest.mark.parametrize("kind", ["giou", "diou", "ciou"])
def test_boxes_that_do_not_touch_are_pulled_together(kind: IouKind) -> None:
    box = torch.tensor([[0.0, 0.0, 1.0, 1.0]], requires_grad=True)

    (1 - paired_iou(box, torch.tensor([[5.0, 0.0, 1.0, 1.0]]), kind)).sum().backward()

    assert box.grad is not None
    assert box.grad[0, 0] < 0  # descent moves the centre to the right
