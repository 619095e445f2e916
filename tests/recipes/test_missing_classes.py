"""Where one of two data sets does not label a class, its pictures do not teach that the class is background."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from yoloslim.boxes.detect import DetectSettings
from yoloslim.data.datafile import load_data_file
from yoloslim.data.dataset import load_dataset
from yoloslim.engine.task import Hooks
from yoloslim.recipes.read import parse_train_recipe
from yoloslim.recipes.train import run_training, starting_point
from yoloslim.runtime.detector import Detector
from yoloslim.runtime.torch_backend import TorchBackend, choose_device
from yoloslim.zoo.catalog import find

SIZE, WBC = 96, 1
WHOLE, PARTIAL = 24, 40  # pictures with all classes labelled, and with red blood cells alone


@pytest.fixture
def sets(tmp_path: Path, data_dir: Path) -> list[str]:
    """Blood cells twice: a few pictures with all their labels, more of them with those of one class alone."""
    root = data_dir / "bccd" / "BCCD"
    stems = (root / "ImageSets" / "Main" / "trainval.txt").read_text().split()
    parts = {"whole": (stems[:WHOLE], "[RBC, WBC, Platelets]"), "partial": (stems[WHOLE : WHOLE + PARTIAL], "[RBC]")}
    for name, (chosen, names) in parts.items():
        (tmp_path / f"{name}.txt").write_text("\n".join(chosen))
        lines = [f"path: {root}", f"train: {tmp_path}/{name}.txt", "val: ImageSets/Main/test.txt", f"names: {names}"]
        (tmp_path / f"{name}.yaml").write_text("\n".join(lines))
    return [str(tmp_path / f"{name}.yaml") for name in parts]


def trained(sets: list[str], weights: Path, folder: Path, epochs: int, **loss: float) -> Any:
    """Gives the network that learnt from the data sets; its checkpoint is in the folder."""
    tables = {
        "name": "joint",
        "device": "cpu",
        "model": {"cfg": "yolov3-tiny", "weights": str(weights)},
        "data": {"data": sets, "size": SIZE, "loader": {"cache": "memory"}},
        "train": {"epochs": epochs, "batch": 8, "learning_rate": 0.08, "ema": 0.9, "workers": 0, "eval_every": 100},
        "loss": loss,
        "augment": {"mosaic": 0.0, "scale": 0.2},
    }
    recipe = parse_train_recipe(tables, "test")
    model, material = starting_point(recipe, find("yolov3-tiny"))
    assert material.training.names == ("RBC", "WBC", "Platelets")
    few = replace(material, validation=load_dataset(load_data_file(sets[0]), "train"))  # measuring is not the point
    return run_training(recipe, model, few, folder, Hooks()).network


def mean_best_score(network: Any, data_file: str) -> float:
    """Mean over the test pictures with a white blood cell of the best score that overlaps it, 0 where there is none."""
    yolos = tuple(yolo for _, yolo in network.graph.heads)
    backend = TorchBackend(network, choose_device("cpu"))
    detector = Detector(backend, yolos, (SIZE, SIZE), "letterbox", DetectSettings(conf=0.001))
    scores = []
    for loaded in load_dataset(load_data_file(data_file), "val"):
        assert loaded.picture is not None
        assert loaded.annotation is not None
        truths = loaded.annotation.boxes[loaded.annotation.class_ids == WBC]
        (found,) = detector([loaded.picture])
        mine = found.take(found.class_ids == WBC)
        for truth in truths:
            centres = (mine.boxes[:, :2] + mine.boxes[:, 2:]) / 2
            inside = ((centres > truth[:2]) & (centres < truth[2:])).all(1)
            scores.append(float(mine.scores[inside].max(initial=0.0)))
    assert len(scores) > 50
    return float(np.mean(scores))


@pytest.mark.slow
def test_a_class_that_one_set_does_not_label_is_not_suppressed(
    sets: list[str], weights_dir: Path, tmp_path: Path
) -> None:
    trained(sets[:1], weights_dir / "yolov3-tiny.weights", tmp_path / "first", 25)
    first = tmp_path / "first" / "last.safetensors"

    kept = mean_best_score(trained(sets, first, tmp_path / "kept", 4), sets[0])
    punished = mean_best_score(trained(sets, first, tmp_path / "punished", 4, unjudged=1.0), sets[0])  # judges all

    assert kept > 0.3
    assert kept > 1.5 * punished, (kept, punished)
