"""COCO json label files: ``images``, ``annotations`` with ``bbox = [x, y, w, h]``, ``categories``, for a whole split.

Coordinates are in pixels and counted from 0. ``iscrowd`` or ``ignore`` makes an object difficult: it is ignored, in AP
and in training. Masks and keypoints are not read, but for a mask of four corner points: an oriented box.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from yoloslim.data.annotations import BadBox, Kind, LabelledBox, LabelledPicture, Problem
from yoloslim.data.split_labels import (
    SplitFormat,
    SplitLabels,
    Stated,
    StatedPicture,
    read_json,
    refused_name,
    stays_inside,
)
from yoloslim.data.stated import PIXEL_DECIMALS, Box, bounds, class_id_of, finite_number, pixel_box
from yoloslim.errors import DataError

PARTS = ("images", "annotations", "categories")
CORNER_NUMBERS = 8
CORNER_SLACK_PX = 1.0  # between a box and the bounds of its corners: many tools round boxes to whole pixels

_ObjectsByPicture = dict[object, list[tuple[str, Stated]]]


def read_coco(path: Path, names: Sequence[str]) -> SplitLabels:
    """Gives what a COCO json states about its pictures.

    Categories are classes by their name. Where none of their names is among ``names``, but there are as many, they
    are taken in the order of their ids, and a note says so.

    Args:
        path: the file.
        names: the class names, in the order of their ids.

    Raises:
        DataError: it is no COCO json.
    """
    content = _read_parts(path)
    categories, notes = _classes(path, content["categories"], names)
    objects = _by_picture(content["annotations"])
    pictures, problems = _pictures(path, content["images"], objects)
    for found in (found for left in objects.values() for found in left):
        message = f"{found[0]}: image_id {found[1].get('image_id')!r} is not among the images; the box is left out"
        problems.append(Problem(path, 0, message, Kind.MALFORMED))
    return SplitLabels(path, pictures, partial(_parse, categories, tuple(names)), tuple(problems), notes)


def coco_names(path: Path) -> tuple[str, ...]:
    """Gives the names of a COCO json's categories, in the order of their ids.

    Raises:
        DataError: it is no COCO json, or has no category.
    """
    names = tuple(dict.fromkeys(_categories(path, _read_parts(path)["categories"]).values()))
    if not names:
        raise DataError(f"{path}: categories: expected at least one, found none: name the classes in the data file")
    return names


def _read_parts(path: Path) -> dict[str, list[Any]]:
    content = read_json(path, "COCO", hook=_without_masks)
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a COCO json file ({', '.join(PARTS)}), found no object in it")
    missing = [part for part in PARTS if not isinstance(content.get(part), list)]
    if missing:
        found = ", ".join(map(str, content)) or "nothing"
        raise DataError(f"{path}: expected a COCO json file with lists of {', '.join(PARTS)}, found {found}")
    return content


def _without_masks(stated: Stated) -> Stated:
    """Gives an object of the json without what is most of its bytes and is of no use here."""
    stated.pop("keypoints", None)
    match stated.pop("segmentation", None):
        case [[*numbers]] if len(numbers) == CORNER_NUMBERS:
            stated["corners"] = numbers
    return stated


def _categories(path: Path, stated: Sequence[Any]) -> dict[int, str]:
    categories: dict[int, str] = {}
    for category in stated:
        match category:
            case {"id": int(number), "name": str(name)} if name.strip() and number not in categories:
                categories[number] = name.strip()
            case _:
                message = "expected a whole number as id, given once, and a name in each"
                raise DataError(f"{path}: categories: {message}, found {category!r}")
    return dict(sorted(categories.items()))


def _classes(path: Path, stated: Sequence[Any], names: Sequence[str]) -> tuple[dict[int, str], tuple[str, ...]]:
    """Gives the class name of each category id, and notes."""
    categories = _categories(path, stated)
    if len(categories) != len(names) or any(name in names for name in categories.values()):
        return categories, ()
    taken = dict(zip(categories, names, strict=True))
    (first, name), *_ = taken.items()
    note = f"{path}: no category has a name of the data file: taken by their order ({categories[first]} is {name}, ...)"
    return taken, (note,)


def _by_picture(annotations: Sequence[Any]) -> _ObjectsByPicture:
    """Gives the objects by the id of their picture, each with what to call it in messages."""
    objects: _ObjectsByPicture = defaultdict(list)
    for number, stated in enumerate(annotations):
        found = stated if isinstance(stated, dict) else {"bbox": stated}
        picture = found.get("image_id")
        key = picture if isinstance(picture, int | str) else None
        objects[key].append((f"annotation {found.get('id', f'number {number + 1}')}", found))
    return objects


def _pictures(
    path: Path, images: Sequence[Any], objects: _ObjectsByPicture
) -> tuple[dict[str, StatedPicture], list[Problem]]:
    """Gives the pictures by file name; takes their objects out of ``objects``."""
    pictures: dict[str, StatedPicture] = {}
    problems = []
    for number, stated in enumerate(images):
        image = stated if isinstance(stated, dict) else {}
        name, key = image.get("file_name"), image.get("id")
        its_objects = objects.pop(key, []) if isinstance(key, int | str) else []
        if not stays_inside(name):
            place = f"image {key if key is not None else f'number {number + 1}'}: file_name"
            problems.append(refused_name(path, place, name, len(its_objects)))
            continue
        plain = str(name).replace("\\", "/").removeprefix("./")
        earlier = pictures.get(plain)
        if earlier is not None:  # some tools write a picture once for each of its boxes
            its_objects = [*earlier.objects, *its_objects]
        pictures[plain] = StatedPicture(its_objects, _size(image))
    return pictures, problems


def _size(image: Stated) -> tuple[int, int] | None:
    match image:
        case {"width": int(width), "height": int(height)} if width > 0 and height > 0:
            return width, height
    return None


def _parse(categories: Mapping[int, str], names: Sequence[str], stated: Stated, size: tuple[int, int]) -> LabelledBox:
    category = stated.get("category_id")
    if not isinstance(category, int) or category not in categories:
        raise BadBox(f"category_id {category!r} is not among the categories", Kind.UNKNOWN_CLASS)
    class_id = class_id_of(categories[category], names)
    match stated.get("bbox"):
        case [x, y, w, h]:
            left, top, width, height = (finite_number(number, "bbox") for number in (x, y, w, h))
        case found:
            raise BadBox(f"expected bbox = [x, y, w, h], found {found!r}")
    xyxy = pixel_box({"x": left, "y": top, "x+w": left + width, "y+h": top + height}, size)
    difficult = any(stated.get(key) in (1, True) for key in ("iscrowd", "ignore"))
    return LabelledBox(xyxy, class_id, difficult, _corners(stated.get("corners"), xyxy))


def _corners(stated: Any, xyxy: Box) -> tuple[float, ...] | None:
    """Gives four corners, if they are numbers and belong to the box."""
    if stated is None or not all(isinstance(number, int | float) for number in stated):
        return None
    corners = tuple(float(number) for number in stated)
    is_near = all(abs(a - b) <= CORNER_SLACK_PX for a, b in zip(bounds(corners), xyxy, strict=True))
    return corners if is_near else None


def coco_text(pictures: Sequence[LabelledPicture], names: Sequence[str], folder: str) -> str:
    """Gives a COCO json. Ids count from 1; a class id is one less than its category's id.

    What is difficult has both ``iscrowd`` and ``ignore``: COCO's own evaluation looks at the first only, others at the
    second. An oriented box has its corners as mask and their area; an upright one has no mask.

    Args:
        pictures: in the order of their ids.
        names: the class names.
        folder: where the pictures are, for people: nothing reads it.
    """
    annotations = [(number, found) for number, picture in enumerate(pictures, 1) for found in picture.objects]
    content = {
        "info": {"description": "written by yoloslim data convert", "pictures": folder},
        "images": [
            {"id": number, "file_name": picture.name, "width": picture.size[0], "height": picture.size[1]}
            for number, picture in enumerate(pictures, 1)
        ],
        "annotations": [
            {"id": number, "image_id": image, **_annotation(found)}
            for number, (image, found) in enumerate(annotations, 1)
        ],
        "categories": [{"id": number, "name": name} for number, name in enumerate(names, 1)],
    }
    return json.dumps(content, ensure_ascii=False) + "\n"


def _annotation(found: LabelledBox) -> dict[str, Any]:
    left, top, right, bottom = found.xyxy
    ignored = int(found.difficult)
    area = _area(found.corners or (left, top, right, top, right, bottom, left, bottom))
    return {
        "category_id": found.class_id + 1,
        "bbox": [_number(value) for value in (left, top, right - left, bottom - top)],
        "area": _number(area),
        "segmentation": [[_number(value) for value in found.corners]] if found.corners else [],
        "iscrowd": ignored,
        "ignore": ignored,
    }


def _area(corners: Sequence[float]) -> float:
    """Gives the area inside four corners, by the shoelace formula."""
    xs, ys = corners[0::2], corners[1::2]
    turned = zip(xs, ys, (*xs[1:], xs[0]), (*ys[1:], ys[0]), strict=True)
    return abs(sum(x * next_y - next_x * y for x, y, next_x, next_y in turned)) / 2


def _number(value: float) -> float:
    rounded = round(value, PIXEL_DECIMALS)
    return int(rounded) if rounded.is_integer() else rounded


COCO = SplitFormat("coco", read_coco, coco_names)
