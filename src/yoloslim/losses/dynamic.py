"""Who answers for an object, by what the network already finds: as many cells as find it well."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from yoloslim.graph.ops import Yolo
from yoloslim.losses.assign import Matches
from yoloslim.losses.decode import anchors_in_cells, boxes_at, logits_of
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
    starts = [0, *itertools.accumulate(head_map.shape[:4].numel() for head_map in head_maps)]
    with torch.no_grad():
        heads = [_candidates(*pair, targets, size) for pair in zip(head_maps, yolos, strict=True)]
        place = torch.cat([part[0] + start for part, start in zip(heads, starts, strict=False)], 1)  # (M, candidates)
        overlap, alignment = (torch.cat([part[index] for part in heads], 1) for index in (1, 2))
        target, candidate = _best_aligned(overlap, alignment)
        place = place[target, candidate]
        kept = _winners(place, alignment[target, candidate], starts[-1])
        target, place = target[kept], place[kept]
    return [_matches(*part, target, place, targets) for part in zip(head_maps, itertools.pairwise(starts), strict=True)]


def _candidates(head_map: Tensor, yolo: Yolo, targets: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Place in the head, overlap and alignment of each candidate of one head, shapes (M, 4 * anchors).

    Places count the boxes of a head laid out (B, h, w, anchors). The alignment of a candidate beyond the border is -1.
    """
    _, anchors, rows, columns = head_map.shape[:4]
    grid = targets.new_tensor([columns, rows])
    objects = targets[:, 2:] * torch.cat([grid, grid])  # (M, 4), cells
    near = (objects[:, None, :2] - 0.5).floor() + targets.new_tensor(_SQUARE)  # (M, 4, 2)
    outside = ((near < 0) | (near >= grid)).any(2, keepdim=True)  # (M, 4, 1)
    near = torch.minimum(near.clamp(min=0), grid - 1)
    image, class_id = targets[:, :2].long().unsqueeze(-1).unbind(1)  # (M, 1)
    column, row = near.long().unbind(2)
    cell = (image * rows + row) * columns + column  # (M, 4)
    place = cell[..., None] * anchors + torch.arange(anchors, device=cell.device)  # (M, 4, anchors)
    values = head_map.permute(0, 2, 3, 1, 4).reshape(-1, head_map.shape[4])
    found = values[:, : yolo.objectness + 1].index_select(0, place.flatten())
    found = found.T.contiguous().T.view(*place.shape, found.shape[1])  # values of a kind side by side in memory
    sides = anchors_in_cells(head_map, yolo, (size[0] / columns, size[1] / rows))
    boxes = boxes_at(found[..., yolo.box], near[:, :, None], sides, yolo)
    overlap = paired_iou(boxes, objects[:, None, None]).masked_fill(outside, 0)
    score = logits_of(found[..., yolo.objectness], yolo).sigmoid() * _class_scores(values, place, class_id, yolo)
    alignment = (score * overlap.pow(_OVERLAP_POWER)).masked_fill(outside, -1)
    return place.flatten(1), overlap.flatten(1), alignment.flatten(1)


def _class_scores(values: Tensor, place: Tensor, class_id: Tensor, yolo: Yolo) -> Tensor:
    """Probability of the class of each object, shape (M, 1), at its candidates, shape (M, 4, anchors).

    Args:
        values: shape (places, values of a box).
    """
    class_id = class_id[..., None].expand(place.shape)
    first = yolo.objectness + 1
    if yolo.class_score == "logistic":
        return logits_of(values.take(place * values.shape[1] + first + class_id), yolo).sigmoid()
    shares = values[:, first:].index_select(0, place.flatten()).softmax(1)
    return shares.gather(1, class_id.reshape(-1, 1)).view(place.shape)


def _best_aligned(overlap: Tensor, alignment: Tensor) -> tuple[Tensor, Tensor]:
    """Index of object and candidate of the first k candidates of each object."""
    most = min(_MOST, overlap.shape[1])
    count = overlap.topk(most, dim=1, sorted=False).values.sum(1).long().clamp(min=1)  # (M,)
    best = alignment.topk(most, dim=1)
    is_taken = (torch.arange(most, device=count.device) < count[:, None]) & (best.values >= 0)
    target, rank = is_taken.nonzero(as_tuple=True)
    return target, best.indices[target, rank]


def _winners(place: Tensor, alignment: Tensor, places: int) -> Tensor:
    """Indices of the best aligned claim to each place; of equal ones the first."""
    best = alignment.new_zeros(places).scatter_reduce_(0, place, alignment, "amax")
    claim = (alignment == best[place]).nonzero()[:, 0]
    first = torch.full((places,), len(place), device=place.device).scatter_reduce_(0, place[claim], claim, "amin")
    return claim[claim == first[place[claim]]]


def _matches(head_map: Tensor, ends: tuple[int, int], target: Tensor, place: Tensor, targets: Tensor) -> Matches:
    """Gives the matches of the head whose places lie between two ends."""
    images, anchors, rows, columns = head_map.shape[:4]
    own = ((place >= ends[0]) & (place < ends[1])).nonzero()[:, 0]
    image, row, column, anchor = torch.unravel_index(place[own] - ends[0], (images, rows, columns, anchors))
    return Matches.at((image, anchor, row, column), target[own], targets, (rows, columns))
