"""VisDrone label files: ``left,top,width,height,score,category,truncation,occlusion`` a line, in pixels.

Categories 1 to 10 are the classes. Category 0 marks a region whose objects nobody labelled, 11 other objects: neither
is a class, both are left out and told. A score of 0 says that an object does not count: it is difficult.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from yoloslim.data.annotations import BadBox, Kind, LabelFormat, LabelledBox, LabelReading, Problem, left_out
from yoloslim.data.stated import class_id_of, finite_number, pixel_box

CLASS_NAMES = tuple("pedestrian people bicycle car van truck tricycle awning-tricycle bus motor".split())
IGNORED_REGION, OTHERS = 0, 11
FIELDS = 8


def read_visdrone(path: Path, names: Sequence[str], size: tuple[int, int]) -> LabelReading:
    """Gives the boxes of a VisDrone label file, in pixels, and every line that was left out.

    Args:
        path: the label file.
        names: the class names; categories are found among them by VisDrone's own names.
        size: (width, height) of the picture in pixels.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "no text"
        return LabelReading(None, (Problem(path, 0, f"label file cannot be read ({why})", Kind.UNREADABLE_LABELS),))
    boxes: list[LabelledBox] = []
    problems: list[Problem] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            boxes.append(_parse_line(line, names, size))
        except BadBox as error:
            problems.append(left_out(path, number, error))
    return LabelReading(tuple(boxes), tuple(problems))


def _parse_line(line: str, names: Sequence[str], size: tuple[int, int]) -> LabelledBox:
    fields = line.strip().rstrip(",").split(",")  # some releases end each line with a comma
    if len(fields) != FIELDS:
        raise BadBox(f"expected {FIELDS} numbers with commas between them, found {len(fields)} fields")
    left, top, width, height, score, category, *_ = (finite_number(field) for field in fields)
    class_id = class_id_of(_class_name(category), names)
    xyxy = pixel_box({"left": left, "top": top, "left+width": left + width, "top+height": top + height}, size)
    return LabelledBox(xyxy, class_id, difficult=score == 0)


def _class_name(category: float) -> str:
    if category in (IGNORED_REGION, OTHERS):
        what = "an ignored region" if category == IGNORED_REGION else "an object of no class (others)"
        raise BadBox(f"category {category:g} is {what}", Kind.IGNORED)
    if not (category.is_integer() and 1 <= category <= len(CLASS_NAMES)):
        raise BadBox(f"expected a category from 0 to {OTHERS}, found {category:g}", Kind.UNKNOWN_CLASS)
    return CLASS_NAMES[int(category) - 1]


VISDRONE = LabelFormat(
    name="visdrone",
    suffix=".txt",
    folders={"images": ("annotations",)},
    read=read_visdrone,
    class_names=CLASS_NAMES,
)
