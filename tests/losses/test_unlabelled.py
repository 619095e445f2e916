"""Where a class is not labelled, who sees it is not told that nothing is there."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from yoloslim.graph.ops import Yolo
from yoloslim.losses.detection import detection_loss
from yoloslim.losses.settings import LossSettings

YOLO = Yolo((0, 1), ((20.0, 30.0), (60.0, 50.0)), 3)
SIZE = (128, 96)
NO_TARGETS = torch.zeros(0, 6)
UNLABELLED = torch.tensor([[False, False, True], [False, False, False]])  # class 2, in the first of two pictures
SURE, DOUBTFUL = 4.0, -6.0


def seen(class_id: int, objectness: float) -> Tensor:
    """Head map of two pictures, both of which show an object of one class in every cell."""
    maps = torch.full((2, 2, 6, 8, 8), -4.0)
    maps[..., :4] = 0.0
    maps[..., 4] = objectness
    maps[..., 5 + class_id] = SURE
    return maps


def objectness_gradient(
    maps: Tensor, targets: Tensor = NO_TARGETS, unlabelled: Tensor | None = UNLABELLED, yolo: Yolo = YOLO
) -> Tensor:
    maps = maps.clone().requires_grad_()
    detection_loss([maps], targets, [yolo], SIZE, LossSettings(), unlabelled=unlabelled).total.backward()
    assert maps.grad is not None
    return maps.grad[..., 4]


@pytest.mark.parametrize("yolo", [YOLO, replace(YOLO, class_score="softmax")])
def test_an_object_of_an_unlabelled_class_is_not_punished(yolo: Yolo) -> None:
    first, second = objectness_gradient(seen(2, SURE), yolo=yolo)

    assert (first == 0).all()
    assert (second > 0).all()  # the other picture's labels would have it


def test_probabilities_of_heads_with_new_coords_are_taken_as_such() -> None:
    yolo = replace(YOLO, new_coords=True)

    first, second = objectness_gradient(seen(2, SURE).sigmoid(), yolo=yolo)

    assert (first == 0).all()
    assert (second > 0).all()


def test_an_object_of_a_labelled_class_is_punished_in_every_picture() -> None:
    assert (objectness_gradient(seen(1, SURE)) > 0).all()


def test_what_is_hardly_seen_is_background() -> None:
    assert (objectness_gradient(seen(2, DOUBTFUL)) > 0).all()


def test_a_labelled_object_is_learned_though_it_is_taken_for_an_unlabelled_class() -> None:
    target = torch.tensor([[0, 1, 0.4, 0.6, 20 / 128, 30 / 96]])

    gradient = objectness_gradient(seen(2, SURE), target)

    assert (gradient[0] != 0).sum() == 1
    assert gradient[0, 0, 3, 3] != 0


def test_a_labelled_object_is_of_no_unlabelled_class() -> None:
    target = torch.tensor([[0, 1, 0.4, 0.6, 20 / 128, 30 / 96]])
    maps = seen(2, SURE).requires_grad_()

    detection_loss([maps], target, [YOLO], SIZE, LossSettings(), unlabelled=UNLABELLED).classes.backward()

    assert maps.grad is not None
    assert maps.grad[0, 0, 3, 3, 7] > 0


def test_where_all_classes_are_labelled_nothing_changes() -> None:
    maps = torch.randn(2, 2, 6, 8, 8, generator=torch.Generator().manual_seed(0))

    found = objectness_gradient(maps, unlabelled=torch.zeros(2, 3, dtype=torch.bool))

    torch.testing.assert_close(found, objectness_gradient(maps, unlabelled=None), rtol=0, atol=0)
