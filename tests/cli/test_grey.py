"""Networks that read grey pictures, from cfg to exported file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from yoloslim.graph.from_cfg import read_cfg
from yoloslim.nn.network import Network
from yoloslim.runtime.load import Model
from yoloslim.runtime.save import write_darknet_weights


@pytest.fixture
def grey(shared_tiny: Path, tmp_path: Path) -> tuple[object, ...]:
    """--cfg and --weights of the tiny network with one channel."""
    cfg, weights = tmp_path / "grey.cfg", tmp_path / "grey.weights"
    cfg.write_text((shared_tiny / "tiny.cfg").read_text().replace("channels=3", "channels=1"))
    torch.manual_seed(0)
    write_darknet_weights(Model(Network(read_cfg(cfg))), weights)
    return "--cfg", cfg, "--weights", weights


def test_a_grey_network_is_measured_and_exported_and_finds_the_same_from_its_file(
    run: Any, grey: tuple[object, ...], data: Path, pictures: Path
) -> None:
    figures = run("eval", *grey, "--data", data).json
    exported = run("export", *grey, "--out", "grey.onnx", "--source", pictures)
    own, of_file = (
        run("detect", *weights, "--source", pictures, "--conf", 0.01, "--no-save").json["images"]
        for weights in (grey, ("--weights", "grey.onnx"))
    )

    assert figures["images"] == 6
    assert exported.code == 0, exported.err
    assert sum(len(image["detections"]) for image in own) > 0
    for one, other in zip(own, of_file, strict=True):
        assert [d["class_id"] for d in one["detections"]] == [d["class_id"] for d in other["detections"]]
        assert [d["score"] for d in one["detections"]] == pytest.approx([d["score"] for d in other["detections"]])


def test_a_grey_network_is_pruned_with_grey_pictures(run: Any, grey: tuple[object, ...], data: Path) -> None:
    outcome = run("prune", *grey, "--percent", 0.3, "--data", data, "--recalibrate", 4, "--out", "pruned")

    assert outcome.code == 0, outcome.err
    assert outcome.json["max_abs_diff"] < 1e-9


def test_a_network_with_two_channels_is_refused(refused: Any, shared_tiny: Path, tmp_path: Path, data: Path) -> None:
    cfg, weights = tmp_path / "two.cfg", tmp_path / "two.weights"
    cfg.write_text((shared_tiny / "tiny.cfg").read_text().replace("channels=3", "channels=2"))
    write_darknet_weights(Model(Network(read_cfg(cfg))), weights)

    assert "this network reads 2: set channels= in its cfg" in refused(
        "eval", "--cfg", cfg, "--weights", weights, "--data", data
    )
