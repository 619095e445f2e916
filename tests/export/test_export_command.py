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


@pytest.fixture(params=[".onnx", ".xml"])
def artefact(files: dict[str, Path], call: Call, request: pytest.FixtureRequest) -> Path:
    """The network as a file of each kind."""
    out = files["out"].with_suffix(request.param)
    code, _ = call("export", "--weights", files["weights"], "--out", out)
    assert code == 0
    return out


@pytest.mark.parametrize(
    ("kind", "names"),
    [("onnx", ["net.onnx"]), ("openvino", ["net.xml", "net.bin"]), ("darknet", ["a.cfg", "a.weights"])],
)
def test_export_writes_files_and_says_how_far_they_are_from_torch(
    kind: str, names: list[str], files: dict[str, Path], call: Call
) -> None:
    written = [files["out"].with_name(name) for name in names]

    code, report = call("export", "--weights", files["weights"], "--out", written[0], "--source", files["pictures"])

    assert (code, report["path"], report["format"]) == (0, str(written[0]), kind)
    assert report["bytes"] == sum(path.stat().st_size for path in written)
    assert 0 <= report["parity"]["max_rel_diff"] <= 1e-4
    assert report["parity"].keys() == {"max_abs_diff", "max_rel_diff"}


def test_export_takes_size_and_fit_from_the_user(files: dict[str, Path], call: Call) -> None:
    options = ["--size", "32x24", "--resize", "letterbox"]
    code, _ = call("export", "--weights", files["weights"], "--out", files["out"], *options)

    found = open_artefact(files["out"]).description
    assert (code, found.size, found.resize, found.names) == (0, (32, 24), "letterbox", ("hand",))
    assert "letter_box=1" in to_cfg(found.graph)


@pytest.mark.parametrize("suffix", [".onnx", ".xml", ".cfg"])
def test_export_fails_where_the_file_differs_from_torch(
    suffix: str, files: dict[str, Path], call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "MAX_REL_DIFF", -1.0)
    before = set(files["out"].parent.iterdir())

    code, report = call("export", "--weights", files["weights"], "--out", files["out"].with_name(f"other{suffix}"))

    assert (code, "not written" in report["error"]) == (1, True)
    assert set(files["out"].parent.iterdir()) - before == {files["out"].with_name("report.json")}


def test_weights_of_16_bits_halve_the_file_and_differ_by_their_rounding(files: dict[str, Path], call: Call) -> None:
    out = files["out"].with_suffix(".xml")
    _, whole = call("export", "--weights", files["weights"], "--out", out)
    whole_bytes = out.with_suffix(".bin").stat().st_size

    code, half = call("export", "--weights", files["weights"], "--out", out, "--half")

    assert (code, out.with_suffix(".bin").stat().st_size < 0.6 * whole_bytes) == (0, True)
    assert whole["parity"]["max_rel_diff"] < 1e-5 < half["parity"]["max_rel_diff"] < 1e-2


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("net.foo", [], "ends in one of .onnx (onnx), .xml (openvino), .cfg (darknet), or --format fpga, found '.foo'"),
        ("net", [], "found ''"),
        ("net.onnx", ["--format", "openvino"], "ends in .xml for --format openvino, found '.onnx': name it net.xml"),
        ("net.onnx", ["--half"], "--half: only OpenVINO's .xml can have weights of 16 bits"),
    ],
)
def test_export_refuses_what_does_not_go_with_the_name(
    name: str, options: list[str], message: str, files: dict[str, Path], call: Call
) -> None:
    out = files["out"].with_name(name)

    code, report = call("export", "--weights", files["weights"], "--out", out, *options)

    assert (code, out.exists()) == (2, False)
    assert message in report["error"]


def test_eval_gives_on_the_file_what_it_gives_on_the_checkpoint(
    files: dict[str, Path], artefact: Path, call: Call
) -> None:
    _, expected = call("eval", "--weights", files["weights"], "--data", files["data"])

    code, found = call("eval", "--weights", artefact, "--data", files["data"])

    assert (code, found["images"], found["detections"]) == (0, 2, expected["detections"])
    assert found["map50"] == pytest.approx(expected["map50"], abs=1e-6)


