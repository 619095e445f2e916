"""The commands on published weights and real pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def fastest(weights_dir: Path) -> tuple[object, ...]:
    """The options that name yolo-fastest-1.1."""
    return "--cfg", weights_dir / "yolo-fastest-1.1.cfg", "--weights", weights_dir / "yolo-fastest-1.1.weights"


@pytest.fixture
def eight(data_dir: Path, tmp_path: Path) -> Path:
    """A data file of eight pictures of coco128's val2017."""
    folder = data_dir / "coco128_yolo"
    pictures = sorted((folder / "images" / "val2017").iterdir())[:8]
    (tmp_path / "eight.txt").write_text("".join(f"{path}\n" for path in pictures))
    file = tmp_path / "eight.data"
    file.write_text(
        f"valid = eight.txt\nnames = {data_dir}/weights/coco.names\n"
        f"labels = {folder}/object_detection/labels\nclasses = 80\n"
    )
    return file


@pytest.mark.medium
def test_published_weights_are_evaluated_pruned_and_evaluated_again(
    run: Any, fastest: tuple[object, ...], eight: Path
) -> None:
    whole = run("eval", *fastest, "--data", eight).json
    pruned = run("prune", *fastest, "--percent", 0.05, "--data", eight).json
    small = run("eval", "--cfg", pruned["cfg"], "--weights", pruned["weights"], "--data", eight).json

    assert whole["map50"] == pruned["map50"]["before"] > 0.3
    assert small["map50"] == pruned["map50"]["after"] > 0.1
    assert (whole["images"], whole["size"]) == (8, [320, 320])
    assert pruned["params"]["before"] == 332_798 > pruned["params"]["after"]
    assert pruned["max_abs_diff"] < 1e-12


def test_sample_pictures_show_what_they_show(run: Any, data_dir: Path, weights_dir: Path) -> None:
    model = weights_dir / "yolo-fastest-1.1-xl"
    options = ("--cfg", f"{model}.cfg", "--weights", f"{model}.weights", "--names", weights_dir / "coco.names")

    outcome = run("detect", *options, "--source", data_dir / "images", "--conf", 0.5)

    found = {Path(i["path"]).stem: {d["class_name"] for d in i["detections"]} for i in outcome.json["images"]}
    assert found["dog"] >= {"dog", "bicycle"}
    assert found["giraffe"] == {"giraffe", "zebra"}
    assert found["eagle"] == {"bird"}
    assert found["person"] >= {"person", "dog"}
    assert "horse" in found["horses"]


def test_data_of_three_classes_does_not_fit_a_network_of_eighty(
    refused: Any, fastest: tuple[object, ...], data_dir: Path, tmp_path: Path
) -> None:
    folder = data_dir / "bccd" / "BCCD"
    (tmp_path / "b.yaml").write_text(
        f"path: {folder}\nval: ImageSets/Main/val.txt\nformat: voc\nnames: [RBC, WBC, Platelets]\n"
    )

    line = refused("eval", *fastest, "--data", "b.yaml")

    assert line.startswith("error: the network has 80 classes, the data set 3 (RBC, WBC, Platelets")


def test_the_size_must_fit_the_stride(refused: Any, fastest: tuple[object, ...], eight: Path) -> None:
    assert "--size 100: this network needs a multiple of 32" in refused(
        "eval", *fastest, "--data", eight, "--size", 100
    )


def test_weights_of_one_published_network_do_not_fit_another(
    refused: Any, fastest: tuple[object, ...], weights_dir: Path, eight: Path
) -> None:
    line = refused("eval", "--cfg", weights_dir / "yolov3-tiny.cfg", *fastest[2:], "--data", eight)

    assert "ends inside layer" in line
