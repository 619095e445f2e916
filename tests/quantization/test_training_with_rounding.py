"""Training with rounding: what learns, what is frozen when, and what a run leaves behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from yoloslim.cli import main
from yoloslim.compress.quantization.network import QuantizedNetwork
from yoloslim.compress.quantization.spec import SCHEMES
from yoloslim.engine.settings import TrainSettings
from yoloslim.engine.task import Hooks
from yoloslim.errors import RecipeError
from yoloslim.graph.graph import Graph
from yoloslim.recipes import quantized_training, train
from yoloslim.recipes.quantized_training import check_start, check_trained, quantization_hooks, trainable
from yoloslim.recipes.schema import QuantizeTable
from yoloslim.runtime.load import load

CONVOLUTION = "[convolutional]\nfilters=8\nsize=3\npad=1\nbatch_normalize=1\nactivation={}"
LEAKY, RELU = (CONVOLUTION.format(name) for name in ("leaky", "relu"))


ALONE = ["--set", "train.workers=0"]


def noise(graph: Graph) -> list[torch.Tensor]:
    return [torch.rand(4, *graph.input_shape, generator=torch.Generator().manual_seed(5))]


def test_ranges_are_frozen_before_statistics_and_that_of_the_image_always(
    tiny: Callable[..., Graph], random_network
) -> None:
    network = trainable(random_network(tiny(LEAKY, RELU)), QuantizeTable(), noise(tiny(LEAKY, RELU))).train()
    network(noise(network.graph)[0] / 2)
    assert (float(network.scale("image").low), float(network.scale("image").high)) == (0, 1)
    seen: list[tuple[int, float]] = []
    hooks = quantization_hooks(network, 10, Hooks(after_step=lambda done, rate: seen.append((done, rate))))

    def frozen() -> tuple[bool, bool]:
        scales = [network.scale(name).is_frozen for name in network.plan.scales if name != "image"]
        return all(scales), all(conv.has_frozen_statistics for conv in network.folded_convs().values())

    hooks.on_start(0)
    found = [frozen()]
    for done in range(1, 11):
        hooks.after_step(done, 0.1)
        found.append(frozen())

    assert found == [(False, False)] * 6 + [(True, False)] * 2 + [(True, True)] * 3
    assert seen == [(done, 0.1) for done in range(1, 11)]


def test_ranges_of_few_bits_stay_as_they_were_measured(tiny: Callable[..., Graph], random_network) -> None:
    table = QuantizeTable(weight_bits=4, activation_bits=4)
    network = trainable(random_network(tiny(LEAKY, RELU)), table, noise(tiny(LEAKY, RELU))).train()
    quantization_hooks(network, 10, Hooks()).on_start(0)
    maps = [network.scale(name) for name in network.plan.scales if name != "image"]
    before = [quantizer.high.clone() for quantizer in maps]

    network(10 * noise(network.graph)[0])

    assert all(torch.equal(quantizer.high, high) for quantizer, high in zip(maps, before, strict=True))


def test_a_learned_step_moves_by_a_fiftieth_of_itself_at_most(tiny: Callable[..., Graph], random_network) -> None:
    network = trainable(random_network(tiny(RELU)), QuantizeTable(scheme="lsq"), noise(tiny(RELU)))
    step = network.scale("000_convolutional").step
    first = float(step.detach())
    hooks = quantization_hooks(network, 10, Hooks())

    found = []
    hooks.on_start(0)
    for done, moved in enumerate((1.001, -3.0, 50.0), 1):
        with torch.no_grad():
            step.mul_(moved)
        hooks.after_step(done, 0.1)
        found.append(float(step.detach()) / first)

    assert found == pytest.approx([1.001, 1.001 * 0.98, 1.001 * 0.98 * 1.02])


def test_a_run_that_goes_on_late_is_frozen_from_its_start(tiny: Callable[..., Graph], random_network) -> None:
    network = trainable(random_network(tiny(RELU)), QuantizeTable(), noise(tiny(RELU)))

    quantization_hooks(network, 10, Hooks()).on_start(9)

    assert all(conv.has_frozen_statistics for conv in network.folded_convs().values())


def test_batch_norm_is_trained_on_or_folded_for_good(tiny: Callable[..., Graph], random_network) -> None:
    network = random_network(tiny(RELU))

    folds = [trainable(network, QuantizeTable(fold_bn=fold), noise(network.graph)) for fold in (True, False)]

    assert [any("norm.weight" in name for name in made.state_dict()) for made in folds] == [True, False]


@pytest.mark.parametrize(
    ("table", "settings", "message"),
    [
        (QuantizeTable(keep_float="auto"), TrainSettings(1), "keep_float: auto is for mode = ptq"),
        (QuantizeTable(), TrainSettings(1, sync_batch_norm=True), "sync_batch_norm: batch-norm is folded"),
        (QuantizeTable(), TrainSettings(1, precision="bf16-mixed"), "bf16-mixed: 16 bits have no room for the codes"),
    ],
)
def test_what_cannot_be_trained_with_is_told(table: QuantizeTable, settings: TrainSettings, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        check_trained(table, settings)


def test_a_network_of_another_scheme_is_not_trained_on(tiny: Callable[..., Graph], quantize) -> None:
    network = quantize(tiny(RELU))

    check_start(network, QuantizeTable())
    with pytest.raises(RecipeError, match="quantized by google already, asked for lsq: give the float weights"):
        check_start(network, QuantizeTable(scheme="lsq"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data file with eight training and four validation pictures of 64x48, two boxes each."""
    generator = np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 4)):
        for number in range(count):
            picture = tmp_path / "set" / "images" / split / f"{number}.png"
            label = tmp_path / "set" / "labels" / split / f"{number}.txt"
            picture.parent.mkdir(parents=True, exist_ok=True)
            label.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(picture), generator.integers(0, 255, (48, 64, 3), np.uint8))
            label.write_text("0 .3 .4 .3 .5\n")
    file = tmp_path / "set" / "data.yaml"
    file.write_text("train: images/train\nval: images/val\nnames: [thing]\n")
    return file


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Types ``yoloslim ARGUMENTS... --json FILE`` in the test's own folder and gives the JSON."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> dict[str, Any]:
        code = main([*map(str, arguments), "--quiet", "--json", "result.json"])
        record: dict[str, Any] = json.loads(Path("result.json").read_text())
        assert code == 0, record
        return record

    return call


