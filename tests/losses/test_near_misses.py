"""Background whose box lies on an object: found as a loop over all pairs finds it, left out or made to answer."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from yoloslim.graph.ops import Yolo
from yoloslim.losses.assign import assign
from yoloslim.losses.decode import every_box
from yoloslim.losses.detection import detection_loss
from yoloslim.losses.iou import paired_iou
from yoloslim.losses.near_misses import near_misses, with_near_misses
from yoloslim.losses.settings import LossSettings

YOLO = Yolo((0, 1), ((20.0, 30.0), (60.0, 50.0)), 3)
SIZE, STRIDE = (128, 96), (16.0, 16.0)
SHAPE = torch.Size((2, 2, 6, 8))
OBJECT = torch.tensor([[0, 1, 3.5 / 8, 2.5 / 6, 60 / 128, 50 / 96]])  # the second anchor, in the middle of a cell


def random_map(yolo: Yolo) -> Tensor:
    raw = torch.randn(*SHAPE, 8, generator=torch.Generator().manual_seed(3)) / 2
    return raw.sigmoid() if yolo.new_coords else raw


def random_targets() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    targets = torch.rand(200, 6, generator=generator)
    targets[:, 0] = torch.arange(200) % 2
    anchors = torch.tensor(YOLO.anchors)[torch.arange(200) // 2 % 2] / torch.tensor(SIZE)
    targets[:, 4:] = anchors * (targets[:, 4:] + 0.6)
    return targets


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.5, 0.7])
@pytest.mark.parametrize("changes", [{}, {"scale_x_y": 2.0}, {"scale_x_y": 2.0, "new_coords": True}])
def test_the_pairs_are_those_of_a_loop_over_all_cells_and_objects(threshold: float, changes: dict[str, float]) -> None:
    yolo = replace(YOLO, **changes)
    head_map, targets = random_map(yolo), random_targets()
    boxes = every_box(head_map, yolo, STRIDE).flatten(0, 3)
    image = torch.arange(2).repeat_interleave(len(boxes) // 2)
    expected = set()
    for number, target in enumerate(targets):
        overlap = paired_iou(boxes, (target[2:] * torch.tensor([8.0, 6.0, 8.0, 6.0])).expand_as(boxes))
        above = (overlap > threshold) & (image == target[0])
        expected |= {(cell, number) for cell in above.nonzero()[:, 0].tolist()}

    near = near_misses(head_map, targets, yolo, STRIDE, threshold)

    assert len(expected) > 5
    assert set(zip(near.cell.tolist(), near.target.tolist(), strict=True)) == expected
    assert len(near.cell) == len(expected)


def objectness_gradient(settings: LossSettings) -> Tensor:
    maps = torch.zeros(*SHAPE, 8, requires_grad=True)  # every box is its anchor, in the middle of its cell
    detection_loss([maps], OBJECT, [YOLO], SIZE, settings).total.backward()
    assert maps.grad is not None
    return maps.grad[..., 4]


def test_the_best_anchor_answers_alone() -> None:
    gradient = objectness_gradient(LossSettings(assignment="best"))

    assert (gradient < 0).nonzero().tolist() == [[0, 1, 2, 3]]


def test_near_misses_are_not_told_that_nothing_is_there() -> None:
    gradient = objectness_gradient(LossSettings(assignment="best", ignore_threshold=0.5))

    assert (gradient[0, 1, 2] == 0).nonzero()[:, 0].tolist() == [2, 4]  # left and right of the one that answers
    assert gradient[0, 1, 2, 3] < 0
    assert (gradient[1] > 0).all()  # the other picture is empty


def test_very_near_misses_answer_too() -> None:
    gradient = objectness_gradient(LossSettings(assignment="best", truth_threshold=0.5, objectness_ratio=0.0))

    assert (gradient[0, 1, 2] < 0).nonzero()[:, 0].tolist() == [2, 3, 4]


def test_a_near_miss_answers_for_the_object_that_it_overlaps_most_and_a_match_stays() -> None:
    targets = torch.cat([OBJECT, OBJECT])
    targets[1, 2] += 0.02  # right of the first, in the same cell
    matches = assign(targets[:1], [YOLO], [(6, 8)], SIZE, 1.0)[0]
    near = near_misses(torch.zeros(*SHAPE, 8), targets, YOLO, STRIDE, 0.5)

    found = with_near_misses(matches, near, 0.5, targets, SHAPE)

    cells = dict(zip(found.flat(SHAPE).tolist(), found.box[:, 0].tolist(), strict=True))
    assert len(cells) == len(found.image)  # no cell answers twice
    own = ((0 * 2 + 1) * 6 + 2) * 8 + 3
    assert cells[own] == pytest.approx(3.5)
    assert cells[own + 1] == pytest.approx(3.5 + 0.02 * 8)


def test_without_objects_nothing_is_near() -> None:
    assert len(near_misses(torch.zeros(*SHAPE, 8), torch.zeros(0, 6), YOLO, STRIDE, 0.5).cell) == 0
