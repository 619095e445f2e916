"""Blood cells, and a like set that labels white cells alone: its red cells are not learned to be nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from yoloslim.boxes.detect import DetectSettings
from yoloslim.data.augment import AugmentSettings
from yoloslim.data.datafile import load_data_file
from yoloslim.data.dataset import Dataset, LoadedSample, load_dataset
from yoloslim.data.joint import JointDataset, as_joint, joint
from yoloslim.data.sampling import SamplingSettings
from yoloslim.engine.settings import TrainSettings
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.losses.detection import LossSettings
from yoloslim.recipes.start import starting_model
from yoloslim.recipes.train import Material, train_model
from yoloslim.runtime.detector import Detector
from yoloslim.runtime.load import Model
from yoloslim.runtime.torch_backend import TorchBackend

pytestmark = pytest.mark.medium

RED, WHITE = 0, 1
BLOCK = "[convolutional]\nbatch_normalize=1\nfilters={}\nsize=3\nstride={}\npad=1\nactivation=leaky\n"
CFG = (
    "[net]\nwidth=128\nheight=96\n"
    + "".join(BLOCK.format(*block) for block in ((16, 2), (32, 2), (64, 2), (64, 1), (64, 1)))
    + "[convolutional]\nfilters=24\nsize=1\nactivation=linear\n"
    + "[yolo]\nmask=0,1,2\nanchors=8,8,20,20,36,36\nclasses=3\n"
)
EXAMPLE = Path(__file__).parents[2] / "examples/bccd.yaml"
LABELLED, UNLABELLED, MEASURED = 40, 120, 30  # pictures of each kind


@pytest.fixture(scope="module")
def bccd(data_dir: Path) -> Dataset:
    return load_dataset(load_data_file(EXAMPLE), "train")


@pytest.fixture(scope="module")
def white_alone(bccd: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Other pictures of bccd, with labels for white cells alone."""
    folder = tmp_path_factory.mktemp("white")
    (folder / "labels").mkdir()
    pictures = []
    for sample in bccd.samples[LABELLED : LABELLED + UNLABELLED]:
        (folder / "labels" / f"{sample.path.stem}.txt").write_text(white_rows(bccd.read(sample)))
        pictures.append(str(sample.path.absolute()))
    (folder / "train.txt").write_text("\n".join(pictures))
    (folder / "data.yaml").write_text("train: train.txt\nlabels: labels\nnames: [WBC]\n")
    return load_dataset(load_data_file(folder / "data.yaml"), "train")


def white_rows(loaded: LoadedSample) -> str:
    boxes = loaded.annotation.boxes[loaded.annotation.class_ids == WHITE] / np.tile(loaded.picture.shape[1::-1], 2)
    low, high = boxes[:, :2], boxes[:, 2:]
    rows = np.concatenate([(low + high) / 2, high - low], axis=1).tolist()
    return "".join(f"0 {' '.join(f'{number:.6f}' for number in row)}\n" for row in rows)


def trained(dataset: JointDataset, folder: Path) -> Model:
    start = starting_model(parse_cfg(CFG), "", dataset.names, seed=0)
    one = replace(dataset.parts[0].dataset, samples=dataset.samples[:1])  # nothing is learned from it
    augment = AugmentSettings(mosaic=0, scale=0.2)
    often = SamplingSettings(weights=(8.0,) * len(dataset.parts))  # few epochs: each writes its files and plots
    material = Material(dataset, one, "letterbox", augment, LossSettings(), often)
    settings = TrainSettings(epochs=2, batch=8, learning_rate=0.05, ema=0.98, workers=0, eval_every=2)
    model, _, _ = train_model(start, material, settings, folder)
    return model


def scores(model: Model, pictures: Dataset) -> tuple[float, float]:
    """How sure a network is of red and of white cells: the mean score of as many boxes as there are cells."""
    yolos = tuple(yolo for _, yolo in model.graph.heads)
    backend = TorchBackend(model.network, torch.device("cpu"))
    detector = Detector(backend, yolos, (128, 96), "letterbox", DetectSettings(conf=0.001))
    best: dict[int, list[float]] = {RED: [], WHITE: []}
    for loaded in pictures:
        (found,) = detector([loaded.picture])
        for class_id, of_class in best.items():
            count = int((loaded.annotation.class_ids == class_id).sum())
            of_class += np.sort(found.scores[found.class_ids == class_id])[::-1][:count].tolist()
    return float(np.mean(best[RED])), float(np.mean(best[WHITE]))


def test_a_class_that_one_set_does_not_label_is_not_suppressed(
    bccd: Dataset, white_alone: Dataset, tmp_path: Path
) -> None:
    labelled = replace(bccd, samples=bccd.samples[:LABELLED])
    measured = replace(bccd, samples=bccd.samples[-MEASURED:])
    both = joint([labelled, white_alone], [{}, {}])
    blind = replace(both, parts=tuple(replace(part, unlabelled=frozenset()) for part in both.parts))

    red, white = scores(trained(both, tmp_path / "both"), measured)
    suppressed, _ = scores(trained(blind, tmp_path / "blind"), measured)
    alone, white_of_few = scores(trained(as_joint(labelled), tmp_path / "alone"), measured)

    assert both.parts[1].unlabelled == {RED, 2}
    assert suppressed < 0.5 * alone  # what happens where nobody tells that red cells are not labelled
    assert red > 0.75 * alone
    assert red > 2 * suppressed
    assert white > 0.4 * white_of_few
