"""Forward passes follow OpenCV's reading of published Darknet files: every raw head map, on every sample picture."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from yoloslim.runtime.load import Model

TOLERANCE = 1e-4  # of the largest value of a head map; batch-norm with epsilon 1e-5 is 6e-3 off

HEADS = {
    "yolov3-tiny": 2,
    "yolo-fastest-1.1-xl": 2,
    "yolo-fastest-1.1": 2,
    "MobileNetV2-YOLOv3-Nano-coco": 2,
    "yoloface-500k": 3,
}


@pytest.mark.parametrize("name", HEADS)
def test_every_head_map_of_a_published_network_equals_that_of_opencv(
    name: str,
    published: Callable[[str], Model],
    weights_dir: Path,
    pictures: list[np.ndarray],
    our_head_maps: Callable,
    opencv_head_maps: Callable,
    difference: Callable,
) -> None:
    network = published(name).network
    cfg, weights = weights_dir / f"{name}.cfg", weights_dir / f"{name}.weights"

    for picture in pictures:
        ours, theirs = our_head_maps(network, picture), opencv_head_maps(cfg, weights, picture)

        assert len(theirs) == HEADS[name]
        assert difference(ours, theirs) <= TOLERANCE


def test_head_maps_of_two_pictures_differ_by_far_more_than_the_tolerance(
    published: Callable[[str], Model], pictures: list[np.ndarray], our_head_maps: Callable, difference: Callable
) -> None:
    network = published("yolo-fastest-1.1").network

    first, second = (our_head_maps(network, picture) for picture in pictures[:2])

    assert difference(first, second) > 1000 * TOLERANCE
