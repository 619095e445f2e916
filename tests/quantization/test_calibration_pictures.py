"""Ranges are measured on pictures as evaluation prepares them."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from yoloslim.boxes.detect import DetectSettings
from yoloslim.boxes.placement import ResizeMode
from yoloslim.data.datafile import load_data_file
from yoloslim.data.dataset import load_dataset
from yoloslim.nn.network import Network
from yoloslim.recipes.evidence import training_pictures
from yoloslim.runtime.detector import Detector
from yoloslim.runtime.load import Model


@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
def test_calibration_sees_what_evaluation_does(tiny, tmp_path: Path, resize: ResizeMode) -> None:
    pictures = [np.random.default_rng(i).integers(0, 255, (30 + 9 * i, 50, 3), np.uint8) for i in range(3)]
    (tmp_path / "images").mkdir()
    for index, picture in enumerate(pictures):
        cv2.imwrite(str(tmp_path / "images" / f"{index}.png"), picture)
    (tmp_path / "data.yaml").write_text("train: images\nval: images\nnames: [thing]\n")
    graph = tiny("[convolutional]\nfilters=8\nsize=3\npad=1\nactivation=leaky", size=(48, 32))
    seen: list[NDArray[np.float32]] = []

    def backend(batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        seen.append(batch)
        return [np.full((len(batch), 2, 32, 48, 6), -9, np.float32)]

    yolos = tuple(yolo for _, yolo in graph.heads)
    Detector(backend, yolos, (48, 32), resize, DetectSettings(conf=0.5))(pictures)
    dataset = load_dataset(load_data_file(str(tmp_path / "data.yaml")), "train")
    batches = training_pictures(Model(Network(graph), resize=resize), dataset, 3, 3)

    np.testing.assert_array_equal(batches[0].numpy(), seen[0])
