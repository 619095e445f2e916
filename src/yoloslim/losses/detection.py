"""The loss of a YOLO detector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from yoloslim.graph.ops import Yolo
from yoloslim.losses.assign import Matches, assign
from yoloslim.losses.decode import logits_of, matched_boxes
from yoloslim.losses.dynamic import assign_dynamically
from yoloslim.losses.focal import Focus, binary_loss, categorical_loss
from yoloslim.losses.iou import IouKind, paired_iou
from yoloslim.losses.near_misses import ignored_cells, near_misses, with_near_misses
from yoloslim.losses.pick import Picked, pick
from yoloslim.losses.settings import LossSettings
from yoloslim.losses.uncertainty import surprise
from yoloslim.losses.unlabelled import judged_cells


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
    progress: float = 1.0,
) -> LossTerms:
    """Gives the loss of a batch, computed in float32; it depends on neither the batch nor the picture size.

    Objectness is trained towards the overlap of the predicted box with its object, which ranks boxes by how well they
    fit, or towards 1 (Redmon & Farhadi, 2018), as ``objectness_ratio`` says. Background is trained towards 0, but for
    near misses and what `judged_cells` leaves out. Of a Gaussian head the box term holds the ``surprise`` at its boxes
    too.

    Args:
        head_maps: one a head, shape (B, anchors, h, w, values of a box), raw.
        targets: shape (M, 6): picture in the batch, class, centre x, centre y, width, height as shares of the input.
        yolos: the heads.
        size: width and height of the input, pixels.
        settings: with class weights in numbers.
        unlabelled: shape (B, classes), bool: classes that nobody looked for in a picture; None where there are none.
        progress: share of the training that is done, 0..1.
    """
    with torch.autocast(head_maps[0].device.type, enabled=False):
        maps = [head_map.float() for head_map in head_maps]
        heads = _assigned(maps, targets.float(), yolos, size, settings)
        picked = [pick(m, head.matches, head.yolo.objectness) for m, head in zip(maps, heads, strict=True)]
        misfit, fits = _box_term([part.geometry for part in picked], heads, settings.iou)
        ratio = settings.ratio_at(progress)
        objectness, classes = [], []
        for head_map, head, part, fit in zip(maps, heads, picked, fits, strict=True):
            counted = _counted(head_map, head, settings, unlabelled)
            objectness.append(_objectness_term(part, head.yolo, 1 - ratio + ratio * fit, settings, counted))
            classes.append(_class_term(part.classes, head, settings))
        share = 1 / max(sum(map(len, fits)), 1)
        return LossTerms(
            settings.box * misfit * share,
            settings.objectness * torch.stack(objectness).sum() / len(maps[0]),
            settings.classes * torch.stack(classes).sum() * share,
        )


class _Head(NamedTuple):
    """Who answers for what in one head.

    Attributes:
        stride: pixels a cell, horizontally and vertically.
        ignored: shape (B, anchors, h, w), background that is not told that nothing is there; None where all is.
    """

    yolo: Yolo
    stride: tuple[float, float]
    matches: Matches
    ignored: Tensor | None


def _assigned(
    maps: Sequence[Tensor], targets: Tensor, yolos: Sequence[Yolo], size: tuple[int, int], settings: LossSettings
) -> list[_Head]:
    grids = [(head_map.shape[2], head_map.shape[3]) for head_map in maps]
    match settings.assignment:
        case "threshold":
            found = assign(targets, yolos, grids, size, settings.anchor_threshold)
        case "best":
            found = assign(targets, yolos, grids, size, 1.0)
        case "dynamic":
            found = assign_dynamically(maps, targets, yolos, size)
    strides = [(size[0] / columns, size[1] / rows) for rows, columns in grids]
    heads = [_Head(*parts, None) for parts in zip(yolos, strides, found, strict=True)]
    if min(settings.ignore_threshold, settings.truth_threshold) == 1:
        return heads
    return [_with_near_misses(*pair, targets, settings) for pair in zip(heads, maps, strict=True)]


def _with_near_misses(head: _Head, head_map: Tensor, targets: Tensor, settings: LossSettings) -> _Head:
    ignore, truth = settings.ignore_threshold, settings.truth_threshold
    near = near_misses(head_map, targets, head.yolo, head.stride, min(ignore, truth))
    shape = head_map.shape[:4]
    matches = with_near_misses(head.matches, near, truth, targets, shape)
    return head._replace(matches=matches, ignored=ignored_cells(near, ignore, matches, shape))


def _box_term(raws: Sequence[Tensor], heads: Sequence[_Head], kind: IouKind) -> tuple[Tensor, Sequence[Tensor]]:
    """Sum over the matches of all heads, and how well each fits, shape (P,) for each head, 0..1, without gradient."""
    boxes = [matched_boxes(raw, head.matches, head.yolo, head.stride) for raw, head in zip(raws, heads, strict=True)]
    fit = paired_iou(torch.cat(boxes), torch.cat([head.matches.box for head in heads]), kind)
    misfit = (1 - fit).sum()
    for raw, found, head in zip(raws, boxes, heads, strict=True):
        if head.yolo.gaussian:
            misfit = misfit + surprise(raw, found, head.matches, head.yolo).sum()
    return misfit, torch.split(fit.detach().clamp(min=0), [len(found) for found in boxes])


def _counted(head_map: Tensor, head: _Head, settings: LossSettings, unlabelled: Tensor | None) -> Tensor | None:
    """The cells whose objectness counts, bool, shape (B, anchors, h, w); None for all."""
    if unlabelled is not None:
        judged = judged_cells(head_map, head.matches, unlabelled, head.yolo, settings.unjudged)
        return judged if head.ignored is None else judged & ~head.ignored
    return None if head.ignored is None else ~head.ignored


def _objectness_term(
    picked: Picked, yolo: Yolo, quality: Tensor, settings: LossSettings, counted: Tensor | None
) -> Tensor:
    """Sum over the cells of a head.

    Args:
        quality: what each match is trained towards, shape (P,).
        counted: cells that count, bool, shape (B, anchors, h, w); None for all.
    """
    found, focus = picked.objectness, Focus(settings.objectness_gamma, settings.focal_alpha)
    wanted = torch.zeros_like(found).view(-1).scatter_reduce(0, picked.cell, quality, "amax").view(found.shape)
    loss = binary_loss(logits_of(found, yolo), wanted, focus)
    return loss.sum() if counted is None else (loss * counted.permute(0, 2, 3, 1)).sum()


def _class_term(values: Tensor, head: _Head, settings: LossSettings) -> Tensor:
    """Sum over the matches of a head, from its class values there, shape (P, classes)."""
    yolo, class_id = head.yolo, head.matches.class_id
    smooth, focus = settings.label_smoothing, Focus(settings.class_gamma, settings.focal_alpha)
    if yolo.class_score == "logistic":
        labels = torch.full_like(values, smooth / 2).scatter_(1, class_id[:, None], 1 - smooth / 2)
        losses = binary_loss(logits_of(values, yolo), labels, focus)
    else:  # a tree is trained as the softmax over all its classes
        losses = categorical_loss(values, class_id, smooth, focus)[:, None]
    if not settings.class_weights:
        return losses.sum()
    return losses.sum(1) @ values.new_tensor(settings.class_weights)[class_id]
