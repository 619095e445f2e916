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


def test_cfg_joins_any_backbone_and_head(run: Any, tmp_path: Path) -> None:
    (tmp_path / "nine.txt").write_text("1,2 3,4 5,6 7,8 9,10 11,12 13,14 15,16 17,18")
    options = ("--classes", 20, "--anchors", "nine.txt", "--size", 416, "--width", 0.5, "--out", "my.cfg")

    outcome = run("cfg", "mobilenetv3-large+yolov3", *options)

    graph = read_cfg(tmp_path / "my.cfg")
    assert outcome.json["path"] == "my.cfg"
    assert (graph.classes, graph.input_shape, len(graph.heads)) == (20, (3, 416, 416), 3)
    assert graph.heads[0][1].anchors[-1] == (17, 18)
    assert graph.nodes[0].op.filters == 8


@pytest.mark.parametrize(
    "name",
    """yolov3-mobilenetv3 yolov3tiny-mobilenetv3-small yolov3-spp yolov3-tiny-3l yolov4-tiny-3l yolov4-csp yolov4x-mish
    yolov7-tiny yolov2 yolov2-tiny yolov3tiny-ghostnet yolov3tiny-efficientnet-b0 yolo-fastest-1.1 yolo-fastest-1.1-xl
    ghostnet+yolov3 efficientnet-b0+yolov4 yolov3-tiny-hand yolov3-mobilenetv3-visdrone""".split(),
)
def test_cfg_writes_every_network_with_no_problem_to_tell(run: Any, name: str) -> None:
    assert run("cfg", name, "--out", "net.cfg").code == 0

    assert run("check", "--cfg", "net.cfg").json["problems"] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["yolov3-tiny", "--anchors", "bad.txt"],
            "--anchors bad.txt: expected anchors as 'w,h w,h ...', found '10;14'",
        ),
        (
            ["yolov3-tiny", "--size", "99999"],
            "--size 99999: expected a number of pixels such as 416, or WIDTHxHEIGHT such as 640x480, 65536 at most",
        ),
        (["yolov3-tny"], "did you mean yolov3-tiny"),
        (["yolov3+"], "'yolov3' is no backbone; known: darknet19"),
        (["yolov3-tiny", "--out", "."], "cannot write this file"),
    ],
)
def test_cfg_refuses_in_one_line(refused: Any, tmp_path: Path, arguments: list[str], words: str) -> None:
    (tmp_path / "bad.txt").write_text("10;14 1,2")

    assert words in refused("cfg", *arguments)


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


def test_info_tells_what_a_layer_sees_its_lanes_and_its_part(run: Any) -> None:
    layers = run("info", "--cfg", "yolov3").json["layers"]

    shortcut, head = layers[74], layers[81]
    assert (shortcut["sees"], shortcut["part"], head["part"]) == ([725, 725], "backbone", "head")
    assert (shortcut["lanes"], shortcut["tied_lanes"], shortcut["fixed_lanes"]) == (1024, 1024, 0)
    assert (head["lanes"], head["tied_lanes"], head["fixed_lanes"]) == (255, 0, 255)


def test_info_tells_the_cost_of_backbone_and_head_apart(run: Any) -> None:
    outcome = run("info", "--cfg", "yolov3", "--size", "640x480")

    parts = outcome.json["parts"]
    for key in ("params", "weights_floats", "macs"):
        assert parts["backbone"][key] + parts["head"][key] == outcome.json[key]
    assert [
        line.split() for line in outcome.out.splitlines() if line.strip().startswith(("backbone", "head", "all"))
    ] == [
        ["backbone,", "to", "074", "40,584,928", "38.70", "40,620,640", "38.74", "87.04"],
        ["head", "21,364,221", "20.37", "21,381,117", "20.39", "29.88"],
        ["all", "61,949,149", "59.08", "62,001,757", "59.13", "116.92"],
    ]


@pytest.mark.parametrize(
    ("name", "floats", "gflops"),
    [
        ("yolov3", 62_001_757, 116.92),
        ("yolov3-tiny", 8_858_734, 9.88),
        ("yolov3-mobilenetv3", 24_251_333, 32.02),
        ("yolov3tiny-mobilenetv3-small", 3_056_774, 2.82),
        ("yolov4", 64_429_405, 106.69),
        ("yolov4-tiny", 6_062_814, 12.26),
    ],
)
def test_info_counts_the_text_that_cfg_writes(run: Any, name: str, floats: int, gflops: float) -> None:
    assert run("cfg", name, "--out", "net.cfg").code == 0

    outcome = run("info", "--cfg", "net.cfg", "--size", "640x480")

    assert outcome.json["weights_floats"] == floats
    assert outcome.json["gflops"] == pytest.approx(gflops, rel=0.005)
    assert f"{floats:,} floats in a .weights file" in outcome.out


@pytest.mark.parametrize(
    ("columns", "name", "folded"),
    [
        (140, "yolov3-tiny", 0),
        (100, "yolov3-tiny", 0),
        (100, "yolov3tiny-mobilenetv3-small", 0),
        (100, "yolov4", 3),  # [yolo] with scale_x_y
        (80, "yolov3-tiny", 4),
        (80, "yolov4", 9),
    ],
)
def test_info_has_one_line_a_layer(
    run: Any, monkeypatch: pytest.MonkeyPatch, columns: int, name: str, folded: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))

    outcome = run("info", "--cfg", name)

    lines = outcome.out.splitlines()
    layers = outcome.json["layers"]
    assert max(map(len, lines)) <= columns
    assert [line.split()[0] for line in lines if line[1:4].isdecimal()] == [layer["name"] for layer in layers]
    assert len(lines) <= len(layers) + 14 + folded


def test_info_of_a_classifier_has_no_parts(run: Any, tmp_path: Path) -> None:
    (tmp_path / "plain.cfg").write_text("[net]\nwidth=8\nheight=8\n[convolutional]\nfilters=4\n[avgpool]\n")

    outcome = run("info", "--cfg", "plain.cfg")

    assert outcome.json["parts"] == {}
    assert [layer["sees"] for layer in outcome.json["layers"]] == [[1, 1], [None, None]]
    assert " all " in next(line for line in outcome.out.splitlines() if "001_avgpool" in line)


def test_info_reads_a_checkpoint_alone(run: Any, tiny: tuple[object, ...]) -> None:
    assert run("convert", tiny[3], "t.safetensors", *tiny[:2]).code == 0

    outcome = run("info", "--weights", "t.safetensors")

    assert (outcome.json["classes"], len(outcome.json["layers"])) == (2, 8)


def test_info_says_what_the_weights_lack(run: Any, tiny: tuple[object, ...]) -> None:
    run("convert", tiny[3], "t.conv.3", *tiny[:2], "--cutoff", 3)

    outcome = run("info", *tiny[:2], "--weights", "t.conv.3")

    assert outcome.code == 0
    assert outcome.err.startswith("warning: weights for layers 0 to 2 of 8 are loaded")


def test_info_tells_of_shared_weights_and_of_blur(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    conv = "[convolutional]\nfilters=3\nsize=3\npad=1\nactivation=leaky\n"
    net = "[net]\nwidth=32\nheight=32\n"
    (tmp_path / "a.cfg").write_text(f"{net}{conv}{conv}share_index=0\n{conv}stride=2\nantialiasing=1\n")

    lines = run("info", "--cfg", "a.cfg").out.splitlines()

    assert "3x3/1 leaky weights of 000" in next(line for line in lines if "001_" in line)
    assert "3x3/2 leaky blur=3" in next(line for line in lines if "002_" in line)
