"""``bench``: latencies of several networks beside each other."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

QUICK = ("--rounds", 2)


@pytest.fixture
def exported(run: Any, tiny: tuple[object, ...], tmp_path: Path) -> list[Path]:
    """The tiny network as .onnx and .xml."""
    files = [tmp_path / "tiny.onnx", tmp_path / "tiny.xml"]
    for file in files:
        assert run("export", *tiny, "--out", file, "--quiet").code == 0
    return files


def test_every_artefact_has_a_row_for_each_backend_that_runs_it(
    run: Any, shared_tiny: Path, exported: list[Path], pictures: Path
) -> None:
    outcome = run("bench", shared_tiny / "tiny.weights", *exported, "--source", pictures, *QUICK)

    rows = outcome.json["rows"]
    assert [(Path(row["artefact"]).suffix, row["backend"]) for row in rows] == [
        (".weights", "torch"), (".onnx", "onnxruntime"), (".onnx", "openvino"), (".xml", "openvino"),
    ]  # fmt: skip
    for row in rows:
        assert row["p95_ms"] >= row["p50_ms"] >= row["infer_ms"] > 0
        assert min(row["pre_ms"], row["post_ms"]) > 0
        assert row["ratio"] == pytest.approx(row["p50_ms"] / rows[0]["p50_ms"])
        assert (row["size"], row["quantized"]) == ([64, 64], False)
    assert {"torch", "onnxruntime", "openvino"} <= outcome.json["versions"].keys()
    assert outcome.json["machine"]["cores"] >= 1
    assert "ratio" in outcome.out


def test_backends_size_and_threads_are_the_users(run: Any, exported: list[Path]) -> None:
    options = ("--backend", "openvino", "--backend", "torch", "--threads", 1, "--batch", 2, *QUICK)

    outcome = run("bench", *exported, "yolov4-tiny", "--size", "64", *options)

    assert [row["backend"] for row in outcome.json["rows"]] == ["openvino", "openvino", "torch"]
    assert (outcome.json["threads"], outcome.json["batch"], outcome.json["rounds"]) == (1, 2, 2)


@pytest.mark.parametrize(("load", "told"), [(0.0, []), (1e3, ["the machine was busy (load 1000.0 on"])])
def test_a_busy_machine_is_told(
    load: float, told: list[str], run: Any, exported: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (load, 0.0, 0.0))

    outcome = run("bench", exported[0], "--backend", "onnxruntime", *QUICK)

    assert [text[:34] for text in outcome.json["warnings"]] == [text[:34] for text in told]
    assert outcome.json["machine"]["load"] == load


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tiny.xml", "--backend", "onnxruntime"], "is run by openvino, not by --backend onnxruntime: add one"),
        (["tiny.onnx", "--backend", "tensorrt"], "--backend tensorrt: expected one of torch, onnxruntime, openvino"),
        (["tiny.onnx", "--size", "32"], "is for 64x64 alone; export it again with --size 32"),
        (["none.onnx"], "none.onnx: expected an ONNX file, found nothing"),
        (["none.weights"], "expected its cfg beside it, found no none.cfg; only a .safetensors needs none"),
        (["yolov44"], "'yolov44' is no network"),
        (["tiny.onnx", "--source", "none"], "none: expected a picture"),
    ],
)
def test_what_cannot_be_measured_is_told(
    arguments: list[str], message: str, refused: Callable[..., str], exported: list[Path]
) -> None:
    assert message in refused("bench", *arguments)


def test_exported_files_are_measured_without_torch(exported: list[Path]) -> None:
    arguments = ["bench", *map(str, exported), "--rounds", "1"]
    code = f"import sys\nfrom yoloslim.cli import main\ncode = main({arguments})\nprint(code, 'torch' in sys.modules)"

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.splitlines()[-1] == "0 False", run.stderr
