"""What trains the uncertainties of a Gaussian head (Choi et al., Gaussian YOLOv3, 2019)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from yoloslim.graph.ops import Yolo
from yoloslim.losses.assign import Matches

_WIDENING = 0.3  # gaussian_yolo_layer.c, sigma_const: added to the deviation where it divides the density
_LEAST_DENSITY = 1e-9  # of an object: bounds what a hopeless box costs
_LEAST_LOGIT = -8.0  # of an uncertainty, and
_FARTHEST = 8.0  # of a box from its object: keep squares of their ratio far from overflow


def surprise(raw: Tensor, boxes: Tensor, matches: Matches, yolo: Yolo) -> Tensor:
    """Gives half the negative log-likelihood of each object under the box and uncertainties predicted for it.

    The likelihood is of four numbers, each normally distributed around its prediction: the place in the cell and the
    logarithm of the sides. It trains the uncertainties alone; boxes learn from their overlap, as in Darknet with an
    ``iou_loss``.

    Args:
        raw: shape (P, 4 or more), the head map at the matches, float32.
        boxes: shape (P, 4), the boxes that these values predict, centre x, centre y, width, height in cells.

    Returns:
        Shape (P, 4), at least about -0.15; shape (P, 0) for a head without uncertainties.
    """
    logits = raw[:, yolo.uncertainties]
    if not yolo.gaussian:
        return logits
    predicted = boxes.detach()
    sides = matches.box[:, 2:] / predicted[:, 2:].clamp(min=1e-9)
    distance = torch.cat([matches.box[:, :2] - predicted[:, :2], sides.log()], 1).clamp(-_FARTHEST, _FARTHEST)
    deviation = logits.clamp(min=_LEAST_LOGIT).sigmoid()
    density = -(distance / deviation).square() / 2 - (math.sqrt(2 * math.pi) * (deviation + _WIDENING)).log()
    return -torch.logaddexp(density, density.new_tensor(math.log(_LEAST_DENSITY))) / 2
