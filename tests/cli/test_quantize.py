"""``quantize``: a network on integers, whose checkpoint needs no flag."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from yoloslim.graph.to_cfg import to_cfg
from yoloslim.weights.checkpoint import load_checkpoint


@pytest.fixture
def checkpoint(run: Any, tiny: tuple[object, ...], data: Path) -> str:
    """A quantized tiny network."""
    outcome = run("quantize", *tiny, "--data", data, "--quiet")
    assert outcome.code == 0, outcome.err
    return outcome.json["checkpoint"]


def test_quantize_gives_every_key_and_file(run: Any, tiny: tuple[object, ...], data: Path) -> None:
    outcome = run("quantize", *tiny, "--data", data, "--weight-bits", 7)

    record = outcome.json
    assert (outcome.code, outcome.err) == (0, "")
    assert all(0 <= record["map50"][when] <= 1 for when in ("before", "after"))
    assert [row["name"] for row in record["layers"]] == [f"{i:03d}_convolutional" for i in (0, 1, 2, 5, 6)]
    assert all(5 < row["sqnr_db"] < 60 and row["bits"] == 7 and row["bytes"] > 0 for row in record["layers"])
    assert record["checkpoint"] == "runs/quantize/tiny-quantized-001/tiny-quantized.safetensors"
    written = sorted(path.name for path in Path(record["checkpoint"]).parent.iterdir())
    assert written == ["histograms.png", "layers.png", "tiny-quantized.safetensors"]
    assert load_checkpoint(record["checkpoint"]).quantization["target"] == "onnxruntime"


def test_the_checkpoint_evaluates_to_the_figure_that_quantize_tells(
    run: Any, tiny: tuple[object, ...], data: Path
) -> None:
    told = run("quantize", *tiny, "--data", data).json

    assert run("eval", "--weights", told["checkpoint"], "--data", data).json["map50"] == told["map50"]["after"]


def test_the_checkpoint_detects_and_exports_without_a_flag(run: Any, checkpoint: str, pictures: Path) -> None:
    found = run("detect", "--weights", checkpoint, "--source", pictures)
    written = run("export", "--weights", checkpoint, "--out", "q.onnx")

    assert found.code == written.code == 0
    assert len(found.json["images"]) == 6
    layers = written.json["parity"]["layers"]
    assert layers["layers"] == 5
    assert layers["max_code_diff"] <= 1
    assert run("detect", "--weights", "q.onnx", "--source", pictures).code == 0


def test_the_exported_file_evaluates_nearly_to_the_figure_of_torch(run: Any, checkpoint: str, data: Path) -> None:
    run("export", "--weights", checkpoint, "--out", "q.onnx")

    torch_map, onnx_map = (
        run("eval", "--weights", weights, "--data", data).json["map50"] for weights in (checkpoint, "q.onnx")
    )

    assert onnx_map == pytest.approx(torch_map, abs=0.1)


def test_what_stays_in_float_is_told(run: Any, tiny: tuple[object, ...], data: Path) -> None:
    outcome = run("quantize", *tiny, "--data", data, "--keep-float", "00[01]*")

    assert outcome.json["kept_float"] == ["000_convolutional", "001_convolutional"]
    assert len(outcome.json["layers"]) == 3
    assert "3 convolutions, 2 kept in float" in outcome.out


def test_auto_keeps_nothing_in_float_where_nothing_is_lost(run: Any, tiny: tuple[object, ...], data: Path) -> None:
    assert run("quantize", *tiny, "--data", data, "--keep-float", "auto", "--map-drop", 1).json["kept_float"] == []


@pytest.mark.parametrize(
    "option",
    [
        ["--adaround", 3],
        ["--correct-bias"],
        ["--no-equalize"],
        ["--power-of-two"],
        ["--symmetric", "--no-per-channel"],
    ],
)
def test_every_step_can_be_asked_for(run: Any, tiny: tuple[object, ...], data: Path, option: list[object]) -> None:
    assert run("quantize", *tiny, "--data", data, *option).code == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--weight-bits", 9], "weight_bits: expected 2 to 8, found 9"),
        (["--activation-bits", 1], "activation_bits: expected 2 to 8, found 1"),
        (["--for", "fpga"], "005_convolutional: fpga cannot run activation=mish"),
        (["--keep-float", "x*"], "keep_float: no convolution matches 'x*'; they are 000_convolutional to 006_c"),
        (["--keep-float", "*"], "nothing is left to quantize"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    refused: Any, tiny: tuple[object, ...], data: Path, options: list[object], message: str
) -> None:
    assert message in refused("quantize", *tiny, "--data", data, *options)
    assert not Path("runs").exists()


def test_a_training_split_without_pictures_is_refused(refused: Any, tiny: tuple[object, ...], data: Path) -> None:
    for path in (data.parent / "images" / "train").iterdir():
        path.write_bytes(b"no picture")

    assert "none of 4 training pictures can be read" in refused("quantize", *tiny, "--data", data)


@pytest.mark.parametrize(
    "command", [["prune", "--percent", 0.1], ["quantize", "--data", "set/data.yaml"], ["export", "--out", "x.cfg"]]
)
def test_commands_for_float_networks_refuse_it(refused: Any, checkpoint: str, command: list[object]) -> None:
    assert "takes a float network, found one that is quantized" in refused(*command, "--weights", checkpoint)


def test_a_darknet_file_is_refused(refused: Any, checkpoint: str) -> None:
    assert "takes a float network" in refused("convert", checkpoint, "x.weights")
    assert not Path("x.weights").exists()


def test_a_checkpoint_whose_ranges_are_missing_is_refused(refused: Any, checkpoint: str, pictures: Path) -> None:
    tensors = load_file(checkpoint)
    tensors["model/scales.000_convolutional.low"].fill_(float("nan"))
    loaded = load_checkpoint(checkpoint)
    metadata = {"schema": "1", "quantization": json.dumps(loaded.quantization)}
    save_file(tensors, "bad.safetensors", {**metadata, "cfg": to_cfg(loaded.graph)})

    message = refused("detect", "--weights", "bad.safetensors", "--source", pictures)
    assert "1 ranges are not known (scales.000_convolutional ...): expected a calibrated network" in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--scheme", "lsq"), "scheme: lsq is learned: train --quantize lsq, mode = qat in a recipe"),
        (("--rounding", "half_away"), "onnxruntime rounds half_even, asked for half_away: leave it out, or choose"),
    ],
)
def test_what_is_not_for_a_network_without_training_or_its_target_is_refused(
    run: Any, tiny: tuple[object, ...], data: Path, options: tuple[str, ...], message: str
) -> None:
    outcome = run("quantize", *tiny, "--data", data, *options)

    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert not Path("runs").exists()


@pytest.mark.slow
def test_published_weights_lose_little_at_powers_of_two(run: Any, weights_dir: Path, data_dir: Path) -> None:
    weights = ("--cfg", "yolov3-tiny", "--weights", weights_dir / "yolov3-tiny.weights")
    data = Path(__file__).resolve().parents[2] / "examples" / "coco128.yaml"

    outcome = run("quantize", *weights, "--data", data, "--power-of-two", "--pictures", 32, "--quiet")

    found = outcome.json["map50"]
    assert found["before"] == pytest.approx(0.435, abs=0.005)
    assert found["after"] > found["before"] - 0.015
