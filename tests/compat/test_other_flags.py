"""``test.py``, ``detect.py`` and the scripts beside them: what their flags mean."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from yoloslim.compat.detect import detect
from yoloslim.compat.fpga import convert_fpga
from yoloslim.compat.model import convert, info
from yoloslim.compat.ptq import ptq
from yoloslim.compat.test import test as measuring

Meant = Callable[..., Any]
BASE = "--cfg my.cfg --weights my.weights --data data/hand.data "


@pytest.fixture(autouse=True)
def files(folder: Path, miniature: Path) -> None:
    for name in ("my.cfg", "my.weights"):
        (folder / name).write_text("")
    (folder / "data" / "samples").mkdir()


@pytest.mark.parametrize(
    ("flags", "options"),
    [
        ("", {"--cfg": ["my.cfg"], "--weights": ["my.weights"], "--data": ["data/hand.data"], "--at-conf": ["0.1"]}),
        ("--batch-size 4 --img-size 416", {"--batch": ["4"], "--size": ["416"]}),
        ("--conf-thres 0.01 --iou-thres 0.6", {"--conf": ["0.01"], "--iou": ["0.6"]}),
        ("--device cpu", {"--device": ["cpu"]}),
        ("--device 0", {"--device": ["cuda:0"]}),
    ],
)
def test_testing_is_an_evaluation_at_their_confidence(meant: Meant, flags: str, options: dict[str, list[str]]) -> None:
    found = meant(measuring, BASE + flags)

    assert [name for name, _ in found.commands] == ["eval"]
    assert {key: found.options.get(key) for key in options} == options


def test_tasks_measure_at_several_sizes(meant: Meant) -> None:
    found = meant(measuring, BASE + "--task benchmark")

    assert [options["--size"] for _, options in found.commands] == [["320"], ["416"], ["512"], ["608"]]
    assert len(meant(measuring, BASE + "--task study").commands) == 10


@pytest.mark.parametrize("flags", ["--augment", "--quantized 1 --a-bit 8 --w-bit 8", "--shortcut_way 1", "--save-json"])
def test_what_a_test_does_not_do_is_said(meant: Meant, flags: str) -> None:
    found = meant(measuring, BASE + flags)

    assert found.commands == meant(measuring, BASE).commands
    assert flags.split()[0] in found.notes


@pytest.mark.parametrize(
    ("flags", "options"),
    [
        ("", {"--source": ["data/samples"], "--out": ["output"], "--names": ["runs/compat/hand.names"]}),
        ("--source a.jpg --output found", {"--source": ["a.jpg"], "--out": ["found"]}),
        ("--names my.names", {"--names": ["my.names"]}),
        ("--img-size 416 --conf-thres 0.3 --iou-thres 0.6", {"--size": ["416"], "--conf": ["0.3"], "--iou": ["0.6"]}),
        ("--classes 0 2 --agnostic-nms", {"--only": ["0,2"], "--agnostic": []}),
        ("--device cpu --save-txt", {"--device": ["cpu"]}),
    ],
)
def test_detection_looks_where_theirs_did(meant: Meant, flags: str, options: dict[str, list[str]]) -> None:
    found = meant(detect, BASE + flags)

    assert [name for name, _ in found.commands] == ["detect"]
    assert {key: found.options.get(key) for key in options} == options


@pytest.mark.parametrize(
    "flags",
    [
        *("--half", "--view-img", "--augment", "--rect", "--fourcc mp4v", "--quantized 1 --a_bit 8 --w_bit 8"),
        *("--layer_idx 3", "--shortcut_way 1"),
    ],
)
def test_what_detection_does_not_do_is_said(meant: Meant, flags: str) -> None:
    found = meant(detect, BASE + flags)

    assert found.commands == meant(detect, BASE).commands
    assert flags.split()[0] in found.notes


def test_the_classes_of_the_data_file_are_told_to_detection(folder: Path, meant: Meant) -> None:
    meant(detect, BASE)

    assert (folder / "runs" / "compat" / "hand.names").read_text() == "hand\n"


def test_missing_samples_are_made_and_that_is_said(folder: Path, meant: Meant) -> None:
    (folder / "data" / "samples").rmdir()

    found = meant(detect, BASE)

    assert "4 scenes of digits and a short video were made in it" in found.notes
    assert len(list((folder / "data" / "samples").glob("*.jpg"))) == 4
    assert len(list((folder / "data" / "samples").glob("*.mp4"))) == 1


def test_files_for_an_fpga_are_an_export(meant: Meant) -> None:
    tiles = "--reorder --TN 8 --TM 16"
    expected = {"--format": ["fpga"], "--tile-inputs": ["8"], "--tile-outputs": ["16"]}

    exported = meant(convert_fpga, BASE + f"{tiles} --nms-thres 0.5")
    (first, _), (second, options) = meant(detect, BASE + f"--quantizer_output {tiles}").commands

    assert (first, second) == ("detect", "export")
    assert {key: options[key] for key in expected} == expected
    assert {key: exported.options[key] for key in expected} == expected
    assert "--nms-thres" in exported.notes


def test_weights_are_in_tiles_only_where_both_flags_ask_for_it(meant: Meant) -> None:
    sizes = meant(convert_fpga, BASE + "--TN 8 --TM 16")
    order = meant(convert_fpga, BASE + "--reorder")

    assert not {"--tile-inputs", "--tile-outputs"} & (sizes.options.keys() | order.options.keys())
    assert "--TN and --TM have no effect without --reorder" in sizes.notes
    assert "--reorder has no effect without --TN and --TM" in order.notes


def test_quantizing_without_training_takes_the_flags_of_a_test(meant: Meant) -> None:
    found = meant(ptq, BASE + "--quantized 2 --a-bit 4 --w-bit 6 --subset_len 64 --single-cls --batch-size 4 --augment")

    assert [name for name, _ in found.commands] == ["quantize"]
    assert found.options == {
        "--cfg": ["my.cfg"],
        "--weights": ["my.weights"],
        "--data": ["data/hand.data"],
        "--weight-bits": ["6"],
        "--activation-bits": ["4"],
        "--pictures": ["64"],
        "--batch": ["4"],
        "--single-class": [],
    }
    assert "--augment has no effect" in found.notes
    assert "--quantized 2: DoReFa is trained, by train.py" in found.notes


def test_weights_are_converted_to_the_other_format(folder: Path, meant: Meant) -> None:
    (folder / "old.pt").write_bytes(b"")

    to_ours = meant(convert, "--cfg my.cfg --weights my.weights")
    to_darknet = meant(convert, "--cfg my.cfg --weights old.pt")

    assert to_ours.options == {"": ["my.weights", "my.safetensors"], "--cfg": ["my.cfg"]}
    assert "pickles are read, and never written" in to_ours.notes
    assert to_darknet.options == {"": ["old.pt", "old.weights"], "--cfg": ["my.cfg"]}


def test_info_tells_of_a_network_by_their_name(meant: Meant) -> None:
    assert meant(info, "--cfg yolov3-hand.cfg --img-size 416").options == {"--cfg": ["yolov3-hand"], "--size": ["416"]}
