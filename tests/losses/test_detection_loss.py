"""The detection loss: what it wants, and what it does not depend on."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from yoloslim.boxes.decode import decode
from yoloslim.graph.ops import Yolo
from yoloslim.losses.assign import assign
from yoloslim.losses.decode import matched_boxes
from yoloslim.losses.detection import detection_loss
from yoloslim.losses.settings import Assignment, LossSettings

YOLO = Yolo((0, 1), ((20.0, 30.0), (60.0, 50.0)), 3)
SIZE = (128, 96)
TARGETS = torch.tensor([[0, 1, 0.4, 0.6, 0.2, 0.3], [1, 2, 0.9, 0.1, 0.5, 0.5]])


def head_map(seed: int = 0, batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, 2, 6, 8, 8, generator=torch.Generator().manual_seed(seed))


def test_matched_boxes_are_those_that_detection_decodes() -> None:
    for yolo in (YOLO, replace(YOLO, scale_x_y=1.1), replace(YOLO, new_coords=True)):
        raw = head_map().sigmoid() if yolo.new_coords else head_map()
        matches = assign(TARGETS, [yolo], [(6, 8)], SIZE, 0.0)[0]
        found = matched_boxes(raw[matches.cells], matches, yolo, (16.0, 16.0))[0] * 16
        image, anchor, row, column = (int(index[0]) for index in matches.cells)

        every = decode(raw[image].numpy(), replace(yolo, classes=3), SIZE, 0.0)
        cell = (anchor * 6 + row) * 8 + column
        corners = every.boxes[cell * 3]

        expected = np.concatenate([(corners[:2] + corners[2:]) / 2, corners[2:] - corners[:2]])
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4)


def test_a_batch_twice_over_has_the_same_loss() -> None:
    maps = head_map()
    again = TARGETS.clone()
    again[:, 0] += 2

    once = detection_loss([maps], TARGETS, [YOLO], SIZE, LossSettings())
    twice = detection_loss([torch.cat([maps, maps])], torch.cat([TARGETS, again]), [YOLO], SIZE, LossSettings())

    torch.testing.assert_close(once.total, twice.total)
    torch.testing.assert_close(once.objectness, twice.objectness)


@pytest.mark.parametrize(
    "settings",
    [
        LossSettings(),
        LossSettings(assignment="best", ignore_threshold=0.5, truth_threshold=0.9),
        LossSettings(assignment="dynamic", class_weights=(1.0, 2.0, 3.0), objectness_gamma=2.0, class_gamma=2.0),
    ],
)
def test_pictures_without_objects_only_train_objectness(settings: LossSettings) -> None:
    maps = head_map().requires_grad_()

    terms = detection_loss([maps], torch.zeros(0, 6), [YOLO], SIZE, settings)
    terms.total.backward()

    assert terms.box.item() == terms.classes.item() == 0.0
    assert maps.grad is not None
    assert (maps.grad[..., 4] > 0).all()  # every objectness is pushed down
    assert (maps.grad[..., :4] == 0).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_head_maps_give_a_float32_loss(dtype: torch.dtype) -> None:
    terms = detection_loss([head_map().to(dtype)], TARGETS, [YOLO], SIZE, LossSettings())

    assert terms.total.dtype == torch.float32
    assert torch.isfinite(terms.total)


def test_huge_sizes_neither_overflow_nor_give_a_gradient_that_is_no_number() -> None:
    maps = head_map()
    maps[..., 2:4] = 500.0
    maps.requires_grad_()

    detection_loss([maps], TARGETS, [YOLO], SIZE, LossSettings()).total.backward()

    assert maps.grad is not None
    assert torch.isfinite(maps.grad).all()


def test_objectness_wants_the_overlap_of_the_best_of_two_objects_in_one_cell() -> None:
    maps = torch.zeros(1, 2, 6, 8, 8)
    maps[..., 4] = -20.0  # certain that nothing is there
    near = torch.tensor([[0, 0, 0.43, 0.45, 20 / 128, 30 / 96], [0, 0, 0.44, 0.46, 100 / 128, 10 / 96]])

    alone = detection_loss([maps], near[:1], [YOLO], SIZE, LossSettings()).objectness
    both = detection_loss([maps], near, [YOLO], SIZE, LossSettings(anchor_threshold=0.05)).objectness

    assert both >= alone  # the better object's overlap stays wanted


def objectness_at_rest(settings: LossSettings, progress: float) -> float:
    """The objectness that the one cell which answers is trained towards."""
    target = torch.tensor([[0, 0, 0.53, 0.53, 40 / 128, 40 / 96]])
    maps = torch.zeros(1, 2, 6, 8, 8, requires_grad=True)
    detection_loss([maps], target, [YOLO], SIZE, settings, progress=progress).objectness.backward()
    assert maps.grad is not None
    gradient = maps.grad[..., 4] / settings.objectness  # sigmoid(0) - wanted
    return float(0.5 - gradient.min())  # of the one that answers


def test_objectness_is_trained_towards_the_overlap_as_far_as_the_ratio_says() -> None:
    half = LossSettings(assignment="best", iou="iou", objectness_ratio=0.5)
    rising = replace(half, objectness_ratio=1.0, ratio_ramp=0.5)

    overlap = objectness_at_rest(replace(half, objectness_ratio=1.0), 1.0)

    assert 0.2 < overlap < 0.6
    assert objectness_at_rest(replace(half, objectness_ratio=0.0), 1.0) == pytest.approx(1.0, abs=1e-5)
    assert objectness_at_rest(half, 1.0) == pytest.approx((1 + overlap) / 2, abs=1e-5)
    assert objectness_at_rest(rising, 0.0) == pytest.approx(1.0, abs=1e-5)
    assert objectness_at_rest(rising, 0.25) == pytest.approx((1 + overlap) / 2, abs=1e-5)
    assert objectness_at_rest(rising, 0.5) == pytest.approx(overlap, abs=1e-5)


@pytest.mark.parametrize("yolo", [YOLO, replace(YOLO, class_score="softmax")])
def test_objects_count_by_the_weight_of_their_class(yolo: Yolo) -> None:
    first = TARGETS[:1]  # of class 1
    plain, weighted = (
        detection_loss([head_map()], first, [yolo], SIZE, LossSettings(class_weights=weights))
        for weights in ((), (1.0, 3.0, 7.0))
    )

    torch.testing.assert_close(weighted.classes, 3 * plain.classes)
    torch.testing.assert_close(weighted.box, plain.box)


def test_smoothed_labels_are_met_short_of_certainty() -> None:
    maps = torch.zeros(2, 2, 6, 8, 8)
    maps[..., 5:] = torch.tensor(0.1 / 2).logit()
    certain = detection_loss([maps], TARGETS[:1], [YOLO], SIZE, LossSettings(label_smoothing=0.1)).classes
    maps[..., 6] = torch.tensor(1 - 0.1 / 2).logit()
    maps.requires_grad_()

    smoothed = detection_loss([maps], TARGETS[:1], [YOLO], SIZE, LossSettings(label_smoothing=0.1)).classes
    smoothed.backward()

    assert smoothed < certain
    assert maps.grad is not None
    assert maps.grad[..., 5:].abs().max() < 1e-6  # what is wanted, 0.95 and 0.05, is there


def test_focal_losses_turn_to_what_is_answered_badly() -> None:
    maps = head_map()
    plain, focal = (
        detection_loss([maps], TARGETS, [YOLO], SIZE, settings)
        for settings in (LossSettings(), LossSettings(objectness_gamma=2.0, class_gamma=2.0))
    )

    assert 0 < focal.objectness < plain.objectness
    assert 0 < focal.classes < plain.classes


@pytest.mark.parametrize("assignment", ["threshold", "best", "dynamic"])
def test_descending_the_loss_finds_the_objects(assignment: Assignment) -> None:
    settings = LossSettings(assignment=assignment)
    maps = torch.zeros(2, 2, 6, 8, 8, requires_grad=True)
    optimizer = torch.optim.Adam([maps], lr=0.1)
    for _ in range(150):
        optimizer.zero_grad()
        detection_loss([maps], TARGETS, [YOLO], SIZE, settings).total.backward()
        optimizer.step()

    found = decode(maps[0].detach().numpy(), YOLO, SIZE, 0.4)

    assert set(found.class_ids.tolist()) == {1}
    box = found.boxes[found.scores.argmax()] / np.array([128, 96, 128, 96])
    np.testing.assert_allclose(box, [0.3, 0.45, 0.5, 0.75], atol=0.02)
