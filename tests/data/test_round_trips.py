"""What is written is read again as it was: each form of labels, one after the other, to the decimals it holds."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoloslim.data.annotations import LabelledBox, LabelledPicture
from yoloslim.data.formats.coco import read_coco
from yoloslim.data.formats.voc import read_voc
from yoloslim.data.formats.yolo import read_yolo
from yoloslim.data.stated import bounds
from yoloslim.data.targets import TARGETS, fitted

NAMES = ("car", "bus & <van>", "żółw 猫")
SIZES = st.tuples(st.integers(16, 12_000), st.integers(16, 9_000))
FORMS = tuple(TARGETS)
CHAINS = [chain for length in (1, 2, 3) for chain in permutations(FORMS, length)]


def through(picture: LabelledPicture, form: str) -> LabelledPicture:
    """Gives a picture as it is read after it was written in a form."""
    target = TARGETS[form]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels"
        if target.write_split is not None:
            path.write_text(target.write_split([picture], NAMES, ""), encoding="utf-8")
            reading = read_coco(path, NAMES).read(picture.name, picture.size)
        else:
            assert target.write is not None
            path.write_text(target.write(picture, NAMES), encoding="utf-8")
            reading = (read_voc if form == "voc" else read_yolo)(path, NAMES, picture.size)
    assert reading.problems == ()
    assert reading.objects is not None
    return dataclasses.replace(picture, objects=reading.objects)


def through_all(picture: LabelledPicture, chain: Sequence[str]) -> LabelledPicture:
    for form in chain:
        picture = through(picture, form)
    return picture


@st.composite
def edges(draw: Any, side: int, decimals: int) -> tuple[float, float]:
    """Draws two different edges inside a picture, of at most so many decimals."""
    unit = 10**decimals
    low, high = sorted(draw(st.lists(st.integers(0, side * unit), min_size=2, max_size=2, unique=True)))
    return low / unit, high / unit


@st.composite
def pictures(draw: Any, decimals: int) -> LabelledPicture:
    size = draw(SIZES)
    objects = []
    for _ in range(draw(st.integers(0, 4))):
        (left, right), (top, bottom) = (draw(edges(side, decimals)) for side in size)
        objects.append(LabelledBox((left, top, right, bottom), draw(st.integers(0, 2))))
    return LabelledPicture("a b/ż 猫.jpg", size, tuple(objects))


@given(pictures(decimals=0), st.sampled_from(CHAINS))
def test_whole_pixels_come_back_as_they_were(picture: LabelledPicture, chain: Sequence[str]) -> None:
    found = through_all(picture, (*chain, "voc"))

    assert found.objects == picture.objects


@given(pictures(decimals=6), st.sampled_from(CHAINS))
def test_millionths_of_a_pixel_come_back_as_they_were(picture: LabelledPicture, chain: Sequence[str]) -> None:
    found = through_all(picture, (*chain, "voc"))

    assert found.objects == picture.objects


@st.composite
def shares(draw: Any) -> tuple[float, float]:
    """Draws centre and length of a box within a picture, as a YOLO label of six decimals has them."""
    length = draw(st.integers(1, 10**6))
    centre = draw(st.integers((length + 1) // 2, 10**6 - (length + 1) // 2))
    return centre / 10**6, length / 10**6


@given(SIZES, st.lists(st.tuples(shares(), shares()), max_size=4), st.sampled_from(CHAINS))
def test_yolo_labels_of_six_decimals_come_back_as_they_were(
    size: tuple[int, int], drawn: list[Any], chain: Sequence[str]
) -> None:
    text = "".join(f"1 {x:.6f} {y:.6f} {w:.6f} {h:.6f}\n" for (x, w), (y, h) in drawn)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.txt").write_text(text)
        objects = read_yolo(Path(folder) / "a.txt", NAMES, size).objects or ()

    found = through_all(LabelledPicture("a.jpg", size, objects), (*chain, "yolo"))

    written = TARGETS["yolo"].write
    assert written is not None
    rows = [line.split() for line in written(found, NAMES).splitlines()]
    assert "".join(f"1 {' '.join(f'{float(number):.6f}' for number in row[1:])}\n" for row in rows) == text


@given(pictures(decimals=6), st.sampled_from([("coco",), ("voc", "coco"), ("coco", "voc", "coco"), ("voc",)]))
def test_difficult_boxes_stay_difficult(picture: LabelledPicture, chain: Sequence[str]) -> None:
    marked = tuple(dataclasses.replace(found, difficult=index % 2 == 0) for index, found in enumerate(picture.objects))

    found = through_all(dataclasses.replace(picture, objects=marked), (*chain, "voc"))

    assert found.objects == marked


@st.composite
def oriented(draw: Any) -> LabelledPicture:
    size = draw(SIZES)
    unit = st.integers(0, 10**6)
    corners = draw(st.lists(st.tuples(unit, unit), min_size=4, max_size=4).filter(_has_area))
    points = [share / 10**6 * side for corner in corners for share, side in zip(corner, size, strict=True)]
    return LabelledPicture("a.jpg", size, (LabelledBox(bounds(points), 2, corners=tuple(points)),))


def _has_area(corners: list[tuple[int, int]]) -> bool:
    return all(max(axis) - min(axis) > 1 for axis in zip(*corners, strict=True))


@given(oriented(), st.sampled_from([("yolo-obb",), ("coco", "yolo-obb"), ("yolo-obb", "coco"), ("coco",)]))
def test_corners_of_oriented_boxes_come_back_as_they_were(picture: LabelledPicture, chain: Sequence[str]) -> None:
    (found,) = through_all(picture, chain).objects

    assert found.corners == pytest.approx(picture.objects[0].corners, abs=1e-6)
    assert found.xyxy == pytest.approx(picture.objects[0].xyxy, abs=1e-6)


BOXES = st.builds(
    LabelledBox,
    st.tuples(*[st.floats(-150, 250)] * 2, *[st.floats(0.01, 300)] * 2).map(
        lambda box: (box[0], box[1], box[0] + box[2], box[1] + box[3])
    ),
    st.just(0),
).filter(lambda found: 0 <= found.xyxy[0] + found.xyxy[2] <= 200 and 0 <= found.xyxy[1] + found.xyxy[3] <= 200)


@given(BOXES, st.sampled_from(FORMS))
def test_a_box_whose_centre_is_in_the_picture_is_never_lost_on_its_way(found: LabelledBox, form: str) -> None:
    objects, lost = fitted([found], TARGETS[form], (100, 100))

    (read,) = through(LabelledPicture("a.jpg", (100, 100), objects), form).objects

    left, top, right, bottom = found.xyxy
    inside = (max(left, 0), max(top, 0), min(right, 100), min(bottom, 100))
    assert read.xyxy == pytest.approx(inside if lost else found.xyxy, abs=1e-6)
