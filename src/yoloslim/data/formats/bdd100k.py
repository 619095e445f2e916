"""BDD100K json label files: ``category`` and ``box2d`` with ``x1 y1 x2 y2``, for a whole split or for one picture.

A split: a list of frames (``name``, ``labels``), or an object with such a list as ``frames``. One picture: an object
with ``frames``, whose ``objects`` are the labels. Labels without ``box2d`` (lanes, drivable area) are passed by.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from yoloslim.data.annotations import BadBox, Kind, LabelFormat, LabelledBox, LabelReading, Problem
from yoloslim.data.split_labels import (
    SplitFormat,
    SplitLabels,
    Stated,
    StatedPicture,
    read_json,
    refused_name,
    stays_inside,
)
from yoloslim.data.stated import class_id_of, finite_number, pixel_box
from yoloslim.errors import DataError

CLASS_NAMES = ("car", "bus", "person", "bike", "truck", "motor", "train", "rider", "traffic sign", "traffic light")
OTHER_NAMES = {"pedestrian": "person", "bicycle": "bike", "motorcycle": "motor"}  # of the release of 2020
OTHER_NAMES |= {old: new for new, old in OTHER_NAMES.items()}
EDGES = ("x1", "y1", "x2", "y2")


def read_bdd100k(path: Path, names: Sequence[str]) -> SplitLabels:
    """Gives what a BDD100K json states about the pictures of a split.

    Args:
        path: the file.
        names: the class names; categories are found among them by name, by the words of either release.

    Raises:
        DataError: it is no BDD100K json.
    """
    pictures: dict[str, StatedPicture] = {}
    problems: list[Problem] = []
    for number, frame in enumerate(_frames(path)):
        name = frame.get("name")
        objects = _boxes(frame.get("labels"))
        if not stays_inside(name):
            problems.append(refused_name(path, f"frame number {number + 1}: name", name, len(objects)))
        elif name in pictures:
            message = f"{name} is stated twice; the second one and its {len(objects)} boxes are left out"
            problems.append(Problem(path, 0, message, Kind.BAD_FILE_NAME))
        else:
            pictures[str(name).replace("\\", "/")] = StatedPicture(objects)
    return SplitLabels(path, pictures, partial(_parse, tuple(names)), tuple(problems))


def read_bdd100k_picture(path: Path, names: Sequence[str], size: tuple[int, int]) -> LabelReading:
    """Gives the boxes of a BDD100K json of one picture, in pixels, and every object that was left out.

    Args:
        path: the label file.
        names: as in `read_bdd100k`.
        size: (width, height) of the picture in pixels.
    """
    try:
        frames = _frames(path)
    except DataError as error:
        message = str(error).removeprefix(f"{path}: ")
        return LabelReading(None, (Problem(path, 0, message, Kind.UNREADABLE_LABELS),))
    if len(frames) != 1:
        message = f"expected a BDD100K json file of one picture, found {len(frames)} frames"
        return LabelReading(None, (Problem(path, 0, message, Kind.UNREADABLE_LABELS),))
    stated = StatedPicture(_boxes(frames[0].get("objects")))
    return SplitLabels(path, {path.stem: stated}, partial(_parse, tuple(names))).read(path.stem, size)


def _frames(path: Path) -> list[Stated]:
    match read_json(path, "BDD100K"):
        case {"frames": [*frames]} | [*frames] if all(isinstance(frame, dict) for frame in frames):
            return list(frames)
    raise DataError(f"{path}: expected a BDD100K json file with a list of frames, found none")


def _boxes(labels: Any) -> list[tuple[str, Stated]]:
    """Gives the labels that are boxes, each with what to call it in messages."""
    stated = labels if isinstance(labels, list) else []
    return [
        (f"label {label.get('id', f'number {number + 1}')}", label)
        for number, label in enumerate(stated)
        if isinstance(label, dict) and label.get("box2d") is not None
    ]


def _parse(names: Sequence[str], label: Stated, size: tuple[int, int]) -> LabelledBox:
    category = str(label.get("category"))
    class_id = class_id_of(category if category in names else OTHER_NAMES.get(category, category), names)
    box = label["box2d"]
    if not isinstance(box, dict):
        raise BadBox(f"expected box2d with {', '.join(EDGES)}, found {box!r}")
    return LabelledBox(pixel_box({edge: finite_number(box.get(edge), edge) for edge in EDGES}, size), class_id)


BDD100K = LabelFormat(
    name="bdd100k",
    suffix=".json",
    folders={"images": ("labels",)},
    read=read_bdd100k_picture,
    class_names=CLASS_NAMES,
)
BDD100K_SPLIT = SplitFormat("bdd100k", read_bdd100k, names_of=lambda path: CLASS_NAMES)
