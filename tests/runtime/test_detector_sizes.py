"""Detectors whose input is grey, or as small as the picture allows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from yoloslim.boxes.detect import DetectSettings
from yoloslim.boxes.detections import Detections
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.nn.network import Network
from yoloslim.runtime.detector import Detector
from yoloslim.runtime.torch_backend import TorchBackend

CFG = """[net]
width=96
height=96
channels={channels}
[convolutional]
batch_normalize=1
filters=6
size=3
stride=4
pad=1
activation=leaky
[convolutional]
filters=7
[yolo]
mask=0
anchors=10,14
classes=2
"""


class Backend:
    """A network that remembers the shapes of its batches."""

    def __init__(self, network: Network) -> None:
        self._backend = TorchBackend(network, torch.device("cpu"))
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, batch: np.ndarray) -> list[np.ndarray]:
        self.shapes.append(batch.shape)
        return self._backend(batch)


def detector(channels: int = 3) -> Detector:
    torch.manual_seed(0)
    network = Network(parse_cfg(CFG.format(channels=channels)))
    yolos = tuple(yolo for _, yolo in network.graph.heads)
    return Detector(Backend(network), yolos, (96, 96), "letterbox", DetectSettings(0.3), channels=channels, stride=8)


def pictures(*sizes: tuple[int, int]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (height, width, 3), np.uint8) for width, height in sizes]


def test_each_picture_is_run_at_the_smallest_size_that_holds_it() -> None:
    detect = detector()
    images = pictures((96, 40), (30, 60), (192, 70), (96, 96))

    found = detect(images)

    assert sorted(detect.backend.shapes) == [(1, 3, 96, 48), (1, 3, 96, 96), (2, 3, 40, 96)]
    for image, one in zip(images, found, strict=True):
        (alone,) = detect([image])
        np.testing.assert_allclose(in_order(one), in_order(alone), atol=1e-3)


def in_order(found: Detections) -> np.ndarray:
    """Rows of class and box, from the top left, whatever the order of equal scores."""
    return np.array(
        sorted([class_id, *box] for class_id, box in zip(found.class_ids, found.boxes.tolist(), strict=True))
    )


def test_boxes_of_a_small_input_lie_where_those_of_the_whole_do() -> None:
    wide = pictures((96, 32))[0]
    detect = replace(detector(), settings=DetectSettings(0.0, iou=1.0, max_detections=10_000))

    (small,), (whole,) = detect([wide]), replace(detect, stride=0)([wide])

    centres = (small.boxes[:, 1] + small.boxes[:, 3]) / 2
    inner = (centres > 8) & (centres < 24)  # away from the border, which is not the same
    assert inner.sum() > 10
    for box in small.boxes[inner]:
        assert np.abs(whole.boxes - box).max(axis=1).min() < 1e-3


@pytest.mark.parametrize("stride", [0, 8])
def test_a_network_with_one_channel_sees_grey(stride: int) -> None:
    detect = replace(detector(channels=1), stride=stride)
    (colour,) = pictures((96, 96))
    weights = np.array([0.114, 0.587, 0.299])
    grey = np.repeat(np.round(colour @ weights).astype(np.uint8)[..., None], 3, axis=2)

    (found,), (same,) = detect([colour]), detect([grey])

    assert detect.backend.shapes[0] == (1, 1, 96, 96)
    assert len(found) > 0
    np.testing.assert_allclose(found.scores, same.scores, atol=0.01)  # grey is a whole number from 0 to 255
