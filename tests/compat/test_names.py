"""Names of the originals that are no files, and weights under our suffix."""

import os
from pathlib import Path

import pytest

from yoloslim.compat.names import find_cfg, find_weights, settled_model, zoo_name
from yoloslim.compat.test import test as measuring
from yoloslim.errors import CfgError, WeightsError
from yoloslim.zoo.catalog import find


@pytest.mark.parametrize(
    ("theirs", "ours", "classes"),
    [
        ("yolov3-hand", "yolov3-hand", 1),
        ("yolov3tiny-hand", "yolov3-tiny-hand", 1),
        ("yolov3-tiny-bdd100k", "yolov3-tiny-bdd100k", 10),
        ("yolov3-mobilenet-hand", "yolov3-mobilenetv3-hand", 1),
        ("yolov3-mobilenetv3-visdrone", "yolov3-mobilenetv3-visdrone", 10),
        ("yolov3tiny-mobilenet-small-UAV", "yolov3tiny-mobilenetv3-small-uav", 1),
        ("yolov3-dior", "yolov3-dior", 20),
        ("yolov4tiny-visdrone", "yolov4-tiny-visdrone", 10),
        ("yolov3", "yolov3", 80),
    ],
)
def test_a_network_of_theirs_is_one_of_the_zoo(theirs: str, ours: str, classes: int) -> None:
    named = find_cfg(f"cfg/some/{theirs}.cfg")

    assert (zoo_name(theirs), named.value) == (ours, ours)
    assert find(ours).classes == classes
    assert f"the zoo's {ours} is taken (classes: {classes}, with their anchors)" in named.note


def test_a_cfg_that_is_a_file_is_taken_as_it_is(folder: Path) -> None:
    (folder / "yolov3-hand.cfg").write_text("")

    assert find_cfg("yolov3-hand.cfg") == ("yolov3-hand.cfg", "")


def test_a_cfg_that_is_neither_a_file_nor_a_network_is_refused_with_the_nearest() -> None:
    with pytest.raises(CfgError, match=r"cfg/yolov3-hnd\.cfg: no such cfg file.*did you mean yolov3-hand"):
        find_cfg("cfg/yolov3-hnd.cfg")


def test_what_training_wrote_is_found_under_the_name_of_theirs(folder: Path) -> None:
    (folder / "last.safetensors").write_bytes(b"")
    assert find_weights("last.pt").value == "last.safetensors"

    (folder / "last.pt").write_bytes(b"")
    os.utime(folder / "last.pt", (1, 1))
    assert find_weights("last.pt").value == "last.safetensors"

    os.utime(folder / "last.safetensors", (0, 0))
    assert find_weights("last.pt") == ("last.pt", "")


def test_weights_that_are_no_file_may_be_published() -> None:
    assert find_weights("weights/yolov3-tiny.weights").value == "yolov3-tiny"
    assert find_weights("weights/darknet53.conv.74").value == "darknet53.conv.74"
    assert find_weights("weights/mine.weights") == ("weights/mine.weights", "")


def test_without_weights_those_of_the_last_training_are_taken(folder: Path) -> None:
    for name in ("last", "best"):
        (folder / "weights").mkdir(exist_ok=True)
        (folder / "weights" / f"{name}.safetensors").write_bytes(b"")

    found, notes = settled_model(measuring.flags.read(["--cfg", "yolov3-hand.cfg"]))

    assert (found.weights, found.cfg) == ("weights/best.safetensors", "")
    assert notes == (
        "--weights is not given: weights/best.safetensors, which train.py left, is taken",
        "weights/best.safetensors brings its own network: --cfg yolov3-hand.cfg is not read",
    )


def test_without_weights_and_without_a_training_there_is_nothing_to_take() -> None:
    with pytest.raises(WeightsError, match="train first, or give it"):
        settled_model(measuring.flags.read(["--cfg", "yolov3-hand.cfg"]))
