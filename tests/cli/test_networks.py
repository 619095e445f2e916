"""``zoo``, ``cfg`` and ``info``: networks, with no pictures and no weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from yoloslim.graph.from_cfg import read_cfg


def test_zoo_lists_every_network_with_its_cost(run: Any) -> None:
    outcome = run("zoo")

    rows = {row["name"]: row for row in outcome.json["networks"]}
    assert set(rows) >= {"yolov3", "yolov3-tiny", "yolov4", "yolov4-tiny"}
    tiny = rows["yolov3-tiny"]
    assert (tiny["params"], tiny["weights_floats"], tiny["size"]) == (8_852_366, 8_858_734, [416, 416])
    assert tiny["gflops"] == pytest.approx(2 * tiny["macs"] / 1e9) == pytest.approx(5.56, abs=0.01)
    assert all(name in outcome.out for name in rows)
    assert outcome.err == ""


def test_cfg_writes_a_network_that_reads_back(run: Any, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("1,2 3,4 5,6\n7,8 9,10 11,12\n")

    outcome = run("cfg", "yolov3-tiny", "--classes", 3, "--size", "320x224", "--anchors", "a.txt", "--width", 0.5)

    graph = read_cfg(tmp_path / "yolov3-tiny.cfg")
    assert graph.input_shape == (3, 224, 320)
    assert graph.classes == outcome.json["classes"] == 3
    assert graph.heads[0][1].anchors[0] == (1, 2)
    assert outcome.json["path"] == "yolov3-tiny.cfg"
    assert outcome.json["params"] < 3_000_000


def test_a_network_can_be_named_with_a_data_set(run: Any, tmp_path: Path) -> None:
    run("cfg", "yolov4-tiny-hand", "--out", "ώρα 1/net.cfg")

    assert read_cfg(tmp_path / "ώρα 1" / "net.cfg").classes == 1


def test_info_tells_every_layer_and_the_totals(run: Any) -> None:
    outcome = run("info", "--cfg", "yolov3-tiny", "--size", 320)
    record = outcome.json

    assert record["size"] == [320, 320]
    assert sum(layer["macs"] for layer in record["layers"]) == record["macs"]
    assert sum(layer["params"] for layer in record["layers"]) == record["params"] == 8_852_366
    assert record["layers"][20]["inputs"] == ["019_upsample", "008_convolutional"]
    assert record["layers"][20]["output"] == [384, 20, 20]
    assert "of 019 008" in outcome.out
    assert outcome.out.endswith(
        "24 layers, 80 classes, 3.29 GFLOPs at 320x320\n8,852,366 parameters, 8,858,734 floats in a .weights file\n"
    )


@pytest.mark.parametrize("columns", [80, 140])
@pytest.mark.parametrize("name", ["yolov3-tiny", "yolov4"])
def test_info_has_one_line_a_layer(run: Any, monkeypatch: pytest.MonkeyPatch, columns: int, name: str) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))

    outcome = run("info", "--cfg", name)

    lines = outcome.out.splitlines()
    layers = outcome.json["layers"]
    assert max(map(len, lines)) <= columns
    assert [line.split()[0] for line in lines if line[1:4].isdecimal()] == [layer["name"] for layer in layers]
    spare = 6 if columns == 80 else 0  # the few lines that an option of a [yolo] section or a long route folds
    assert len(lines) <= len(layers) + 6 + spare


def test_info_reads_a_checkpoint_alone(run: Any, tiny: tuple[object, ...]) -> None:
    assert run("convert", tiny[3], "t.safetensors", *tiny[:2]).code == 0

    outcome = run("info", "--weights", "t.safetensors")

    assert (outcome.json["classes"], len(outcome.json["layers"])) == (2, 8)


def test_info_says_what_the_weights_lack(run: Any, tiny: tuple[object, ...]) -> None:
    run("convert", tiny[3], "t.conv.3", *tiny[:2], "--cutoff", 3)

    outcome = run("info", *tiny[:2], "--weights", "t.conv.3")

    assert outcome.code == 0
    assert outcome.err.startswith("warning: weights for layers 0 to 2 of 8 are loaded")
