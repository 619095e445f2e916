"""`yoloslim eval` gives the accuracy that OpenCV and COCO's metric give on 128 pictures of COCO val2017.

The figures are those of the table in the data folder's README; its script computes them again from the same files.
"""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from yoloslim.cli import app

TOLERANCE = 0.005
REFERENCE_CONF = "0.005"

# weights, resize -> AP50, AP
TABLE = {
    ("yolov3-tiny as published", "stretch"): (0.2852, 0.1527),
    ("yolov3-tiny as published", "letterbox"): (0.2896, 0.1676),
    ("yolov3-tiny", "stretch"): (0.4311, 0.2153),
    ("yolov3-tiny", "letterbox"): (0.4544, 0.2417),
    ("yolo-fastest-1.1", "stretch"): (0.3706, 0.1614),
    ("yolo-fastest-1.1", "letterbox"): (0.3632, 0.1622),
    ("yolo-fastest-1.1-xl", "stretch"): (0.4509, 0.2250),
    ("yolo-fastest-1.1-xl", "letterbox"): (0.4097, 0.2069),
    ("MobileNetV2-YOLOv3-Nano-coco", "stretch"): (0.3777, 0.1658),
    ("MobileNetV2-YOLOv3-Nano-coco", "letterbox"): (0.3712, 0.1619),
}
QUICK = {("yolo-fastest-1.1", "stretch", REFERENCE_CONF), ("yolo-fastest-1.1", "letterbox", "")}
ROWS = [
    pytest.param(
        name, resize, conf,
        id=f"{name}, {resize}, {f'conf {conf}' if conf else 'default conf'}",
        marks=[] if (name, resize, conf) in QUICK else pytest.mark.slow,
    )
    for name, resize in TABLE for conf in (REFERENCE_CONF, "")
]  # fmt: skip


@pytest.fixture
def data_file(data_dir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A data file that names the folder of data by its variable, as users' do."""
    monkeypatch.setenv("YOLOSLIM_TEST_DATA", str(data_dir))
    text = (
        "path: ${YOLOSLIM_TEST_DATA}/coco128_yolo\n"
        "train: images/train2017\n"
        "val: images/val2017\n"
        "labels: object_detection/labels\n"
        "names: ../weights/coco.names\n"
    )
    (tmp_path / "coco128.yaml").write_text(text)
    return tmp_path / "coco128.yaml"


@pytest.fixture
def cfg_of(weights_dir: Path, tmp_path: Path):
    """Gives the cfg of a row: the published one, or yolov3-tiny's with the masks that its weights were trained with."""

    def find(name: str) -> Path:
        if name != "yolov3-tiny":
            return weights_dir / f"{name.removesuffix(' as published')}.cfg"
        text = (weights_dir / "yolov3-tiny.cfg").read_text()
        before, mask, after = text.rpartition("mask = 0,1,2")
        assert mask
        (tmp_path / "yolov3-tiny.cfg").write_text(f"{before}mask = 1,2,3{after}")
        return tmp_path / "yolov3-tiny.cfg"

    return find


@pytest.mark.parametrize(("name", "resize", "conf"), ROWS)
def test_eval_gives_the_reference_accuracy(
    name: str, resize: str, conf: str, cfg_of, weights_dir: Path, data_file: Path, tmp_path: Path
) -> None:
    weights, report = weights_dir / f"{name.removesuffix(' as published')}.weights", tmp_path / "eval.json"
    options = {"--cfg": cfg_of(name), "--weights": weights, "--data": data_file, "--resize": resize, "--json": report}
    arguments = [str(part) for option in {**options, **({"--conf": conf} if conf else {})}.items() for part in option]

    result = CliRunner().invoke(app, ["eval", *arguments, "--quiet"])

    assert result.exit_code == 0, result.output
    found = json.loads(report.read_text())
    assert found["images"] == 128
    assert (found["map50"], found["map"]) == pytest.approx(TABLE[name, resize], abs=TOLERANCE)
