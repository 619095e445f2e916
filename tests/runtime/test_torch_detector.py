"""Pictures in, boxes out: by torch, in pixels of the picture, with the time of each part."""

import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from yoloslim.boxes.detect import DetectSettings
from yoloslim.boxes.iou import pairwise_iou
from yoloslim.boxes.placement import ResizeMode
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.graph import Graph
from yoloslim.graph.ops import Yolo
from yoloslim.runtime.detector import Detector, Stopwatch
from yoloslim.runtime.load import Model, load
from yoloslim.runtime.torch_backend import TorchBackend

# What data/images/dog.jpg shows, boxes drawn by hand: a car and a truck are both right for the last one.
DOG, BICYCLE, CAR, TRUCK = 16, 1, 2, 7
OBJECTS = [
    ({DOG}, (130, 220, 312, 542)),
    ({BICYCLE}, (120, 124, 568, 428)),
    ({CAR, TRUCK}, (467, 77, 690, 171)),
]


def corrected_cfg(weights_dir: Path, name: str) -> Graph:
    text = (weights_dir / f"{name}.cfg").read_text()
    return parse_cfg("mask = 1,2,3".join(text.rsplit("mask = 0,1,2", 1)) if name == "yolov3-tiny" else text)


def detector_of(model: Model, resize: ResizeMode, conf: float = 0.25) -> Detector:
    shape = model.graph.input_shape
    yolos = tuple(yolo for _, yolo in model.graph.heads)
    backend = TorchBackend(model.network, torch.device("cpu"))
    return Detector(backend, yolos, (shape.width, shape.height), resize, DetectSettings(conf))


@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
@pytest.mark.parametrize("name", ["yolov3-tiny", "yolo-fastest-1.1-xl"])
def test_a_dog_a_bicycle_and_a_car_are_found_where_they_are(
    name: str, resize: ResizeMode, data_dir: Path, weights_dir: Path
) -> None:
    detector = detector_of(load(weights_dir / f"{name}.weights", corrected_cfg(weights_dir, name)), resize)

    (found,) = detector([cv2.imread(str(data_dir / "images" / "dog.jpg"))])

    assert len(found) <= 8
    for classes, box in OBJECTS:
        best = next(i for i, class_id in enumerate(found.class_ids) if class_id in classes)
        assert pairwise_iou(found.boxes[best][None], np.array([box], np.float32)).item() > 0.45


def test_pictures_of_a_batch_are_found_as_if_alone(data_dir: Path, weights_dir: Path) -> None:
    name = "yolo-fastest-1.1"
    detector = detector_of(load(weights_dir / f"{name}.weights", corrected_cfg(weights_dir, name)), "letterbox")
    pictures = [cv2.imread(str(path)) for path in sorted((data_dir / "images").glob("*.jpg"))]

    together = detector(pictures)

    assert len({picture.shape for picture in pictures}) > 1
    for picture, found in zip(pictures, together, strict=True):
        (alone,) = detector([picture])
        assert len(found) > 0
        assert found.class_ids.tolist() == alone.class_ids.tolist()
        np.testing.assert_allclose(found.boxes, alone.boxes, atol=0.05)
        np.testing.assert_allclose(found.scores, alone.scores, atol=1e-4)


def slow_backend(batch: np.ndarray) -> list[np.ndarray]:
    """One head of one anchor and one class, sure of nothing, after 20 ms."""
    time.sleep(0.02)
    return [np.full((len(batch), 1, 2, 2, 6), -9, np.float32)]


def test_the_stopwatch_adds_up_the_parts_of_every_call() -> None:
    detector = Detector(slow_backend, (Yolo((0,), ((8, 8),), 1),), (64, 64), "stretch", DetectSettings(0.25))
    picture = np.zeros((48, 32, 3), np.uint8)

    start = time.perf_counter()
    detector([picture])
    detector([picture] * 3)
    passed = time.perf_counter() - start

    watch = detector.stopwatch
    assert watch.images == 4
    assert watch.infer >= 0.04
    assert min(watch.pre, watch.post) > 0
    assert 0.5 * passed < watch.pre + watch.infer + watch.post <= passed


def test_milliseconds_are_those_of_one_picture() -> None:
    assert Stopwatch(pre=1.0, infer=2.0, post=4.0, images=500).ms() == {"pre": 2.0, "infer": 4.0, "post": 8.0}


def test_a_stopwatch_that_never_ran_shows_zeros() -> None:
    assert Stopwatch().ms() == {"pre": 0.0, "infer": 0.0, "post": 0.0}


def test_a_backend_keeps_the_weights_it_was_given(weights_dir: Path) -> None:
    name = "yolo-fastest-1.1"
    model = load(weights_dir / f"{name}.weights", corrected_cfg(weights_dir, name))
    backend = TorchBackend(model.network, torch.device("cpu"))
    batch = np.full((1, 3, 64, 64), 0.5, np.float32)
    before = backend(batch)

    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.zero_()

    for a, b in zip(backend(batch), before, strict=True):
        np.testing.assert_array_equal(a, b)
