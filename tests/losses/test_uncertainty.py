"""The uncertainties of a Gaussian head: what they cost, what that teaches them, and that boxes are left out of it."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from yoloslim.graph.ops import Yolo
from yoloslim.losses.assign import Matches, assign
from yoloslim.losses.decode import matched_boxes
from yoloslim.losses.detection import LossSettings, detection_loss
from yoloslim.losses.uncertainty import surprise

YOLO = Yolo((0, 1), ((20.0, 30.0), (60.0, 50.0)), 3, scale_x_y=1.1, gaussian=True)
SIZE = (128, 96)
TARGETS = torch.tensor([[0, 1, 0.4, 0.6, 0.2, 0.3], [1, 2, 0.9, 0.1, 0.5, 0.5]])


def head_map(seed: int = 0, values: int = 12) -> torch.Tensor:
    return torch.randn(2, 2, 6, 8, values, generator=torch.Generator().manual_seed(seed))


def matched(raw: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, Matches]:
    """Values, boxes and matches of a head map."""
    matches = assign(TARGETS, [YOLO], [(6, 8)], SIZE, 0.2)[0]
    values = raw[matches.cells]
    return values, matched_boxes(values, matches, YOLO, (16.0, 16.0)), matches


def darknets_surprise(target: float, mean: float, deviation: float) -> float:
    """Half of -log(N + 1e-9) with the widened density of delta_gaussian_yolo_box."""
    density = math.exp(-(((target - mean) / deviation) ** 2) / 2) / (math.sqrt(2 * math.pi) * (deviation + 0.3))
    return -math.log(density + 1e-9) / 2


def test_the_cost_is_darknets_likelihood_of_place_and_log_size() -> None:
    values, boxes, matches = matched(head_map())

    found = surprise(values, boxes, matches, YOLO)

    assert found.shape == (len(matches.image), 4)
    for i, (x, y, w, h) in enumerate(matches.box.tolist()):
        anchor = [side / 16 for side in YOLO.anchors[int(matches.anchor[i])]]
        v = values[i].tolist()
        logistic = [1 / (1 + math.exp(-value)) for value in v]
        means = [logistic[0] * 1.1 - 0.05, logistic[2] * 1.1 - 0.05, v[4], v[6]]
        place = [x - int(matches.column[i]), y - int(matches.row[i])]
        targets = [*place, math.log(w / anchor[0]), math.log(h / anchor[1])]
        expected = [darknets_surprise(t, m, logistic[k]) for t, m, k in zip(targets, means, (1, 3, 5, 7), strict=True)]
        np.testing.assert_allclose(found[i].numpy(), expected, rtol=1e-3, atol=1e-5)


def test_only_the_uncertainties_learn_from_it() -> None:
    raw = head_map().requires_grad_()
    values, boxes, matches = matched(raw)

    (gradient,) = torch.autograd.grad(surprise(values, boxes, matches, YOLO).sum(), values)

    assert (gradient[:, 1:8:2] != 0).any(0).all()
    assert (gradient[:, [0, 2, 4, 6, 8, 9, 10, 11]] == 0).all()


@pytest.mark.parametrize(("column", "distance"), [(1, 0.05), (1, 0.4)])
def test_an_uncertainty_settles_near_the_distance_that_is_seen(column: int, distance: float) -> None:
    values, _, matches = matched(head_map())
    boxes = matches.box.clone()
    boxes[:, 0] += distance
    logits = torch.zeros(len(boxes), requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.1)

    for _ in range(300):
        tried = values.clone()
        tried[:, column] = logits
        loss = surprise(tried, boxes, matches, YOLO).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    d = logits.detach().sigmoid()
    torch.testing.assert_close(d**3, distance**2 * (d + 0.3), rtol=0.05, atol=1e-4)  # where the derivative is 0


def test_hopeless_boxes_have_finite_costs_and_gradients() -> None:
    raw = torch.full((2, 2, 6, 8, 12), -500.0).requires_grad_()

    terms = detection_loss([raw], TARGETS, [YOLO], SIZE, LossSettings())
    terms.total.backward()

    assert math.isfinite(terms.total.item())
    assert raw.grad is not None
    assert raw.grad.isfinite().all()


def test_a_head_without_uncertainties_costs_nothing() -> None:
    plain = replace(YOLO, gaussian=False)
    raw = head_map(values=8)
    matches = assign(TARGETS, [plain], [(6, 8)], SIZE, 0.2)[0]
    values = raw[matches.cells]

    assert surprise(values, matched_boxes(values, matches, plain, (16.0, 16.0)), matches, plain).numel() == 0


def test_a_gaussian_head_has_the_loss_of_a_plain_one_and_the_surprise() -> None:
    raw = head_map()
    plain = raw[..., [0, 2, 4, 6, 8, 9, 10, 11]]
    values, boxes, matches = matched(raw)
    settings = LossSettings(assignment="threshold", anchor_threshold=0.2)

    ours = detection_loss([raw], TARGETS, [YOLO], SIZE, settings)
    theirs = detection_loss([plain], TARGETS, [replace(YOLO, gaussian=False)], SIZE, settings)

    more = settings.box * surprise(values, boxes, matches, YOLO).sum() / len(matches.image)
    torch.testing.assert_close(ours.box, theirs.box + more)
    torch.testing.assert_close(ours.objectness, theirs.objectness)
    torch.testing.assert_close(ours.classes, theirs.classes)
