"""``compare``: two networks side by side on pictures."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest

LOW = ("--conf", 0.2)


@pytest.fixture
def networks(shared_tiny: Path, tmp_path: Path, run: Any) -> tuple[Path, Path]:
    """The tiny network with its cfg beside it, and as ONNX file."""
    for name in ("tiny.cfg", "tiny.weights"):
        shutil.copy(shared_tiny / name, tmp_path)
    own = ("--cfg", "tiny.cfg", "--weights", "tiny.weights", "--names", shared_tiny / "tiny.names")
    assert run("export", *own, "--out", "other.onnx", "--quiet").code == 0
    return Path("tiny.weights"), Path("other.onnx")


def test_a_network_agrees_with_its_exported_form(run: Any, networks: tuple[Path, Path], pictures: Path) -> None:
    outcome = run("compare", *networks, "--source", pictures, "--out", "pairs", *LOW)

    total, rows = outcome.json["total"], outcome.json["pictures"]
    assert total["first"] == total["second"] == total["matched"] == sum(row["matched"] for row in rows) > 0
    assert total["max_score_change"] < 1e-4
    assert [row["name"] for row in rows] == [f"{number}.png" for number in range(6)]
    assert outcome.json["path"] == "pairs/compare.html"
    assert outcome.out.endswith("side by side: pairs/compare.html\n")


def test_every_picture_is_drawn_for_both_and_shown_on_the_page(
    run: Any, networks: tuple[Path, Path], pictures: Path
) -> None:
    outcome = run("compare", *networks, "--source", pictures, *LOW)

    page = Path(outcome.json["path"])
    html = page.read_text("utf-8")
    assert page.parent.name == "tiny-other-001"
    assert "<title>tiny.weights and other.onnx" in html
    for row in outcome.json["pictures"]:
        pair = cv2.imread(str(page.parent / row["file"]))
        width = pair.shape[1] // 2
        assert pair.shape[1] == 2 * 640
        assert (pair[-480:, :width] == pair[-480:, width:]).all()  # the same boxes on both sides
        assert f'src="{row["file"]}"' in html


def test_a_bad_picture_is_told_and_left_out(run: Any, networks: tuple[Path, Path], pictures: Path) -> None:
    (pictures / "9.png").write_text("no picture")

    outcome = run("compare", *networks, "--source", pictures, *LOW)

    assert (outcome.code, len(outcome.json["pictures"])) == (0, 6)
    assert "9.png" in outcome.json["problems"][0]
    assert "9.png" in outcome.err


def test_what_cannot_be_compared_is_told(
    run: Any, networks: tuple[Path, Path], pictures: Path, refused: Callable[..., str]
) -> None:
    weights, artefact = networks
    three = Path("three.cfg")
    three.write_text(Path("tiny.cfg").read_text().replace("classes=2", "classes=3").replace("filters=14", "filters=16"))
    run("convert", weights, "three.safetensors", "--cfg", three, "--quiet")

    for arguments, message in (
        (("three.safetensors", artefact), "three.safetensors has 3 classes, other.onnx has 2"),
        (("none.weights", artefact), "expected its cfg beside it, found no none.cfg"),
        ((weights, "none.xml"), "none.xml: expected an OpenVINO file, found nothing"),
    ):
        assert message in refused("compare", *arguments, "--source", pictures)
    assert "might be overwritten" in refused("compare", weights, artefact, "--source", pictures, "--out", pictures)
    assert not Path("runs").exists()
