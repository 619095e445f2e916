"""A cfg, weights or device that cannot be used: one line, code 2, whichever command it is given to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ("[route]\nlayers=-9\n", "bad.cfg:5: [route] layers=-9 points before the first layer (this is layer 0)"),
        ("[transformer]\nheads=8\n", "bad.cfg:4: [transformer] is not a section that can be read; known: "),
        (
            "[convolutional]\nfilters=1000000000\n",
            "bad.cfg:5: [convolutional] filters=1000000000 is out of range; expected 1 to 65536",
        ),
        ("", "bad.cfg:1: [net] has no layers after it"),
        ("what is this\n", "bad.cfg:4: expected key=value, found 'what is this'"),
    ],
    ids=["route", "section", "filters", "empty", "text"],
)
def test_a_cfg_that_cannot_be_honoured_is_told_by_line(
    refused: Any, tmp_path: Path, layers: str, expected: str
) -> None:
    (tmp_path / "bad.cfg").write_text(f"[net]\nwidth=64\nheight=64\n{layers}")

    assert expected in refused("info", "--cfg", "bad.cfg")


@pytest.mark.parametrize("filters", [65536, 60000])
def test_a_cfg_that_asks_for_too_much_ends_before_memory_does(refused: Any, tmp_path: Path, filters: int) -> None:
    layer = f"[convolutional]\nbatch_normalize=1\nfilters={filters}\nsize=3\n"
    (tmp_path / "big.cfg").write_text(f"[net]\nwidth=64\nheight=64\n{layer * 3}")
    (tmp_path / "big.weights").write_bytes(bytes(20 + 4 * 100))

    refused("detect", "--cfg", "big.cfg", "--weights", "big.weights", "--source", tmp_path, "--no-save")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("yolov3-tinny", "did you mean yolov3-tiny"),
        ("yolov3-tiny-hnad", "did you mean yolov3-tiny-hand"),
        ("gone.cfg", "gone.cfg: cannot read this cfg: No such file or directory"),
        ("folder/gone", "folder/gone: cannot read this cfg: No such file or directory"),
        (".", ".: cannot read this cfg: Is a directory"),
        ("tiny.weights", "expected cfg text, found binary data; is this the weights file?"),
        ("", "only a .safetensors brings its own network; add --cfg"),
    ],
)
def test_a_cfg_that_is_none_is_refused(
    refused: Any, tiny: tuple[object, ...], shared_tiny: Path, name: str, expected: str
) -> None:
    cfg = shared_tiny / name if name == "tiny.weights" else name

    assert expected in refused("eval", "--cfg", cfg, *tiny[2:], "--data", data_of(shared_tiny))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tiny.cfg", "expected Darknet weights, found text that begins with '[net]': this is a cfg file"),
        ("gone.weights", "gone.weights: cannot read this file: No such file or directory"),
        (".", "expected a weights file, found a folder"),
        ("cut.weights", "ends inside layer 005_convolutional: expected 2,944 floats, found "),
        ("empty.weights", "expected a Darknet header of 16 or 20 bytes, found an empty file"),
        ("cut.safetensors", "cut.safetensors: cut off: expected "),
        ("text.safetensors", "expected a safetensors checkpoint, found something else: copy it again"),
        ("text.pt", "text.pt: "),
    ],
)
def test_weights_that_are_none_are_refused(
    run: Any, refused: Any, tiny: tuple[object, ...], shared_tiny: Path, tmp_path: Path, name: str, expected: str
) -> None:
    run("convert", tiny[3], "whole.safetensors", *tiny[:2])
    checkpoint = (tmp_path / "whole.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(checkpoint[:-99])
    (tmp_path / "cut.weights").write_bytes((shared_tiny / "tiny.weights").read_bytes()[:-2000])
    (tmp_path / "empty.weights").touch()
    for suffix in ("safetensors", "pt"):
        (tmp_path / f"text.{suffix}").write_text("this is no file of weights at all")
    weights = shared_tiny / name if name == "tiny.cfg" else name

    assert expected in refused("eval", *tiny[:2], "--weights", weights, "--data", data_of(shared_tiny))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gone.weights", "gone.weights: cannot read this file: No such file or directory"),
        (".", "expected a weights file, found a folder: name the file in it"),
        ("here.weights", "here.weights: only a .safetensors brings its own network"),
    ],
)
def test_weights_that_are_none_are_told_before_a_cfg_is_asked_for(
    refused: Any, shared_tiny: Path, tmp_path: Path, name: str, expected: str
) -> None:
    (tmp_path / "here.weights").touch()

    assert expected in refused("eval", "--weights", name, "--data", data_of(shared_tiny))


def test_weights_of_another_network_are_refused(refused: Any, tiny: tuple[object, ...], shared_tiny: Path) -> None:
    line = refused("eval", "--cfg", "yolov3-tiny", *tiny[2:], "--data", data_of(shared_tiny))

    assert "ends inside layer" in line
    assert "belongs to another cfg" in line


def test_published_weights_that_are_cut_off_are_told_by_layer(refused: Any, data_dir: Path, tmp_path: Path) -> None:
    weights = data_dir / "broken" / "yolov4-tiny.conv.29.truncated"

    line = refused("prune", "--cfg", "yolov4-tiny", "--weights", weights, "--percent", 0.5)

    assert "ends inside layer 002_convolutional: expected 37,120 floats, found 23,725 and 1 byte" in line


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "cpu:x"])
def test_a_device_that_cannot_be_used_is_refused(
    refused: Any, tiny: tuple[object, ...], shared_tiny: Path, device: str
) -> None:
    line = refused("eval", *tiny, "--data", data_of(shared_tiny), "--device", device)

    assert line.startswith(f"error: --device {device} cannot be used")
    assert line.endswith("try auto or cpu")


def test_a_network_without_a_head_finds_no_boxes(refused: Any, tmp_path: Path, shared_tiny: Path) -> None:
    (tmp_path / "c.cfg").write_text("[net]\nwidth=8\nheight=8\n[convolutional]\nfilters=2\n")
    (tmp_path / "c.weights").write_bytes(bytes([0, 0, 0, 0, 2, 0, 0, 0]) + bytes(12 + 4 * 8))

    line = refused("eval", "--cfg", "c.cfg", "--weights", "c.weights", "--data", data_of(shared_tiny))

    assert "this network has no [yolo] layer" in line


def data_of(folder: Path) -> Path:
    """A data file of one picture that nobody gets to read."""
    (folder / "one.png").touch()
    (folder / "one.yaml").write_text("val: one.png\nnames: [round, square]\n")
    return folder / "one.yaml"
