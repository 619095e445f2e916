"""Anchors are read as the heads use them, and written without touching anything else."""

from __future__ import annotations

import numpy as np
import pytest

from yoloslim.errors import CfgError
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.head_anchors import anchors_in_use, with_anchors
from yoloslim.graph.to_cfg import to_cfg
from yoloslim.zoo.catalog import find

TWO_HEADS = """[net]
width=64
height=64   # pixels
channels=3

[convolutional]
filters=14
size=3
stride=4
pad=1
activation=linear
# the fine head comes first here
[yolo]
mask = 2, 3   ; two of them
anchors = 1,2,  3,4,  0,6,  7,8   # old ones
classes=2
num=4

[route]
layers=0

[maxpool]
size=2
stride=2

[yolo]
anchors=1,2, 3,4, 5,6, 7,8
mask=0,1
classes=2
num=4
"""
FOUR = [(40.0, 40.0), (5.5, 6.0), (20.0, 30.0), (9.0, 3.0)]


def test_the_smallest_anchors_go_to_the_head_with_the_smallest_cells() -> None:
    graph = parse_cfg(with_anchors(TWO_HEADS, FOUR))

    fine, coarse = (yolo for _, yolo in graph.heads)
    assert fine.used_anchors((4, 4)) == ((9, 3), (5.5, 6))
    assert coarse.used_anchors((8, 8)) == ((20, 30), (40, 40))
    assert fine.anchors == coarse.anchors


def test_only_the_lines_of_anchors_and_masks_change() -> None:
    before, after = TWO_HEADS.splitlines(), with_anchors(TWO_HEADS, FOUR).splitlines()

    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert changed == [
        ("mask = 2, 3   ; two of them", "mask = 0,1   ; two of them"),
        (
            "anchors = 1,2,  3,4,  0,6,  7,8   # old ones",
            "anchors = 9,3, 5.5,6, 20,30, 40,40   # old ones",
        ),
        ("anchors=1,2, 3,4, 5,6, 7,8", "anchors=9,3, 5.5,6, 20,30, 40,40"),
        ("mask=0,1", "mask=2,3"),
    ]


def test_line_ends_and_bytes_that_are_no_text_stay() -> None:
    text = TWO_HEADS.replace("old ones", "alt \udcfc").replace("\n", "\r\n")

    written = with_anchors(text, FOUR)

    assert written.count("\r\n") == text.count("\r\n") == written.count("\n")
    assert "alt \udcfc" in written


def test_a_key_that_the_section_has_not_is_added_and_num_is_corrected() -> None:
    text = TWO_HEADS.replace("mask=0,1\n", "").replace("num=4", "num=9").replace("2, 3 ", "0,1,2,3 ")
    text = text.replace("filters=14", "filters=28")

    graph = parse_cfg(with_anchors(text, [(float(n), float(n)) for n in range(1, 9)]))

    assert [yolo.mask for _, yolo in graph.heads] == [(0, 1, 2, 3), (4, 5, 6, 7)]
    assert [node.section.find("num").value for node, _ in graph.heads] == ["8", "8"]


def test_region_anchors_are_written_in_cells() -> None:
    text = to_cfg(find("yolov2-tiny-voc"))
    pixels = [(16.0, 32.0), (64.0, 48.0), (100.0, 120.0), (200.0, 150.0), (300.0, 310.0)]

    graph = parse_cfg(with_anchors(text, pixels))

    ((_, yolo),) = graph.heads
    assert yolo.anchors[:2] == ((0.5, 1), (2, 1.5))
    np.testing.assert_allclose(anchors_in_use(graph), pixels, atol=0.01)


@pytest.mark.parametrize("name", ["yolov3", "yolov4-csp", "yolov3-tiny", "yolov4-tiny-3l", "yolov7-tiny"])
def test_networks_of_any_number_of_heads_get_back_what_is_written(name: str) -> None:
    text = to_cfg(find(name))
    count = len(anchors_in_use(parse_cfg(text)))
    pairs = [(float(10 * n + 1), float(7 * n + 3)) for n in range(count)]

    np.testing.assert_allclose(anchors_in_use(parse_cfg(with_anchors(text, pairs))), pairs)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (FOUR[:3], r"my\.cfg: its 2 heads use 4 anchors, found 3 to write"),
        ([*FOUR[:3], (0.0, 3.0)], r"my\.cfg: anchor 0,3 is no box"),
        ([*FOUR[:3], (3.0, float("nan"))], r"anchor 3,nan is no box"),
    ],
)
def test_anchors_that_do_not_fit_or_have_no_area_are_refused(pairs, message: str) -> None:
    with pytest.raises(CfgError, match=message):
        with_anchors(TWO_HEADS, pairs, "my.cfg")
