"""Who answers for an object is what finds it best already: as a loop over objects would choose."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from yoloslim.graph.ops import Yolo
from yoloslim.losses.assign import Matches
from yoloslim.losses.decode import every_box
from yoloslim.losses.dynamic import assign_dynamically
from yoloslim.losses.iou import paired_iou

ANCHORS = ((20.0, 30.0), (60.0, 50.0), (30.0, 20.0))
YOLOS = (Yolo((0, 1), ANCHORS, 3), Yolo((2,), ANCHORS, 3))
SIZE, GRIDS = (128, 96), ((6, 8), (12, 16))


def random_maps(yolos: tuple[Yolo, ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    maps = [
        torch.randn(2, len(yolo.mask), *grid, yolo.values, generator=generator)
        for yolo, grid in zip(yolos, GRIDS, strict=True)
    ]
    return [m.sigmoid() if yolo.new_coords else m for m, yolo in zip(maps, yolos, strict=True)]


def random_targets(count: int = 25) -> Tensor:
    targets = torch.rand(count, 6, generator=torch.Generator().manual_seed(1))
    targets[:, 0] = torch.arange(count) % 2
    targets[:, 1] = torch.arange(count) % 3
    targets[:, 4:] = targets[:, 4:] * 0.4 + 0.05
    targets[:2, 2:4] = torch.tensor([[0.0, 1.0], [1.0, 0.0]])  # centres on the border
    return targets


def looped(maps: list[Tensor], targets: Tensor, yolos: tuple[Yolo, ...]) -> set[tuple[int, ...]]:
    """(head, picture, anchor, row, column, object) of every match."""
    claims: dict[tuple[int, ...], tuple[float, int]] = {}
    for number, target in enumerate(targets):
        image, class_id = int(target[0]), int(target[1])
        candidates = []
        for head, (raw, yolo, (rows, columns)) in enumerate(zip(maps, yolos, GRIDS, strict=True)):
            boxes = every_box(raw, yolo, (SIZE[0] / columns, SIZE[1] / rows))
            wanted = target[2:] * torch.tensor([columns, rows] * 2)
            classes = raw[..., 5:]
            shares = classes.softmax(-1) if yolo.class_score == "softmax" else classes.sigmoid()
            scores = raw[..., 4].sigmoid() * shares[..., class_id]
            if yolo.new_coords:
                scores = raw[..., 4] * classes[..., class_id]
            left, top = ((wanted[:2] - 0.5).floor()).int().tolist()
            for anchor in range(len(yolo.mask)):
                for row in range(max(0, top), min(rows, top + 2)):
                    for column in range(max(0, left), min(columns, left + 2)):
                        place = (image, anchor, row, column)
                        overlap = float(paired_iou(boxes[place][None], wanted[None]))
                        candidates.append((float(scores[place]) * overlap**3, overlap, (head, *place)))
        k = max(1, int(sum(sorted((overlap for _, overlap, _ in candidates), reverse=True)[:10])))
        for alignment, _, place in sorted(candidates, reverse=True)[: min(k, 10)]:
            claims[place] = max(claims.get(place, (-1.0, -1)), (alignment, number))
    return {(*place, number) for place, (_, number) in claims.items()}


def found_by(found: list[Matches], targets: Tensor) -> set[tuple[int, ...]]:
    rows = set()
    for head, matches in enumerate(found):
        rows_, columns = GRIDS[head]
        for index in range(len(matches.image)):
            box = matches.box[index] / torch.tensor([columns, rows_] * 2)
            number = int((targets[:, 2:] - box).abs().sum(1).argmin())
            rows.add((head, *(int(part[index]) for part in matches.cells), number))
            assert int(matches.class_id[index]) == int(targets[number, 1])
    return rows


@pytest.mark.parametrize(
    "changes", [{}, {"scale_x_y": 2.0}, {"scale_x_y": 2.0, "new_coords": True}, {"class_score": "softmax"}]
)
def test_matches_are_those_of_a_loop_over_objects(changes: dict[str, object]) -> None:
    yolos = tuple(replace(yolo, **changes) for yolo in YOLOS)
    maps, targets = random_maps(yolos), random_targets()

    found = found_by(assign_dynamically(maps, targets, yolos, SIZE), targets)

    assert found == looped(maps, targets, yolos)
    assert len(found) > 10


def test_an_object_that_is_found_well_by_many_has_many_who_answer() -> None:
    maps = [torch.zeros(2, len(y.mask), *grid, y.values) for y, grid in zip(YOLOS, GRIDS, strict=True)]
    fitting = torch.tensor([[0, 0, 0.5, 0.5, 60 / 128, 50 / 96]])  # in the corner of four cells of the first head
    sliver = torch.tensor([[0, 0, 0.5, 0.5, 0.9, 0.01]])

    many, one = (assign_dynamically(maps, target, YOLOS, SIZE) for target in (fitting, sliver))

    assert many[0].anchor.tolist() == [1, 1, 1]  # of four at .57, and eight small ones at .2, which add up to 3.9
    assert sum(len(matches.image) for matches in one) == 1


def test_one_cell_answers_for_one_object() -> None:
    maps = [torch.zeros(1, len(y.mask), *grid, y.values) for y, grid in zip(YOLOS, GRIDS, strict=True)]
    crowd = torch.tensor([[0, number % 3, 0.5, 0.5, 0.4 + number / 100, 0.5] for number in range(30)])

    for matches in assign_dynamically(maps, crowd, YOLOS, SIZE):
        cells = list(zip(*(part.tolist() for part in matches.cells), strict=True))
        assert len(cells) == len(set(cells))


def test_no_objects_give_no_matches() -> None:
    for matches in assign_dynamically(random_maps(YOLOS), torch.zeros(0, 6), YOLOS, SIZE):
        assert len(matches.image) == 0
        assert matches.box.shape == (0, 4)
