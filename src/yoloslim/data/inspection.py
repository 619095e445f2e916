"""One look at every picture of a data set and its labels: all that can be wrong with them by themselves."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from yoloslim.boxes.iou import pairwise_iou
from yoloslim.data.annotations import BORDER_TOLERANCE, Kind, LabelledBox, Problem, annotation_of
from yoloslim.data.dataset import Dataset, Sample
from yoloslim.data.headers import UPRIGHT, parse_header
from yoloslim.data.likeness import Thumbnail, thumbnail
from yoloslim.data.pictures import Picture, decode_picture, read_content
from yoloslim.errors import DataError

SAME_BOX_IOU = 0.9
"""Overlap from which two boxes of a class are one object: labelling tools paste copies a pixel or two aside."""

CHUNK = 256  # samples that are handed to the threads at a time
MAX_THREADS = 8
GREY_STEP = 16  # of a first glance at the pixels


@dataclass(frozen=True, slots=True)
class Inspection:
    """What one picture and its labels have shown.

    Attributes:
        sample: what was looked at.
        problems: what is wrong with it, and what is worth knowing.
        size: width and height in pixels; None where the picture cannot be read, and all else is empty.
        num_boxes: good boxes; None where the labels cannot be read.
        digest: of the content of the picture file.
        small: the picture in small.
    """

    sample: Sample
    problems: tuple[Problem, ...]
    size: tuple[int, int] | None = None
    num_boxes: int | None = None
    digest: bytes = b""
    small: Thumbnail | None = None


def inspect_all(dataset: Dataset) -> Iterator[Inspection]:
    """Gives an inspection of every sample, in their order; several are looked at at a time."""
    threads = min(os.cpu_count() or 1, MAX_THREADS)
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(dataset), CHUNK):
            yield from pool.map(lambda sample: inspect(dataset, sample), dataset.samples[start : start + CHUNK])


def inspect(dataset: Dataset, sample: Sample) -> Inspection:
    """Gives an inspection of one sample, each of whose files is read once."""
    try:
        content = read_content(sample.path)
        picture = decode_picture(content, sample.path)
    except DataError as error:
        message = str(error).removeprefix(f"{sample.path}: ")
        return Inspection(sample, (Problem(sample.path, 0, message, Kind.UNREADABLE_PICTURE),))
    size = (picture.shape[1], picture.shape[0])
    reading = dataset.read_labels(sample, size)
    problems = [*reading.problems, *_picture_problems(sample, picture, content)]
    if reading.objects is not None:
        problems += _box_problems(sample, reading.objects, dataset.names, size)
    if reading.objects == () and not reading.problems:
        problems.append(_background(sample))
    num_boxes = None if reading.objects is None else len(reading.objects)
    digest = hashlib.blake2b(content, digest_size=16).digest()
    return Inspection(sample, tuple(problems), size, num_boxes, digest, thumbnail(picture))


def repeated_boxes(objects: Sequence[LabelledBox]) -> list[tuple[int, int]]:
    """Gives (box, earlier box) for every box that repeats an earlier one of its class; both are indices."""
    annotation = annotation_of(objects)
    is_same = pairwise_iou(annotation.boxes, annotation.boxes) >= SAME_BOX_IOU
    is_same &= annotation.class_ids[:, None] == annotation.class_ids
    earlier = np.tril(is_same, -1)
    return [(int(index), int(earlier[index].argmax())) for index in np.flatnonzero(earlier.any(1))]


def boxes_over_border(objects: Sequence[LabelledBox], size: tuple[int, int]) -> list[int]:
    """Gives the indices of the boxes that reach over the border of their picture, farther than rounding does."""
    boxes, sides = annotation_of(objects).boxes, np.array(size)
    beyond = np.maximum(-boxes[:, :2], boxes[:, 2:] - sides) > BORDER_TOLERANCE * sides
    indices: list[int] = np.flatnonzero(beyond.any(1)).tolist()
    return indices


def _background(sample: Sample) -> Problem:
    if sample.label_path is None:
        return Problem(sample.path, 0, "has no label file", Kind.NO_LABEL_FILE)
    place = f" for {sample.label_name}" if sample.label_name else ""
    return Problem(sample.label_path, 0, f"has no box{place}", Kind.NO_BOXES)


def _box_problems(
    sample: Sample, objects: Sequence[LabelledBox], names: Sequence[str], size: tuple[int, int]
) -> Iterator[Problem]:
    path = sample.label_path or sample.path
    told = [f"{names[found.class_id]} {' '.join(f'{side:g}' for side in np.round(found.xyxy, 1))}" for found in objects]
    for index, earlier in repeated_boxes(objects):
        yield Problem(path, 0, f"the box {told[index]} (xyxy, pixels) repeats {told[earlier]}", Kind.REPEATED)
    for index in boxes_over_border(objects, size):
        message = f"the box {told[index]} (xyxy, pixels) reaches out of the picture ({size[0]}x{size[1]})"
        yield Problem(path, 0, message, Kind.OVER_BORDER)


def _picture_problems(sample: Sample, picture: Picture, content: bytes) -> Iterator[Problem]:
    header = parse_header(content)
    if header is not None and header.orientation != UPRIGHT:
        message = f"EXIF orientation {header.orientation}: it is seen as {header.size[0]}x{header.size[1]}"
        yield Problem(sample.path, 0, message, Kind.TURNED)
    if _is_grey(picture[::GREY_STEP, ::GREY_STEP]) and _is_grey(picture):
        yield Problem(sample.path, 0, "has no colour", Kind.GREY)


def _is_grey(picture: Picture) -> bool:
    blue, green, red = picture[..., 0], picture[..., 1], picture[..., 2]
    return np.array_equal(blue, green) and np.array_equal(green, red)
