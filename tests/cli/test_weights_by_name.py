"""``--weights NAME`` fetches published weights, wherever a weights file is taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from yoloslim.downloads.remote import Remote
from yoloslim.weights.published import PUBLISHED, Published

COMMANDS: dict[str, tuple[object, ...]] = {
    "info": ("info", "--weights", "tiny", "--cfg", "tiny.cfg"),
    "eval": ("eval", "--weights", "tiny", "--cfg", "tiny.cfg", "--data", "set/data.yaml"),
    "detect": ("detect", "--weights", "tiny", "--cfg", "tiny.cfg", "--source", "set/images/val"),
    "prune": ("prune", "--weights", "tiny", "--cfg", "tiny.cfg", "--percent", 0.1),
    "export": ("export", "--weights", "tiny", "--cfg", "tiny.cfg", "--out", "small.onnx"),
    "convert": ("convert", "tiny", "small.safetensors", "--cfg", "tiny.cfg"),
    "compress": ("compress", "recipe.toml", "--dry-run"),
}
RECIPE = """
[model]
cfg = "tiny.cfg"
weights = "tiny"
[data]
data = "set/data.yaml"
[train]
epochs = 1
[prune]
percent = 0.1
[finetune]
epochs = 1
"""


@pytest.fixture(autouse=True)
def mirror(shared_tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny weights are published, and nobody states their hash."""
    (tmp_path / "tiny.cfg").write_text((shared_tiny / "tiny.cfg").read_text())
    (tmp_path / "recipe.toml").write_text(RECIPE)
    remote = Remote("https://example.invalid/tiny.weights")
    monkeypatch.setitem(PUBLISHED, "tiny", Published("tiny", remote, ("round", "square")))  # type: ignore[arg-type]
    monkeypatch.setenv("YOLOSLIM_MIRROR", str(shared_tiny))
    monkeypatch.setenv("YOLOSLIM_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("command", COMMANDS)
def test_weights_of_unknown_hash_are_taken_with_trust_and_then_without(
    command: str, run: Any, refused: Any, data: Path
) -> None:
    line = refused(*COMMANDS[command])
    assert line.startswith("error: https://example.invalid/tiny.weights: its hash is not known")
    assert "--trust" in line

    assert run(*COMMANDS[command], "--trust").code == 0
    assert run(*COMMANDS[command]).code == 0


def test_results_are_named_for_the_weights(run: Any) -> None:
    outcome = run(*COMMANDS["prune"], "--trust")

    assert outcome.json["weights"] == "runs/prune/tiny-pruned-001/tiny-pruned.weights"


def test_published_weights_bring_their_class_names(run: Any, pictures: Path) -> None:
    outcome = run(*COMMANDS["detect"], "--trust", "--no-save")

    found = {box["class_name"] for image in outcome.json["images"] for box in image["detections"]}
    assert found <= {"round", "square"}
    assert "class names are not known" not in outcome.out


def test_a_recipe_starts_from_published_weights(run: Any, data: Path) -> None:
    outcome = run("compress", "recipe.toml", "--trust", "--set", "train.epochs=0", "--set", "finetune.epochs=0")

    assert [stage["name"] for stage in outcome.json["stages"]] == ["dense", "pruned", "exported"]


def test_published_weights_of_a_network_of_the_zoo_need_no_cfg(
    run: Any, weights_dir: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YOLOSLIM_MIRROR", str(weights_dir))

    outcome = run("detect", "--weights", "yolov3-tiny", "--source", data_dir / "images" / "dog.jpg", "--no-save")

    assert {box["class_name"] for box in outcome.json["images"][0]["detections"]} >= {"dog", "car"}


def test_published_weights_of_other_networks_need_a_cfg(
    run: Any, refused: Any, weights_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YOLOSLIM_MIRROR", str(weights_dir))

    assert refused("info", "--weights", "yoloface-500k").endswith("add --cfg")
    outcome = run("info", "--weights", "yoloface-500k", "--cfg", weights_dir / "yoloface-500k.cfg")
    assert outcome.json["params"] == 122_672


def test_a_file_that_cannot_be_fetched_is_told_in_one_line(refused: Any, shared_tiny: Path) -> None:
    line = refused("info", "--weights", "yolov4", "--trust")

    assert f"{shared_tiny}/yolov4.weights: cannot be reached (No such file or directory)" in line


def test_the_zoo_tells_which_weights_are_published(run: Any) -> None:
    outcome = run("zoo")

    assert {row["name"] for row in outcome.json["networks"] if row["published"]} >= {"yolov3", "yolov4-tiny"}
    assert set(outcome.json["weights"]) == set(PUBLISHED)
    assert "darknet53.conv.74" in outcome.out
