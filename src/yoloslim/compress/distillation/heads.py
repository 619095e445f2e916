"""Heads of two networks side by side: which belong together, and what both say in the same terms.

A *plain map* of a head has the shape (B, anchors, h, w, 5 + classes) and is float32: x, y, width and height in the code
of that head, objectness as a logit, and the log-odds of each class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from yoloslim.errors import RecipeError
from yoloslim.graph.graph import Graph
from yoloslim.graph.head_anchors import Head, Pairs, heads_of
from yoloslim.graph.ops import Yolo
from yoloslim.losses.decode import anchors_in_cells, boxes_at, logits_of

LARGEST = 1e4
"""Raw values beyond it say nothing more, and their squares stay finite in float32."""

_NEAR_0 = 1e-6


@dataclass(frozen=True, slots=True)
class HeadPair:
    """A head of the student and the head of the teacher with cells of the same size.

    Attributes:
        student: index of the head map among the student's.
        teacher: likewise among the teacher's.
        anchors: for each anchor of the student's head, the index of the most similar one of the teacher's.
        own: the student's head.
        other: the teacher's head.
        stride: pixels a cell, horizontally and vertically.
    """

    student: int
    teacher: int
    anchors: tuple[int, ...]
    own: Yolo
    other: Yolo
    stride: tuple[float, float]

    @property
    def plain(self) -> Yolo:
        """The head that plain maps of the student belong to."""
        return replace(self.own, gaussian=False)


def pair_heads(student: Graph, teacher: Graph) -> tuple[tuple[HeadPair, ...], str]:
    """Gives the heads that belong together, in the student's order, and which ones are left out; empty for none.

    Args:
        student: at the size at which both run.
        teacher: at the same size.

    Raises:
        RecipeError: no head of one has cells of the size of the other's.
    """
    own, others = _numbered(student), _numbered(teacher)
    pairs = [_pair(index, head, _partner(head, index, own, others)) for index, head in own]
    found = tuple(pair for pair in pairs if pair is not None)
    if not found:
        text = f"its heads have strides {_strides(others)}, the student's {_strides(own)}"
        raise RecipeError(f"teacher {teacher.path or 'network'}: {text}; choose one with a stride in common")
    left_own = [item for item, pair in zip(own, pairs, strict=True) if pair is None]
    left_others = [item for item in others if item[0] not in {pair.teacher for pair in found}]
    parts = [(left_own, "student"), (left_others, "teacher")]
    left = [f"the {whose}'s at stride {_strides(items)}" for items, whose in parts if items]
    return found, f"heads without a partner are not distilled: {', '.join(left)}" if left else ""


def plain_map(head_map: Tensor, yolo: Yolo) -> Tensor:
    """Gives the plain map of a head map as the network gives it; uncertainties of a Gaussian head are left out."""
    values = head_map.float().clamp(-LARGEST, LARGEST)
    if not yolo.gaussian and not yolo.new_coords and yolo.class_score == "logistic":
        return values
    objectness = logits_of(values[..., yolo.objectness : yolo.objectness + 1], yolo)
    classes = values[..., yolo.objectness + 1 :]
    if yolo.class_score == "logistic":
        classes = logits_of(classes, yolo)
    else:
        classes = torch.logit(classes.softmax(-1), eps=_NEAR_0)
    return torch.cat([values[..., yolo.box], objectness, classes], -1)


def as_students(plain: Tensor, pair: HeadPair, stride: tuple[float, float]) -> Tensor:
    """Gives what the teacher says as the student's head would say it.

    Args:
        plain: of the teacher's head.
        stride: pixels a cell, horizontally and vertically.

    Returns:
        A plain map of the student's head.
    """
    chosen = plain[:, list(pair.anchors)]
    theirs = anchors_in_cells(plain, pair.other, stride)[list(pair.anchors)][:, None, None]  # (anchors, 1, 1, 2)
    ours = anchors_in_cells(plain, pair.own, stride)[:, None, None]
    if _is_same_code(pair.own, pair.other):
        sides = _rescaled(chosen[..., 2:4], theirs / ours, pair.own)
        return torch.cat([chosen[..., :2], sides, chosen[..., 4:]], -1)
    boxes = boxes_at(chosen[..., :4], torch.zeros_like(ours), theirs, pair.other)
    return torch.cat([_code(boxes, ours, pair.own), chosen[..., 4:]], -1)


def _is_same_code(own: Yolo, other: Yolo) -> bool:
    return (own.new_coords, own.scale_x_y) == (other.new_coords, other.scale_x_y)


def _rescaled(sides: Tensor, ratio: Tensor, yolo: Yolo) -> Tensor:
    """The code of the same sides for anchors that are smaller by ``ratio``; the very same where they are equal."""
    return sides * ratio.sqrt() if yolo.new_coords else sides + ratio.log()


def _code(boxes: Tensor, anchors: Tensor, yolo: Yolo) -> Tensor:
    """The raw values with which a head says these boxes, or comes as near to them as it can."""
    offset = (boxes[..., :2] + (yolo.scale_x_y - 1) / 2) / yolo.scale_x_y
    sides = (boxes[..., 2:] / anchors).clamp(min=_NEAR_0)
    if yolo.new_coords:
        return torch.cat([offset.clamp(0, 1), sides.sqrt() / 2], -1)
    return torch.cat([torch.logit(offset, eps=_NEAR_0), sides.log()], -1)


Numbered = Sequence[tuple[int, Head]]
"""Heads with their places among the head maps."""


def _numbered(graph: Graph) -> Numbered:
    """The heads in the order of the head maps."""
    place = {id(node.section): index for index, (node, _) in enumerate(graph.heads)}
    return sorted(((place[id(head.section)], head) for head in heads_of(graph)), key=lambda item: item[0])


def _partner(head: Head, index: int, own: Numbered, others: Numbered) -> tuple[int, Head] | None:
    """The teacher's head of the same stride; where both have several of it, the one at the same place among them."""
    alike = [item for item in others if item[1].stride == head.stride]
    place = [number for number, other in own if other.stride == head.stride].index(index)
    return alike[min(place, len(alike) - 1)] if alike else None


def _pair(index: int, head: Head, partner: tuple[int, Head] | None) -> HeadPair | None:
    if partner is None:
        return None
    place, other = partner
    theirs = other.yolo.used_anchors(other.stride)
    anchors = tuple(
        _most_similar(pair, number, theirs) for number, pair in enumerate(head.yolo.used_anchors(head.stride))
    )
    return HeadPair(index, place, anchors, head.yolo, other.yolo, head.stride)


def _most_similar(anchor: tuple[float, float], place: int, others: Pairs) -> int:
    """Index of the anchor with the largest overlap, both laid on one centre; among equals the one at the same place."""

    def overlap(index: int) -> tuple[float, bool]:
        width, height = others[index]
        shared = min(anchor[0], width) * min(anchor[1], height)
        return shared / (anchor[0] * anchor[1] + width * height - shared), index == place

    return max(range(len(others)), key=overlap)


def _strides(heads: Numbered) -> str:
    return ", ".join(f"{head.stride[0]:g}" for _, head in heads)
