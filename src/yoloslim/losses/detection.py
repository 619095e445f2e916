"""The loss of a YOLO detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from yoloslim.graph.ops import Yolo
from yoloslim.losses.assign import Matches, assign
from yoloslim.losses.decode import logits_of, matched_boxes
from yoloslim.losses.iou import IouKind, paired_iou
from yoloslim.losses.uncertainty import surprise
from yoloslim.losses.unlabelled import judged_cells


@dataclass(frozen=True, slots=True)
class LossSettings:
    """Weights and choices of the detection loss.

    Attributes:
        box: weight of the box term, a mean over matches.
        objectness: weight of the objectness term, a sum over the cells of one picture.
        classes: weight of the class term, a sum over classes, mean over matches.
        iou: box loss.
        anchor_threshold: an anchor answers for an object when their shapes overlap by more, 0..1.
        label_smoothing: class targets are ``1 - s / 2`` and ``s / 2``.
        unjudged: where a picture's labels leave a class out, a cell that sees an object of it with a higher score is
            not told that it is wrong, 0..1.
    """

    box: float = 3.5
    objectness: float = 0.05
    classes: float = 2.0
    iou: IouKind = "ciou"
    anchor_threshold: float = 0.213
    label_smoothing: float = 0.0
    unjudged: float = 0.02


@dataclass(frozen=True, slots=True)
class LossTerms:
    """The weighted terms of one batch, scalars."""

    box: Tensor
    objectness: Tensor
    classes: Tensor

    @property
    def total(self) -> Tensor:
        """Their sum."""
        return self.box + self.objectness + self.classes


def detection_loss(
    head_maps: Sequence[Tensor],
    targets: Tensor,
    yolos: Sequence[Yolo],
    size: tuple[int, int],
    settings: LossSettings,
    *,
    unlabelled: Tensor | None = None,
) -> LossTerms:
    """Gives the loss of a batch, computed in float32; it depends on neither the batch nor the picture size.

    Objectness is trained towards the overlap of the predicted box with its object, which ranks boxes by how well they
    fit (Redmon & Farhadi, 2018, use 1). Background is trained towards 0, but for what `judged_cells` leaves out. Of a
    Gaussian head the box term holds the ``surprise`` at its boxes too.

    Args:
        head_maps: one a head, shape (B, anchors, h, w, values of a box), raw.
        targets: shape (M, 6): picture in the batch, class, centre x, centre y, width, height as shares of the input.
        yolos: the heads.
        size: width and height of the input, pixels.
        unlabelled: shape (B, classes), bool: classes that nobody looked for in a picture; None where there are none.
    """
    with torch.autocast(head_maps[0].device.type, enabled=False):
        maps = [head_map.float() for head_map in head_maps]
        grids = [(m.shape[2], m.shape[3]) for m in maps]
        matches = assign(targets.float(), yolos, grids, size, settings.anchor_threshold)
        parts = [
            _head_terms(m, found, yolo, size, settings, unlabelled)
            for m, found, yolo in zip(maps, matches, yolos, strict=True)
        ]
        count = sum(len(found.image) for found in matches)
        box, objectness, classes = (torch.stack(terms).sum() for terms in zip(*parts, strict=True))
        share = 1 / max(count, 1)
        return LossTerms(
            settings.box * box * share,
            settings.objectness * objectness / len(maps[0]),
            settings.classes * classes * share,
        )


def _head_terms(
    head_map: Tensor,
    matches: Matches,
    yolo: Yolo,
    size: tuple[int, int],
    settings: LossSettings,
    unlabelled: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Sums over one head: box loss and class loss of its matches, objectness loss of its cells."""
    stride = (size[0] / head_map.shape[3], size[1] / head_map.shape[2])
    raw = head_map[matches.cells]  # (P, values of a box)
    boxes = matched_boxes(raw, matches, yolo, stride)
    fit = paired_iou(boxes, matches.box, settings.iou)
    misfit = (1 - fit).sum() + surprise(raw, boxes, matches, yolo).sum()
    cells = head_map.shape[:4]
    quality = fit.detach().clamp(min=0)
    wanted = head_map.new_zeros(cells.numel()).scatter_reduce(0, _flat(matches, cells), quality, "amax").view(cells)
    weights = None
    if unlabelled is not None:
        weights = judged_cells(head_map, matches, unlabelled, yolo, settings.unjudged).to(head_map.dtype)
    found = logits_of(head_map[..., yolo.objectness], yolo)
    objectness = F.binary_cross_entropy_with_logits(found, wanted, weights, reduction="sum")
    classes = _class_term(raw[:, yolo.objectness + 1 :], matches, yolo, settings.label_smoothing)
    return misfit, objectness, classes


def _class_term(raw: Tensor, matches: Matches, yolo: Yolo, smooth: float) -> Tensor:
    """Sum over the matches, from class values of shape (P, classes)."""
    if yolo.class_score != "logistic":  # a tree is trained as the softmax over all its classes
        return F.cross_entropy(raw, matches.class_id, reduction="sum", label_smoothing=smooth)
    labels = F.one_hot(matches.class_id, yolo.classes).to(raw.dtype) * (1 - smooth) + smooth / 2
    return F.binary_cross_entropy_with_logits(logits_of(raw, yolo), labels, reduction="sum")


def _flat(matches: Matches, shape: torch.Size) -> Tensor:
    """Index of the matches into all cells of a head, laid out (B, anchors, h, w)."""
    image, anchor, row, column = matches.cells
    return ((image * shape[1] + anchor) * shape[2] + row) * shape[3] + column
