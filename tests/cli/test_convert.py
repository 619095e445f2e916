"""``convert``: weights from one file format to another."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from yoloslim.graph.from_cfg import read_cfg
from yoloslim.weights.checkpoint import load_checkpoint


def test_weights_become_a_checkpoint_and_the_same_weights_again(
    run: Any, tiny: tuple[object, ...], shared_tiny: Path, tmp_path: Path
) -> None:
    there = run("convert", tiny[3], "t.safetensors", *tiny[:2], "--names", shared_tiny / "tiny.names")
    back = run("convert", "t.safetensors", "back/t.weights")

    assert there.json["paths"] == ["t.safetensors"]
    assert load_checkpoint(tmp_path / "t.safetensors").names == ("round", "square")
    assert back.json["paths"] == ["back/t.weights", "back/t.cfg"]
    assert (tmp_path / "back" / "t.weights").read_bytes() == (shared_tiny / "tiny.weights").read_bytes()
    assert read_cfg(tmp_path / "back" / "t.cfg").classes == 2


def test_a_file_is_never_converted_onto_itself(run: Any, tiny: tuple[object, ...], shared_tiny: Path) -> None:
    shutil.copy(shared_tiny / "tiny.weights", "own.weights")

    outcome = run("convert", "own.weights", "./own.weights", *tiny[:2], "--cutoff", 1)

    assert outcome.code == 2
    assert "IN and OUT are the same file" in outcome.err
    assert Path("own.weights").read_bytes() == (shared_tiny / "tiny.weights").read_bytes()


def test_the_leading_layers_alone_can_be_written(run: Any, tiny: tuple[object, ...], shared_tiny: Path) -> None:
    outcome = run("convert", tiny[3], "t.conv.2", *tiny[:2], "--cutoff", 2)

    assert outcome.json["paths"] == ["t.conv.2"]
    whole = (shared_tiny / "tiny.weights").read_bytes()
    part = Path("t.conv.2").read_bytes()
    assert whole.startswith(part)
    assert 20 < len(part) < len(whole)


def test_the_epsilon_of_a_legacy_file_is_made_up_for(run: Any, tiny: tuple[object, ...], shared_tiny: Path) -> None:
    run("convert", tiny[3], "t.safetensors", *tiny[:2])
    tensors = load_checkpoint(Path("t.safetensors")).tensors
    torch.save({"model": originals_names(tensors)}, "t.pt")

    run("convert", "t.pt", "a.safetensors", *tiny[:2], "--bn-eps", 1e-3)

    name = "000_convolutional.norm.running_var"
    added = load_checkpoint(Path("a.safetensors")).tensors[name] - tensors[name]
    torch.testing.assert_close(added, torch.full_like(added, 1e-3 - 1e-6), rtol=1e-3, atol=1e-6)


def originals_names(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors under the names that the originals' PyTorch code gives them."""
    parts = {"conv": "Conv2d", "norm": "BatchNorm2d"}
    renamed = {}
    for name, tensor in tensors.items():
        node, part, key = name.split(".")
        renamed[f"module_list.{int(node[:3])}.{parts[part]}.{key}"] = tensor
    return renamed


def test_a_cfg_of_another_network_beside_the_weights_is_left_and_told(
    run: Any, tiny: tuple[object, ...], shared_tiny: Path
) -> None:
    run("convert", tiny[3], "t.safetensors", *tiny[:2])
    other = (shared_tiny / "tiny.cfg").read_text().replace("mish", "relu")
    Path("t.cfg").write_text(other)

    outcome = run("convert", "t.safetensors", "t.weights")

    assert outcome.code == 0
    assert outcome.err.startswith("warning: t.cfg was there before and is not the cfg of these weights")
    assert Path("t.cfg").read_text() == other


def test_the_cfg_of_a_letterboxed_checkpoint_says_so(run: Any, tiny: tuple[object, ...], shared_tiny: Path) -> None:
    shutil.copy(shared_tiny / "tiny.weights", "t.weights")
    cfg = (shared_tiny / "tiny.cfg").read_text().replace("channels=3", "channels=3\nletter_box=1")
    Path("t.cfg").write_text(cfg)

    run("convert", "t.weights", "t.safetensors", "--cfg", "t.cfg")
    run("convert", "t.safetensors", "new/t.weights")

    assert load_checkpoint(Path("t.safetensors")).resize == "letterbox"
    assert "letter_box=1" in Path("new/t.cfg").read_text()


@pytest.mark.parametrize(
    ("out", "options", "words"),
    [
        (
            "u.safetensors",
            ("--cutoff", 2),
            "--cutoff 2: a .safetensors holds all layers; give OUT a name such as u.conv.2",
        ),
        ("u.weights", ("--bn-eps", 1e-4), "--bn-eps 0.0001: expected a legacy .pt as IN, found t.safetensors"),
        ("u.conv.9", ("--cutoff", 9), "cutoff=9: expected 1 to 8, the number of layers of the cfg"),
        ("u.weights", ("--bn-eps", 3), "Invalid value for '--bn-eps'"),
    ],
)
def test_an_option_that_would_have_no_effect_is_refused(
    run: Any, refused: Any, tiny: tuple[object, ...], out: str, options: tuple[object, ...], words: str
) -> None:
    run("convert", tiny[3], "t.safetensors", *tiny[:2])

    assert words in refused("convert", "t.safetensors", out, *options)
    assert not Path(out).exists()


def test_a_cfg_that_darknet_does_not_read_is_told_with_what_writes_another(run: Any) -> None:
    outcome = run("cfg", "yolov3tiny-mobilenetv3-small", "--width", 0.25, "--out", "m.cfg")

    assert "Darknet does not know 11 [depthwise] and 9 [se]; export --out NAME.cfg writes" in outcome.out
    assert "Darknet does not know activation=h_swish" in outcome.out
    assert "Darknet" not in run("cfg", "yolov3-tiny").out


@pytest.mark.parametrize("suffix", [".onnx", ".pt", ""])
def test_a_format_that_cannot_be_written_is_refused(refused: Any, tiny: tuple[object, ...], suffix: str) -> None:
    line = refused("convert", tiny[3], f"t{suffix}", *tiny[:2])

    assert f"can write .weights and .safetensors, found '{suffix}'" in line


def test_names_must_be_as_many_as_classes(refused: Any, tiny: tuple[object, ...], tmp_path: Path) -> None:
    (tmp_path / "three.names").write_text("a\nb\nc\n")

    line = refused("convert", tiny[3], "t.safetensors", *tiny[:2], "--names", "three.names")

    assert line == "error: --names three.names: expected a name for each of 2 classes, found 3 names"
    assert not Path("t.safetensors").exists()
