"""Which cells answer for which objects."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from yoloslim.graph.ops import Yolo
from yoloslim.losses.assign import assign

ANCHORS = ((10.0, 14.0), (23.0, 27.0), (37.0, 58.0), (81.0, 82.0), (135.0, 169.0), (344.0, 319.0))
YOLOS = (Yolo((3, 4, 5), ANCHORS, 3), Yolo((1, 2, 3), ANCHORS, 3))
GRIDS = ((13, 13), (26, 26))
SIZE = (416, 416)

TARGET = st.tuples(st.integers(0, 3), st.integers(0, 2), *[st.floats(0, 1)] * 2, *[st.floats(0.01, 1)] * 2)


def best_anchor(width: float, height: float) -> float:
    overlaps = []
    for yolo in YOLOS:
        for w, h in yolo.used_anchors((1, 1)):
            shared = min(w, width) * min(h, height)
            overlaps.append(shared / (w * h + width * height - shared))
    return max(overlaps)


@given(st.lists(TARGET, min_size=1, max_size=12))
def test_matches_are_those_of_a_loop_over_objects(rows: list[tuple[float, ...]]) -> None:
    targets = torch.tensor(rows, dtype=torch.float64)
    expected = set()
    for image, class_id, cx, cy, w, h in targets.tolist():
        best = best_anchor(w * 416, h * 416)
        for head, (yolo, (grid_rows, columns)) in enumerate(zip(YOLOS, GRIDS, strict=True)):
            for anchor, (aw, ah) in enumerate(yolo.used_anchors((1, 1))):
                shared = min(aw, w * 416) * min(ah, h * 416)
                overlap = shared / (aw * ah + w * h * 416 * 416 - shared)
                if overlap > 0.213 or abs(overlap - best) < 1e-12:
                    cell = min(int(cy * grid_rows), grid_rows - 1), min(int(cx * columns), columns - 1)
                    expected.add((head, int(image), anchor, *cell, int(class_id)))

    found = set()
    for head, matches in enumerate(assign(targets, YOLOS, GRIDS, SIZE, 0.213)):
        found |= {(head, *row) for row in zip(*[t.tolist() for t in (*matches.cells, matches.class_id)], strict=True)}

    assert found == expected


def test_an_object_that_no_anchor_resembles_still_has_its_best_one() -> None:
    sliver = torch.tensor([[0, 1, 0.5, 0.5, 0.9, 0.005]])

    matches = assign(sliver, YOLOS, GRIDS, SIZE, 0.213)

    assert sum(len(found.image) for found in matches) >= 1


def test_boxes_are_in_cells_of_their_head() -> None:
    target = torch.tensor([[2, 0, 0.5, 0.25, 81 / 416, 82 / 416]])

    coarse, fine = assign(target, YOLOS, GRIDS, SIZE, 0.5)

    assert coarse.box[0].tolist() == [6.5, 3.25, 81 / 32, 82 / 32]
    assert fine.box[0].tolist() == [13.0, 6.5, 81 / 16, 82 / 16]
    assert fine.cells == (torch.tensor(2), torch.tensor(2), torch.tensor(6), torch.tensor(13))


def test_no_objects_give_no_matches() -> None:
    for matches in assign(torch.zeros(0, 6), YOLOS, GRIDS, SIZE, 0.213):
        assert len(matches.image) == 0
        assert matches.box.shape == (0, 4)
