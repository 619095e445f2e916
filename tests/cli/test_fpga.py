"""``quantize``, ``export``, ``eval``, ``detect`` and ``check`` for an FPGA, as a user types them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from yoloslim.graph.from_cfg import read_cfg
from yoloslim.graph.to_cfg import to_cfg
from yoloslim.zoo.catalog import find


@pytest.fixture
def legal(run: Any, tiny: tuple[object, ...]) -> tuple[object, ...]:
    """The tiny network with leaky in place of mish, as ``check --fix`` writes it."""
    assert run("check", "--cfg", tiny[1], "--for", "fpga", "--fix", "--out", "legal.cfg").code == 0
    return ("--cfg", "legal.cfg", *tiny[2:])


@pytest.fixture
def checkpoint(run: Any, legal: tuple[object, ...], data: Path) -> str:
    """That network, quantized for an FPGA."""
    outcome = run("quantize", *legal, "--data", data, "--for", "fpga", "--power-of-two")
    assert outcome.code == 0, outcome.err
    return outcome.json["checkpoint"]


def test_a_folder_is_written_checked_and_found_equal(run: Any, checkpoint: str, pictures: Path) -> None:
    outcome = run("export", "--weights", checkpoint, "--format", "fpga", "--out", "net", "--source", pictures)

    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.json["path"] == "net/index.json"
    assert outcome.json["parity"]["max_abs_diff"] == 0
    assert outcome.json["parity"]["layers"]["equal_share"] == 1
    assert "5 convolutions on integers, 100.00% of codes equal" in outcome.out
    layers = Path("net/layers").iterdir()
    assert outcome.json["bytes"] == sum(path.stat().st_size for path in (Path("net/index.json"), *layers))


def test_tiles_are_named_as_the_user_says(run: Any, checkpoint: str) -> None:
    tiles = ("--tile-outputs", 8, "--tile-inputs", 4)
    assert run("export", "--weights", checkpoint, "--format", "fpga", "--out", "net", *tiles).code == 0

    rows = json.loads(Path("net/index.json").read_text())["layers"]

    assert [row["tile"] for row in rows if "tile" in row] == [[8, 3], [8, 4], [8, 4], [8, 4], [8, 4]]


def test_the_folder_and_the_checkpoint_evaluate_and_detect_alike(
    run: Any, checkpoint: str, data: Path, pictures: Path
) -> None:
    run("export", "--weights", checkpoint, "--format", "fpga", "--out", "net")

    evaluated = [
        run("eval", "--weights", *weights, "--data", data).json["map50"]
        for weights in (("net/index.json",), (checkpoint, "--backend", "integer"), (checkpoint,))
    ]
    found = [
        [image["detections"] for image in run("detect", "--weights", *weights, "--source", pictures).json["images"]]
        for weights in (("net/index.json",), (checkpoint, "--backend", "integer"))
    ]

    assert evaluated[0] == evaluated[1]
    assert evaluated[0] == pytest.approx(evaluated[2], abs=0.02)
    assert found[0] == found[1]


def test_the_folder_runs_without_torch(run: Any, checkpoint: str, pictures: Path) -> None:
    run("export", "--weights", checkpoint, "--format", "fpga", "--out", "net")
    code = (
        "import sys; from yoloslim.cli import main; "
        f"code = main(['detect', '--weights', 'net/index.json', '--source', {str(pictures)!r}, '--quiet']); "
        "sys.exit(code or 'torch' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_check_names_every_layer_that_a_target_refuses_and_what_to_write(run: Any) -> None:
    Path("v4.cfg").write_text(to_cfg(find("yolov4")))

    outcome = run("check", "--cfg", "v4.cfg", "--for", "fpga")

    told = outcome.json["problems"]
    assert outcome.code == 1
    assert sum("cannot run activation=mish" in problem["message"] for problem in told) == 72
    assert sum("cannot run pooling windows" in problem["message"] for problem in told) == 2
    assert "write activation=leaky and fine-tune" in told[0]["message"]
    assert all(problem["line"] for problem in told)


def test_check_mends_a_cfg_for_a_target_and_keeps_its_shapes(run: Any) -> None:
    Path("v4.cfg").write_text(to_cfg(find("yolov4")))

    assert run("check", "--cfg", "v4.cfg", "--for", "fpga", "--fix", "--out", "fpga.cfg").code == 0
    assert run("check", "--cfg", "fpga.cfg", "--for", "fpga").json["problems"] == []
    ops = [[(node.name, getattr(node.op, "filters", 0)) for node in read_cfg(name)] for name in ("v4.cfg", "fpga.cfg")]
    assert ops[0] == ops[1]


def test_quantize_refuses_what_the_target_cannot_run_and_names_the_report(
    refused: Any, tiny: tuple[object, ...], data: Path
) -> None:
    line = refused("quantize", *tiny, "--data", data, "--for", "fpga")

    assert "005_convolutional: fpga cannot run activation=mish" in line
    assert "write activation=leaky and fine-tune" in line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--out", "net"), "or --format fpga, found ''"),
        (("--out", "net", "--format", "fpga"), "integers alone need a network made for fpga, this one is in float"),
        (("--out", "net.onnx", "--tile-inputs", 4), "only --format fpga has tiles, net.onnx is for onnx"),
    ],
)
def test_an_export_that_cannot_be_is_told(
    refused: Any, tiny: tuple[object, ...], options: tuple[object, ...], message: str
) -> None:
    assert message in refused("export", *tiny, *options)
    assert not Path("net").exists()