def test_detect_gives_on_the_file_what_it_gives_on_the_checkpoint(
    files: dict[str, Path], artefact: Path, call: Call
) -> None:
    options = ["--source", files["pictures"], "--conf", 0.01, "--no-save"]
    _, expected = call("detect", "--weights", files["weights"], *options)

    code, found = call("detect", "--weights", artefact, *options)

    pairs = list(zip(found["images"], expected["images"], strict=True))
    boxes = [[[d["box"] for d in image["detections"]] for image in pair] for pair in pairs]
    assert (code, len(boxes), boxes[0][0] != []) == (0, 2, True)
    for ours, theirs in boxes:
        np.testing.assert_allclose(ours, theirs, atol=1e-3)
    assert found["images"][0]["detections"][0]["class_name"] == "hand"


@pytest.mark.parametrize("command", ["eval", "detect"])
def test_a_command_on_the_file_never_loads_torch(command: str, files: dict[str, Path], artefact: Path) -> None:
    given = (
        ["--data", files["data"]]
        if command == "eval"
        else ["--source", files["pictures"], "--out", artefact.parent / "out"]
    )
    arguments = [command, "--weights", str(artefact), *map(str, given)]
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
    options: list[str], message: str, files: dict[str, Path], artefact: Path, call: Call
) -> None:
    code, report = call("eval", "--weights", artefact, "--data", files["data"], *options)

    assert code == 2
    assert message in report["error"]


def test_openvino_gives_on_an_onnx_file_what_onnxruntime_gives(files: dict[str, Path], call: Call) -> None:
    call("export", "--weights", files["weights"], "--out", files["out"])
    options = ["detect", "--weights", files["out"], "--source", files["pictures"], "--conf", 0.01, "--no-save"]
    found = {name: call(*options, "--backend", name)[1]["images"] for name in ("onnxruntime", "openvino")}

    boxes = [[[d["box"] for d in image["detections"]] for image in images] for images in found.values()]
    assert boxes[0][0] != []
    for ours, theirs in zip(*boxes, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "backend", "message"),
    [
        ("net.xml", "onnxruntime", "is run by openvino; leave --backend out"),
        ("net.safetensors", "openvino", "is run by torch; leave --backend out, or export it first"),
    ],
)
def test_a_backend_that_cannot_run_the_file_is_refused(
    name: str, backend: str, message: str, files: dict[str, Path], call: Call
) -> None:
    file = files["out"].with_name(name)

    code, report = call("detect", "--weights", file, "--source", files["pictures"], "--backend", backend)

    assert (code, message in report["error"]) == (2, True)


@pytest.mark.slow
@pytest.mark.parametrize("name", REFERENCES)
def test_eval_on_the_file_of_published_weights_gives_the_accuracy_of_torch(
    name: str, weights_dir: Path, data_dir: Path, tmp_path: Path, call: Call
) -> None:
    root, names = data_dir / "coco128_yolo", weights_dir / "coco.names"
    text = f"path: {root}\nval: images/val2017\nlabels: object_detection/labels\nnames: {names}\n"
    (tmp_path / "coco.yaml").write_text(text)
    own = ["--cfg", weights_dir / f"{name}.cfg", "--weights", weights_dir / f"{name}.weights"]
    _, expected = call("eval", *own, "--data", tmp_path / "coco.yaml")

    for out in (tmp_path / "net.onnx", tmp_path / "net.xml"):
        call("export", *own, "--out", out, "--source", data_dir / "images")
        _, found = call("eval", "--weights", out, "--data", tmp_path / "coco.yaml")

        assert found["images"] == expected["images"] == 128
        assert expected["map50"] > 0.25
        assert found["map50"] == pytest.approx(expected["map50"], abs=0.002)
