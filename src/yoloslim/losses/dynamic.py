"""Who answers for an object, by what the network already finds: as many cells as find it well."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from yoloslim.graph.ops import Yolo
from yoloslim.losses.assign import Matches
from yoloslim.losses.decode import every_box, logits_of
from yoloslim.losses.iou import paired_iou

_MOST = 10  # cells that may answer for one object, as in YOLOX
_OVERLAP_POWER = 3  # YOLOX weighs -log(IoU) three times as much as the class
_SQUARE = ((0, 0), (1, 0), (0, 1), (1, 1))


def assign_dynamically(
    head_maps: Sequence[Tensor], targets: Tensor, yolos: Sequence[Yolo], size: tuple[int, int]
) -> list[Matches]:
    """Gives each head's matches: for every object the cells that are aligned best with it.

    Candidates are all anchors of all heads in the four cells around the object's centre, its own among them. They are
    ranked by score times a power of the overlap of their box (the alignment of Feng et al., TOOD, 2021, with the powers
    that SimOTA's cost has in Ge et al., YOLOX, 2021), and the first k are taken, k being the sum of the ten largest
    overlaps, 1 at least (SimOTA). A cell that two objects want goes to the one that it is aligned with better, so an
    object in a crowd may have none.

    Args:
        head_maps: one a head, shape (B, anchors, h, w, values of a box), raw.
        targets: shape (M, 6): picture in the batch, class, centre x, centre y, width, height as shares of the input.
        yolos: the heads.
        size: width and height of the input, pixels.
    """
    shapes = [head_map.shape[:4] for head_map in head_maps]
    with torch.no_grad():
        heads = [_candidates(*pair, targets, size) for pair in zip(head_maps, yolos, strict=True)]
        cell, overlap, alignment = (torch.cat(parts, 1) for parts in zip(*heads, strict=True))  # (M, candidates)
        target, candidate = _best_aligned(overlap, alignment)
        head = torch.repeat_interleave(torch.tensor([part[0].shape[1] for part in heads], device=cell.device))
        of_head, of_cell, good = head[candidate], cell[target, candidate], alignment[target, candidate]
        kept = [_winners(of_cell, good, of_head == index) for index in range(len(shapes))]
    return [Matches.at(of_cell[part], target[part], targets, shape) for part, shape in zip(kept, shapes, strict=True)]


def _candidates(head_map: Tensor, yolo: Yolo, targets: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Cell in the head, overlap and alignment of each candidate of one head, shapes (M, anchors * 4).

    The alignment of a candidate beyond the border is -1.
    """
    _, anchors, rows, columns = head_map.shape[:4]
    grid = targets.new_tensor([columns, rows])
    objects = targets[:, 2:] * torch.cat([grid, grid])  # (M, 4), cells
    near = (objects[:, None, :2] - 0.5).floor() + targets.new_tensor(_SQUARE)  # (M, 4, 2)
    outside = ((near < 0) | (near >= grid)).any(2)
    column, row = torch.minimum(near.clamp(min=0), grid - 1).long()[:, None].unbind(-1)  # (M, 1, 4)
    image, class_id = (targets[:, part].long()[:, None, None] for part in (0, 1))
    anchor = torch.arange(anchors, device=targets.device)[:, None]
    cell = ((image * anchors + anchor) * rows + row) * columns + column  # (M, anchors, 4)
    boxes = every_box(head_map, yolo, (size[0] / columns, size[1] / rows)).view(-1, 4)[cell.flatten()]
    wanted = objects.repeat_interleave(anchors * len(_SQUARE), 0)
    overlap = paired_iou(boxes, wanted).view(cell.shape).masked_fill(outside[:, None], 0)
    scores = _scores(head_map, cell, (image, anchor, row, column), class_id, yolo)
    alignment = (scores * overlap.pow(_OVERLAP_POWER)).masked_fill(outside[:, None], -1)
    return cell.flatten(1), overlap.flatten(1), alignment.flatten(1)


def _scores(head_map: Tensor, cell: Tensor, index: tuple[Tensor, ...], class_id: Tensor, yolo: Yolo) -> Tensor:
    """Objectness times probability of the object's class at cells of a head map, also given as (B, anchors, h, w)."""
    objectness = logits_of(head_map[..., yolo.objectness], yolo).sigmoid().flatten()[cell]
    classes = head_map[..., yolo.objectness + 1 :]
    if yolo.class_score == "logistic":
        return objectness * logits_of(classes[(*index, class_id)], yolo).sigmoid()
    shares = classes[index].softmax(-1)
    return objectness * shares.gather(-1, class_id[..., None].expand(*shares.shape[:-1], 1))[..., 0]


def _best_aligned(overlap: Tensor, alignment: Tensor) -> tuple[Tensor, Tensor]:
    """Index of object and candidate of the first k candidates of each object."""
    most = min(_MOST, overlap.shape[1])
    count = overlap.topk(most, dim=1).values.sum(1).long().clamp(min=1)  # (M,)
    best = alignment.topk(most, dim=1)
    is_taken = (torch.arange(most, device=count.device) < count[:, None]) & (best.values >= 0)
    target, rank = is_taken.nonzero(as_tuple=True)
    return target, best.indices[target, rank]


def _winners(cell: Tensor, alignment: Tensor, considered: Tensor) -> Tensor:
    """Indices, ascending, of the best aligned one for each cell among those that are considered."""
    index = considered.nonzero()[:, 0]
    index = index[alignment[index].argsort(descending=True, stable=True)]
    index = index[cell[index].argsort(stable=True)]
    is_first = torch.ones_like(index, dtype=torch.bool)
    is_first[1:] = cell[index][1:] != cell[index][:-1]
    return index[is_first].sort().values
