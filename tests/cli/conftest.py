"""The command line as a user has it, with a tiny network and tiny pictures to use it on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from yoloslim.cli import main
from yoloslim.graph.from_cfg import read_cfg
from yoloslim.nn.network import Network
from yoloslim.runtime.load import Model
from yoloslim.runtime.save import write_darknet_weights

CFG = """[net]
width=64
height=64
channels=3

[convolutional]
batch_normalize=1
filters=8
size=3
stride=2
pad=1
activation=leaky

[convolutional]
batch_normalize=1
filters=16
size=3
stride=2
pad=1
activation=leaky

[convolutional]
batch_normalize=1
filters=12
activation=leaky

[upsample]
stride=2

[route]
layers=-1,0

[convolutional]
batch_normalize=1
filters=16
size=3
pad=1
activation=mish

[convolutional]
filters=14
activation=linear

[yolo]
mask=0,1
anchors=10,14, 23,27
classes=2
"""
NAMES = ("round", "square")


@dataclass(frozen=True)
class Outcome:
    """What one call of ``yoloslim`` gave."""

    code: int
    out: str
    err: str
    json_text: str

    @property
    def json(self) -> dict[str, Any]:
        """The JSON, read as strictly as the standard has it."""

        def refuse(constant: str) -> None:
            raise ValueError(f"{constant} is no JSON")

        record: dict[str, Any] = json.loads(self.json_text, parse_constant=refuse)
        assert record["schema"] == 1
        return record


Run = Callable[..., Outcome]


@pytest.fixture
def run(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Types ``yoloslim ARGUMENTS... --json FILE`` in the test's own folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Outcome:
        json_file = tmp_path / "result.json"
        code = main([*map(str, arguments), "--json", str(json_file)])
        return Outcome(code, *capfd.readouterr(), json_file.read_text("utf-8"))

    return call


@pytest.fixture
def refused(run: Run) -> Callable[..., str]:
    """Types a command that must be refused with code 2, in one line, which it gives."""

    def call(*arguments: object) -> str:
        outcome = run(*arguments)
        lines = outcome.err.splitlines()
        assert outcome.code == 2, outcome
        assert len(lines) == 1, outcome.err
        assert lines[0] == f"error: {outcome.json['error']}"
        assert not outcome.out
        return lines[0]

    return call


@pytest.fixture(scope="session")
def shared_tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with tiny.cfg and tiny.weights: two classes, random weights, something found everywhere."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "tiny.cfg").write_text(CFG)
    (folder / "tiny.names").write_text("\n".join(NAMES))
    torch.manual_seed(0)
    network = Network(read_cfg(folder / "tiny.cfg")).eval()
    for name, tensor in network.state_dict().items():
        if name.endswith(("norm.weight", "norm.running_var")):
            tensor.uniform_(0.1, 1.5)
        elif name.endswith(("norm.bias", "norm.running_mean")):
            tensor.normal_(std=0.2)
    write_darknet_weights(Model(network), folder / "tiny.weights")
    return folder


@pytest.fixture
def tiny(shared_tiny: Path) -> tuple[object, ...]:
    """The options that name the tiny network."""
    return "--cfg", shared_tiny / "tiny.cfg", "--weights", shared_tiny / "tiny.weights"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data file with four training and six validation pictures of 64x48, two boxes each."""
    generator = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 6)):
        for number in range(count):
            picture = tmp_path / "set" / "images" / split / f"{number}.png"
            label = tmp_path / "set" / "labels" / split / f"{number}.txt"
            picture.parent.mkdir(parents=True, exist_ok=True)
            label.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(picture), generator.integers(0, 255, (48, 64, 3), np.uint8))
            label.write_text("0 .3 .4 .3 .5\n1 .7 .5 .4 .4\n")
    file = tmp_path / "set" / "data.yaml"
    file.write_text("train: images/train\nval: images/val\nnames: [round, square]\n")
    return file


@pytest.fixture
def pictures(data: Path) -> Path:
    """Folder of six pictures of 64x48."""
    return data.parent / "images" / "val"