CFG = "\n".join(
    [
        "[net]\nwidth=64\nheight=64",
        f"{LEAKY}\nstride=2",
        f"{RELU}\nstride=2",
        RELU,
        "[shortcut]\nfrom=-2",
        "[convolutional]\nfilters=12\nactivation=linear\n[yolo]\nmask=0,1\nclasses=1\nanchors=10,14, 23,27",
    ]
)


@pytest.mark.medium
@pytest.mark.parametrize(
    "options",
    [
        ["google"],
        ["google", "--no-fold-bn"],
        ["google", "--for", "openvino", "--weight-bits", 6],
        ["google", "--power-of-two"],
        ["dorefa"],
        ["dorefa", "--weight-bits", 3, "--activation-bits", 4],
        ["lsq", "--weight-bits", 2, "--activation-bits", 2, "--ends-at-8"],
        ["lsq", "--for", "fpga", "--rounding", "half_even"],
    ],
    ids=lambda options: " ".join(map(str, options)),
)
def test_a_trained_checkpoint_is_used_with_no_flag(run: Any, data: Path, options: list[object]) -> None:
    Path("my.cfg").write_text(CFG)
    trained = run(
        "train",
        "--cfg",
        "my.cfg",
        "--data",
        data,
        "--epochs",
        2,
        *ALONE,
        "--quantize",
        *options,
        "--out",
        "run",
    )

    best = trained["checkpoint"]
    model = load(Path(best), None)
    assert isinstance(model.network, QuantizedNetwork)
    assert run("eval", "--weights", best, "--data", data)["map50"] == trained["best_map50"]
    assert len(run("detect", "--weights", best, "--source", data.parent / "images" / "val")["images"]) == 4
    exported = run("export", "--weights", best, "--out", "q.onnx")
    assert exported["parity"]["layers"]["layers"] == 4
    again = run("train", "--weights", best, "--data", data, "--epochs", 1, *ALONE, "--out", "again")
    assert isinstance(load(Path(again["checkpoint"]), None).network, QuantizedNetwork)


@pytest.mark.medium
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_run_that_was_stopped_goes_on_bit_for_bit(
    run: Any, data: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    Path("my.cfg").write_text(CFG)
    options = ["train", "--cfg", "my.cfg", "--data", data, "--epochs", 5, "--batch", 4, "--quantize", scheme, *ALONE]
    run(*options, "--out", "whole")

    class Stopped(Exception):
        pass

    def stop(network: torch.nn.Module, done: int) -> None:
        if done == 6:
            raise Stopped

    original = quantized_training.quantization_hooks

    def stopping(network: QuantizedNetwork, steps: int, watch: Hooks) -> Hooks:
        return original(network, steps, replace(watch, after_step=lambda done, rate: stop(network, done)))

    monkeypatch.setattr(train, "quantization_hooks", stopping)
    with pytest.raises(AssertionError):
        run(*options, "--out", "parts")
    monkeypatch.setattr(train, "quantization_hooks", original)
    run("train", "--resume", "parts")

    whole, parts = (load(Path(folder) / "last.safetensors", None).network.state_dict() for folder in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


@pytest.mark.medium
@pytest.mark.parametrize("mode", ["ptq", "qat"])
def test_a_compression_ends_in_whole_numbers(run: Any, data: Path, mode: str) -> None:
    Path("my.cfg").write_text(CFG)
    Path("my.toml").write_text(
        f"""[model]
cfg = "my.cfg"
[data]
data = "{data}"
[train]
epochs = 1
workers = 0
[prune]
percent = 0.2
[quantize]
for = "onnxruntime"
mode = "{mode}"
epochs = 1
pictures = 4
"""
    )
    stages = run("compress", "my.toml", "--out", "run")["stages"]

    assert [stage["name"] for stage in stages] == ["dense", "pruned", "finetuned", "quantized", "exported"]
    assert isinstance(
        load(Path(stages[3]["path"] if "path" in stages[3] else stages[3]["checkpoint"]), None).network,
        QuantizedNetwork,
    )
    assert ("<h2>Integers</h2>" in Path("run/report.html").read_text()) == (mode == "ptq")
    assert 'for = "onnxruntime"' in Path("run/recipe.toml").read_text()


def test_bits_without_rounding_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)

    assert main(["train", "--cfg", "my.cfg", "--data", "x.yaml", "--weight-bits", "4"]) == 2
    assert "--weight-bits is for a training with rounding: add --quantize google" in capsys.readouterr().err
