"""``anchors``: found for a data set, compared with those of a cfg, written into it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from yoloslim.graph.from_cfg import read_cfg
from yoloslim.graph.head_anchors import anchors_in_use


@pytest.fixture
def boxes(tmp_path: Path) -> Path:
    """A data file with twelve boxes of two shapes in pictures of 64x32."""
    rng = np.random.default_rng(0)
    for number in range(6):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((32, 64, 3), np.uint8))
        small, large = rng.uniform(0.1, 0.13, 2), rng.uniform(0.6, 0.7, 2)
        lines = [f"0 .5 .5 {w:.4f} {h:.4f}\n" for w, h in (small, large)]
        (tmp_path / f"{number}.txt").write_text("".join(lines))
    (tmp_path / "a.yaml").write_text("train: .\nval: .\nnames: [thing]\n")
    return tmp_path / "a.yaml"


def test_anchors_are_told_in_the_form_that_cfg_reads(boxes: Path, run: Any) -> None:
    outcome = run("anchors", "--data", boxes, "--count", 9, "--out", "anchors.txt")

    record = outcome.json
    assert (len(record["anchors"]), record["boxes"], record["size"]) == (9, 12, [416, 416])
    assert record["present"] is None
    assert 0.9 < record["mean_iou"] <= 1
    text = " ".join(f"{w:g},{h:g}" for w, h in record["anchors"])
    assert text in outcome.out.splitlines()
    assert Path("anchors.txt").read_text() == f"{text}\n"
    assert run("cfg", "yolov4-tiny-3l", "--anchors", "anchors.txt", "--classes", 1, "--out", "new.cfg").code == 0
    assert sorted(anchors_in_use(read_cfg("new.cfg"))) == sorted(map(tuple, record["anchors"]))


def test_a_cfg_gets_them_and_is_compared_with(boxes: Path, shared_tiny: Path, run: Any) -> None:
    outcome = run("anchors", "--data", boxes, "--cfg", shared_tiny / "tiny.cfg", "--out", "new.cfg")

    record = outcome.json
    assert (len(record["anchors"]), record["size"], record["resize"]) == (2, [64, 64], "letterbox")
    assert record["present"]["anchors"] == [[10, 14], [23, 27]]
    assert record["mean_iou"] > record["present"]["mean_iou"]
    assert [list(pair) for pair in anchors_in_use(read_cfg("new.cfg"))] == record["anchors"]
    assert "wrote new.cfg" in outcome.out


def test_boxes_are_measured_as_training_sees_them(boxes: Path, run: Any) -> None:
    def heights(*options: object) -> float:
        found: float = run("anchors", "--data", boxes, "--count", 2, *options).json["anchors"][1][1]
        return found

    letterboxed, stretched, smaller = heights(), heights("--resize", "stretch"), heights("--size", "208")

    assert stretched == pytest.approx(2 * letterboxed, rel=0.02)  # pictures of 64x32
    assert smaller == pytest.approx(letterboxed / 2, rel=0.02)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cfg", "yolov3-tiny", "--count", 9], "yolov3-tiny: expected --count 9, found 6 anchors in 2 heads"),
        (["--count", 20], "expected boxes of at least 20 different shapes for 20 anchors"),
        (["--split", "test"], "expected a split 'test'"),
        (["--cfg", "none.cfg"], "none.cfg: cannot read this cfg"),
        (["--size", "big"], "--size big: expected a number of pixels"),
    ],
)
def test_wrong_calls_end_in_one_line(boxes: Path, refused: Any, arguments: list[object], message: str) -> None:
    assert message in refused("anchors", "--data", boxes, *arguments)


def test_a_cfg_may_be_written_over_itself(boxes: Path, shared_tiny: Path, run: Any) -> None:
    Path("my.cfg").write_bytes(b"# f\xfcr mich\n" + (shared_tiny / "tiny.cfg").read_bytes())

    outcome = run("anchors", "--data", boxes, "--cfg", "my.cfg", "--out", "my.cfg", "--quiet")

    assert (outcome.code, outcome.out) == (0, "")
    assert Path("my.cfg").read_bytes().startswith(b"# f\xfcr mich\n[net]")
