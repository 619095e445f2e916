"""Heads side by side: which belong together, and what a teacher says in the student's words."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from yoloslim.boxes.decode import decode
from yoloslim.compress.distillation.heads import HeadPair, as_students, pair_heads, plain_map
from yoloslim.compress.distillation.scene import near_objects
from yoloslim.errors import RecipeError
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.graph import Graph
from yoloslim.graph.ops import Yolo
from yoloslim.losses.decode import every_box
from yoloslim.zoo.catalog import find

ANCHORS = ((10.0, 14.0), (23.0, 27.0), (37.0, 58.0), (81.0, 82.0))
OTHERS = ((80.0, 80.0), (24.0, 26.0), (10.0, 15.0))
OWN = Yolo((1, 3), ANCHORS, 2)
OTHER = Yolo((0, 1, 2), OTHERS, 2)
STRIDE = (16.0, 16.0)


def pair(own: Yolo, other: Yolo, anchors: tuple[int, ...]) -> HeadPair:
    return HeadPair(0, 0, anchors, own, other, STRIDE)


def head_map(yolo: Yolo) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(2, len(yolo.mask), 3, 4, yolo.values, generator=generator)
    return raw.sigmoid() if yolo.new_coords else raw


def test_heads_pair_by_stride_and_those_left_are_named() -> None:
    student, teacher = find("yolov3-tiny", size=(64, 64)), find("yolov3", size=(64, 64))

    pairs, note = pair_heads(student, teacher)

    assert [(found.student, found.teacher, found.stride[0]) for found in pairs] == [(0, 0, 32), (1, 1, 16)]
    assert note == "heads without a partner are not distilled: the teacher's at stride 8"


def test_a_head_that_the_teacher_lacks_is_left_out() -> None:
    pairs, note = pair_heads(find("yolov3", size=(64, 64)), find("yolov3-tiny", size=(64, 64)))

    assert [found.student for found in pairs] == [0, 1]
    assert "the student's at stride 8" in note


def test_heads_that_are_all_paired_give_no_note() -> None:
    assert pair_heads(find("yolov3-tiny", size=(64, 64)), find("yolov4-tiny", size=(64, 64)))[1] == ""


def test_networks_without_a_common_stride_are_refused() -> None:
    with pytest.raises(RecipeError, match="have strides 4, the student's 8; choose one with a stride in common"):
        pair_heads(one_head(halvings=3), one_head(halvings=2))


def one_head(halvings: int) -> Graph:
    conv = "[convolutional]\nfilters={}\nsize=3\nstride={}\npad=1\nactivation=linear\n"
    body = conv.format(4, 2) * halvings + conv.format(6, 1)
    return parse_cfg(f"[net]\nwidth=32\nheight=32\n{body}[yolo]\nmask=0\nanchors=10,10\nclasses=1\n")


def test_anchors_pair_by_overlap() -> None:
    student = find("yolov3-tiny", anchors=[(10, 14), (23, 27), (37, 58), (81, 82), (135, 169), (344, 319)])
    teacher = find("yolov3-tiny", anchors=[(9, 15), (22, 28), (40, 50), (330, 330), (80, 80), (140, 160)])

    coarse, fine = pair_heads(student, teacher)[0]

    assert coarse.anchors == (1, 2, 0)
    assert fine.anchors == (0, 1, 1)  # (81, 82) is nearer to (40, 50) than to (330, 330)


def test_the_same_head_says_the_very_same() -> None:
    raw = head_map(OWN)

    assert torch.equal(as_students(plain_map(raw, OWN), pair(OWN, OWN, (0, 1)), STRIDE), raw)


@pytest.mark.parametrize(
    "other",
    [
        OTHER,
        replace(OTHER, new_coords=True, scale_x_y=2.0),
        replace(OTHER, scale_x_y=1.2),
        replace(OTHER, gaussian=True),
        replace(OTHER, region=True, anchors=tuple((w / 16, h / 16) for w, h in OTHERS), class_score="softmax"),
    ],
    ids=["anchors", "new_coords", "scale_x_y", "gaussian", "region"],
)
@pytest.mark.parametrize("own", [replace(OWN, scale_x_y=2.0), replace(OWN, new_coords=True, scale_x_y=2.0)])
def test_a_teacher_in_the_students_words_has_the_same_boxes(own: Yolo, other: Yolo) -> None:
    plain = plain_map(head_map(other), other)
    chosen = (1, 0)

    said = as_students(plain, pair(own, other, chosen), STRIDE)

    theirs = every_box(plain, replace(other, gaussian=False), STRIDE)[:, list(chosen)]
    torch.testing.assert_close(every_box(said, own, STRIDE), theirs, rtol=1e-4, atol=1e-4)
    assert torch.equal(said[..., 4:], plain[:, list(chosen), ..., 4:])


@pytest.mark.parametrize("yolo", [OWN, replace(OWN, new_coords=True), replace(OWN, class_score="softmax")])
def test_scores_of_a_plain_map_are_those_of_the_detections(yolo: Yolo) -> None:
    raw = head_map(yolo)

    plain = plain_map(raw, yolo)[0]

    scores = (plain[..., 4:5].sigmoid() * plain[..., 5:].sigmoid()).flatten().numpy()
    found = decode(raw[0].numpy(), yolo, (64, 48), conf=0.0).scores
    np.testing.assert_allclose(np.sort(scores), np.sort(found), rtol=1e-4)


def test_values_beyond_all_bounds_become_finite() -> None:
    raw = torch.full((1, 2, 1, 1, 7), 65504.0, dtype=torch.float16) * torch.tensor([1, -1, 2, -2, 2, -2, 1.0]).half()

    assert plain_map(raw, OWN).isfinite().all()


def test_cells_near_objects_are_those_whose_anchors_overlap_them() -> None:
    targets = torch.tensor([[1, 0, 0.3, 0.55, 0.4, 0.6], [1, 0, 0.9, 0.9, 0.1, 0.1]])

    near = near_objects(targets, OWN, STRIDE, (2, 4, 4))

    expected = np.zeros((4, 4), bool)
    for _, _, *box in targets.tolist():
        overlaps = np.array(
            [[[iou(box, column, row, ANCHORS[i]) for column in range(4)] for row in range(4)] for i in OWN.mask]
        )
        expected |= (overlaps > 0.5 * overlaps.max()).any(0)
    assert not near[0].any()
    assert near[1].bool().tolist() == expected.tolist()
    assert 1 < expected.sum() < 16


def test_crowded_pictures_are_looked_at_in_parts() -> None:
    targets = torch.rand(150, 6, generator=torch.Generator().manual_seed(0)) * 0.3 + 0.1
    targets[:, 0] = torch.arange(150) % 3

    whole = near_objects(targets, OWN, STRIDE, (3, 8, 8))

    alone = [near_objects(target[None], OWN, STRIDE, (3, 8, 8)) for target in targets]
    assert torch.equal(whole, torch.stack(alone).amax(0))


def iou(box: list[float], column: int, row: int, anchor: tuple[float, float]) -> float:
    """Of a box, shares of a 64-pixel picture, with an anchor on the centre of a cell of 16 pixels."""
    x, y, width, height = (64 * value for value in box)
    across = min(x + width / 2, 16 * column + 8 + anchor[0] / 2) - max(x - width / 2, 16 * column + 8 - anchor[0] / 2)
    down = min(y + height / 2, 16 * row + 8 + anchor[1] / 2) - max(y - height / 2, 16 * row + 8 - anchor[1] / 2)
    shared = max(across, 0) * max(down, 0)
    return shared / (width * height + anchor[0] * anchor[1] - shared)
