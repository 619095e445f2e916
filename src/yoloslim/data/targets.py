"""What labels can be written as: which files, and what they cannot say."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from yoloslim.data.annotations import Kind, LabelledBox, LabelledPicture
from yoloslim.data.formats.coco import coco_text
from yoloslim.data.formats.voc import voc_text
from yoloslim.data.formats.yolo import fits_shares, yolo_obb_text, yolo_text
from yoloslim.data.stated import Box, fits_picture

UPRIGHT_SLACK_PX = 1e-6  # of corners that are an upright box, after their way through shares of the picture


@dataclass(frozen=True, slots=True)
class Target:
    """A form of labels that is written.

    Attributes:
        name: as the command line has it.
        format: as a data file has it.
        labels: the label folder of a split whose pictures stay where they are, or its one label file.
        labels_beside: the same, where the pictures are in the data set's own folder.
        pictures: that folder.
        fits: gives whether it takes a box, xyxy in pixels, on a picture of (width, height).
        write: gives the label file of one picture; None where one file covers a split.
        write_split: gives the label file of a split, given class names and the pictures' folder.
        holds_difficult: whether it marks what is difficult.
        holds_corners: whether it has corners of oriented boxes.
        names_are_classes: whether it knows classes by their names, which must differ then.
        lists_stems: where other tools look for a list of stems for each split; empty where none do.
    """

    name: str
    format: str
    labels: str
    labels_beside: str
    pictures: str
    fits: Callable[[Box, tuple[int, int]], bool]
    write: Callable[[LabelledPicture, Sequence[str]], str] | None = None
    write_split: Callable[[Sequence[LabelledPicture], Sequence[str], str], str] | None = None
    suffix: str = ""
    holds_difficult: bool = True
    holds_corners: bool = False
    names_are_classes: bool = True
    lists_stems: str = ""


_YOLO = Target(
    name="yolo",
    format="yolo",
    labels="labels/{split}",
    labels_beside="labels/{split}",
    pictures="images/{split}",
    fits=fits_shares,
    write=yolo_text,
    suffix=".txt",
    holds_difficult=False,
    names_are_classes=False,
)
_VOC = Target(
    name="voc",
    format="voc",
    labels="Annotations/{split}",
    labels_beside="Annotations",
    pictures="JPEGImages",
    fits=fits_picture,
    write=voc_text,
    suffix=".xml",
    lists_stems="ImageSets/Main/{split}.txt",
)
_COCO = Target(
    name="coco",
    format="coco",
    labels="annotations/instances_{split}.json",
    labels_beside="annotations/instances_{split}.json",
    pictures="images/{split}",
    fits=fits_picture,
    write_split=coco_text,
    holds_corners=True,
)
_YOLO_OBB = dataclasses.replace(_YOLO, name="yolo-obb", write=yolo_obb_text, holds_corners=True)
TARGETS = {target.name: target for target in (_YOLO, _YOLO_OBB, _VOC, _COCO)}
"""Forms of labels that can be written, by name."""


def fitted(
    objects: Sequence[LabelledBox], target: Target, size: tuple[int, int]
) -> tuple[tuple[LabelledBox, ...], Counter[Kind]]:
    """Gives the boxes as a target can say them, and what it cannot: how many boxes of each kind that concerns.

    Difficult boxes are left out where they cannot be marked: taken for others, they would be trained on. Boxes that
    reach over the border farther than the target's readers accept are cut at it. Corners that cannot be said become
    the upright box around them.

    Args:
        size: (width, height) of the picture in pixels.
    """
    lost: Counter[Kind] = Counter()
    kept = []
    for found in objects:
        if found.difficult and not target.holds_difficult:
            lost[Kind.DIFFICULT] += 1
            continue
        if not target.fits(found.xyxy, size):
            lost[Kind.CUT] += 1
            found = dataclasses.replace(found, xyxy=_cut(found.xyxy, size), corners=None)
        if found.corners is not None and not target.holds_corners:
            lost[Kind.CORNERS] += not _is_upright(found.corners, found.xyxy)
            found = dataclasses.replace(found, corners=None)
        kept.append(found)
    return tuple(kept), +lost


def _cut(xyxy: Box, size: tuple[int, int]) -> Box:
    left, top, right, bottom = (min(max(value, 0.0), side) for value, side in zip(xyxy, size * 2, strict=True))
    return left, top, right, bottom


def _is_upright(corners: Sequence[float], xyxy: Box) -> bool:
    edges = ((xyxy[0], xyxy[2]), (xyxy[1], xyxy[3])) * 4
    offsets = (min(abs(value - edge) for edge in pair) for value, pair in zip(corners, edges, strict=True))
    return max(offsets) <= UPRIGHT_SLACK_PX
