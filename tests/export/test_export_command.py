"""`yoloslim export`, and `eval` and `detect` on what it writes."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from yoloslim.cli import main
from yoloslim.graph.to_cfg import to_cfg
from yoloslim.recipes import export as recipe
from yoloslim.runtime.artefact import open_artefact
from yoloslim.runtime.load import Model
from yoloslim.runtime.save import save_all

LAYER = "[convolutional]\nfilters=8\nsize=3\npad=1\nbatch_normalize=1\nactivation=leaky"
REFERENCES = ["yolov3-tiny", "MobileNetV2-YOLOv3-Nano-coco", "yolo-fastest-1.1", "yolo-fastest-1.1-xl"]
Call = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def files(tiny, random_network, tmp_path: Path) -> dict[str, Path]:
    """A tiny network as checkpoint, and two labelled pictures."""
    save_all(Model(random_network(tiny(LAYER)), ("hand",)), tmp_path, "net")
    pictures = tmp_path / "images"
    pictures.mkdir()
    for index in range(2):
        picture = np.random.default_rng(index).integers(0, 255, (20, 30, 3), dtype=np.uint8)
        cv2.imwrite(str(pictures / f"{index}.png"), picture)
        (pictures / f"{index}.txt").write_text("0 .5 .5 .4 .4\n")
    (tmp_path / "data.yaml").write_text("path: .\nval: images\nnames: [hand]\n")
    names = {"weights": "net.safetensors", "data": "data.yaml", "pictures": "images", "out": "net.onnx"}
    return {key: tmp_path / name for key, name in names.items()}


@pytest.fixture
def call(tmp_path: Path) -> Call:
    """Runs a command and gives its exit code and its JSON."""

    def run(*arguments: object) -> tuple[int, dict[str, Any]]:
        report = tmp_path / "report.json"
        code = main([*map(str, arguments), "--quiet", "--json", str(report)])
        return code, json.loads(report.read_text())

    return run


@pytest.fixture
def onnx_file(files: dict[str, Path], call: Call) -> Path:
    code, _ = call("export", "--weights", files["weights"], "--out", files["out"])
    assert code == 0
    return files["out"]


def test_export_writes_a_file_and_says_how_far_it_is_from_torch(files: dict[str, Path], call: Call) -> None:
    code, report = call("export", "--weights", files["weights"], "--out", files["out"], "--source", files["pictures"])

    assert (code, report["path"], report["format"]) == (0, str(files["out"]), "onnx")
    assert report["bytes"] == files["out"].stat().st_size
    assert 0 <= report["parity"]["max_rel_diff"] <= 1e-4
    assert report["parity"].keys() == {"max_abs_diff", "max_rel_diff"}


def test_export_takes_size_and_fit_from_the_user(files: dict[str, Path], call: Call) -> None:
    options = ["--size", "32x24", "--resize", "letterbox"]
    code, _ = call("export", "--weights", files["weights"], "--out", files["out"], *options)

    found = open_artefact(files["out"]).description
    assert (code, found.size, found.resize, found.names) == (0, (32, 24), "letterbox", ("hand",))
    assert "letter_box=1" in to_cfg(found.graph)


def test_export_fails_where_the_file_differs_from_torch(
    files: dict[str, Path], call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "MAX_REL_DIFF", -1.0)

    code, report = call("export", "--weights", files["weights"], "--out", files["out"])

    assert (code, files["out"].exists()) == (1, False)
    assert "not written" in report["error"]


def test_export_refuses_a_name_that_eval_would_not_know(files: dict[str, Path], call: Call) -> None:
    code, report = call("export", "--weights", files["weights"], "--out", files["out"].with_suffix(".bin"))

    assert code == 2
    assert "expected a name that ends in .onnx" in report["error"]


def test_eval_gives_on_the_file_what_it_gives_on_the_checkpoint(
    files: dict[str, Path], onnx_file: Path, call: Call
) -> None:
    _, expected = call("eval", "--weights", files["weights"], "--data", files["data"])

    code, found = call("eval", "--weights", onnx_file, "--data", files["data"])

    assert (code, found["images"], found["detections"]) == (0, 2, expected["detections"])
    assert found["map50"] == pytest.approx(expected["map50"], abs=1e-6)


def test_detect_gives_on_the_file_what_it_gives_on_the_checkpoint(
    files: dict[str, Path], onnx_file: Path, call: Call
) -> None:
    options = ["--source", files["pictures"], "--conf", 0.01, "--no-save"]
    _, expected = call("detect", "--weights", files["weights"], *options)

    code, found = call("detect", "--weights", onnx_file, *options)

    pairs = list(zip(found["images"], expected["images"], strict=True))
    boxes = [[[d["box"] for d in image["detections"]] for image in pair] for pair in pairs]
    assert (code, len(boxes), boxes[0][0] != []) == (0, 2, True)
    for ours, theirs in boxes:
        np.testing.assert_allclose(ours, theirs, atol=1e-3)
    assert found["images"][0]["detections"][0]["class_name"] == "hand"


@pytest.mark.parametrize("command", ["eval", "detect"])
def test_a_command_on_the_file_never_loads_torch(command: str, files: dict[str, Path], onnx_file: Path) -> None:
    given = (
        ["--data", files["data"]]
        if command == "eval"
        else ["--source", files["pictures"], "--out", onnx_file.parent / "out"]
    )
    arguments = [command, "--weights", str(onnx_file), *map(str, given)]
    code = f"import sys\nfrom yoloslim.cli import main\ncode = main({arguments})\nprint(code, 'torch' in sys.modules)"

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.splitlines()[-1] == "0 False", run.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--cfg", "yolov3"], "brings its own network; leave --cfg out"),
        (["--size", "32"], "is for 16x16 alone; export it again with --size 32"),
        (["--device", "cuda"], "runs on the CPU; use auto or cpu"),
    ],
)
def test_what_a_file_cannot_do_is_told(
    options: list[str], message: str, files: dict[str, Path], onnx_file: Path, call: Call
) -> None:
    code, report = call("eval", "--weights", onnx_file, "--data", files["data"], *options)

    assert code == 2
    assert message in report["error"]


@pytest.mark.slow
@pytest.mark.parametrize("name", REFERENCES)
def test_eval_on_the_file_of_published_weights_gives_the_accuracy_of_torch(
    name: str, weights_dir: Path, data_dir: Path, tmp_path: Path, call: Call
) -> None:
    root, names = data_dir / "coco128_yolo", weights_dir / "coco.names"
    text = f"path: {root}\nval: images/val2017\nlabels: object_detection/labels\nnames: {names}\n"
    (tmp_path / "coco.yaml").write_text(text)
    own = ["--cfg", weights_dir / f"{name}.cfg", "--weights", weights_dir / f"{name}.weights"]
    call("export", *own, "--out", tmp_path / "net.onnx", "--source", data_dir / "images")

    _, expected = call("eval", *own, "--data", tmp_path / "coco.yaml")
    _, found = call("eval", "--weights", tmp_path / "net.onnx", "--data", tmp_path / "coco.yaml")

    assert found["images"] == expected["images"] == 128
    assert expected["map50"] > 0.25
    assert found["map50"] == pytest.approx(expected["map50"], abs=0.002)
