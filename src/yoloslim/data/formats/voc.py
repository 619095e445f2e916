"""Pascal VOC label files: one xml a picture, ``<object>`` with ``<name>``, ``<difficult>`` and ``<bndbox>``.

Coordinates are taken as written: xyxy = (xmin, ymin, xmax, ymax), no pixel subtracted or added. Pascal counts pixels
from 1 and includes the last one, but most xml files today come from tools that count from 0, the file does not say
which, and the tools that convert VOC to COCO take the numbers as they are; so do we, so that AP values compare.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from xml.sax import SAXException, SAXParseException
from xml.sax.handler import ContentHandler
from xml.sax.saxutils import escape
from xml.sax.xmlreader import Locator

import defusedxml.sax
from defusedxml.common import DefusedXmlException

from yoloslim.data.annotations import (
    BadBox,
    Kind,
    LabelFormat,
    LabelledBox,
    LabelledPicture,
    LabelReading,
    Problem,
    left_out,
)
from yoloslim.data.stated import PIXEL_DECIMALS, class_id_of, climbs_out, finite_number, pixel_box, plain

CORNERS = ("xmin", "ymin", "xmax", "ymax")
DIOR_CLASS_NAMES = tuple(
    "airplane airport baseballfield basketballcourt bridge chimney dam Expressway-Service-area Expressway-toll-station "
    "golffield groundtrackfield harbor ship stadium storagetank tenniscourt trainstation vehicle windmill "
    "overpass".split()
)


def read_voc(path: Path, names: Sequence[str], size: tuple[int, int]) -> LabelReading:
    """Gives the boxes of a VOC xml file, in pixels, and every object that was left out.

    A picture size in the file that differs from the picture's is a problem that is told; the boxes are kept.

    Args:
        path: the label file.
        names: the class names, in the order of their ids; an object of another name is a problem.
        size: (width, height) of the picture in pixels.
    """
    try:
        document = _parse(path)
    except OSError as error:
        return _unreadable(path, 0, f"label file cannot be read ({error.strerror})")
    except SAXParseException as error:
        message = f"expected a VOC xml file, found broken xml ({error.getMessage()})"
        return _unreadable(path, error.getLineNumber() or 0, message)
    except (SAXException, DefusedXmlException, LookupError, ValueError) as error:  # entities, unknown encodings
        return _unreadable(path, 0, f"expected a VOC xml file, found xml that is refused ({error})")
    if document.root != "annotation":
        return _unreadable(path, 0, f"expected a VOC xml file with <annotation> as its root, found <{document.root}>")
    if climbs_out(document.filename):
        message = f"<filename>: expected a file of the data set, found {document.filename!r}, which climbs out of it"
        return _unreadable(path, 0, f"{message}; the label file is refused")
    return _read_objects(path, document, names, size)


def voc_class_names(path: Path) -> set[str]:
    """Gives the class names in a VOC xml file; none where it cannot be read, which reading its boxes tells."""
    try:
        document = _parse(path)
    except (OSError, SAXException, DefusedXmlException, LookupError, ValueError):
        return set()
    return {texts["name"] for _, texts in document.objects if texts.get("name")}


def _unreadable(path: Path, line: int, message: str) -> LabelReading:
    return LabelReading(None, (Problem(path, line, message, Kind.UNREADABLE_LABELS),))


@dataclass(slots=True)
class _Document:
    """The few texts of a VOC file that matter here; ``objects`` holds (line, texts by path inside the object)."""

    root: str = ""
    filename: str = ""
    size: dict[str, str] = field(default_factory=dict)
    objects: list[tuple[int, dict[str, str]]] = field(default_factory=list)


class _Handler(ContentHandler):
    """Collects a `_Document`.

    SAX, because it tells line numbers; elements are known by their full path, because an object may hold parts
    (hands, heads), each with a name and a box of its own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.document = _Document()
        self._place: Locator | None = None
        self._open: list[str] = []
        self._text = ""

    def setDocumentLocator(self, locator: Locator) -> None:  # noqa: N802
        self._place = locator

    def startElement(self, name: str, attrs: object) -> None:  # noqa: N802
        if not self._open:
            self.document.root = name
        self._open.append(name)
        self._text = ""
        if self._open[1:] == ["object"]:
            line = self._place.getLineNumber() if self._place else None
            self.document.objects.append((line or 0, {}))

    def characters(self, content: str) -> None:
        self._text += content

    def endElement(self, name: str) -> None:  # noqa: N802
        match self._open[1:]:
            case ["object", *inside] if inside:
                self.document.objects[-1][1]["/".join(inside)] = self._text.strip()
            case ["filename"]:
                self.document.filename = self._text.strip()
            case ["size", side]:
                self.document.size[side] = self._text.strip()
        self._open.pop()
        self._text = ""


def _parse(path: Path) -> _Document:
    handler = _Handler()
    defusedxml.sax.parseString(path.read_bytes(), handler)
    return handler.document


def _read_objects(path: Path, document: _Document, names: Sequence[str], size: tuple[int, int]) -> LabelReading:
    boxes: list[LabelledBox] = []
    problems = _size_problems(path, document, size)
    for line, texts in document.objects:
        try:
            boxes.append(_read_object(texts, names, size))
        except BadBox as error:
            problems.append(left_out(path, line, error))
    return LabelReading(tuple(boxes), tuple(problems))


def _size_problems(path: Path, document: _Document, size: tuple[int, int]) -> list[Problem]:
    width, height = document.size.get("width", ""), document.size.get("height", "")
    told = bool(width.strip("0")) and bool(height.strip("0"))  # tools that do not know the size write 0
    if not told or (width, height) == (str(size[0]), str(size[1])):
        return []
    message = f"says its picture is {width}x{height}, but the picture is {size[0]}x{size[1]}; boxes are kept as written"
    return [Problem(path, 0, message, Kind.SIZE_MISMATCH)]


def _read_object(texts: dict[str, str], names: Sequence[str], size: tuple[int, int]) -> LabelledBox:
    class_id = class_id_of(texts.get("name", ""), names)
    xyxy = pixel_box({corner: _corner(texts, corner) for corner in CORNERS}, size)
    return LabelledBox(xyxy, class_id, difficult=texts.get("difficult") == "1")


def _corner(texts: dict[str, str], name: str) -> float:
    text = texts.get(f"bndbox/{name}")
    if text is None:
        raise BadBox(f"expected <bndbox> with <{name}>, found none")
    return finite_number(text, f"<{name}>")


def voc_text(picture: LabelledPicture, names: Sequence[str]) -> str:
    """Gives a VOC xml file; corners of oriented boxes are not written."""
    width, height = picture.size
    lines = [
        "<annotation>",
        f"\t<filename>{escape(PurePosixPath(picture.name).name)}</filename>",
        f"\t<size><width>{width}</width><height>{height}</height><depth>3</depth></size>",
        "\t<segmented>0</segmented>",
        *(line for found in picture.objects for line in _object_lines(found, names)),
        "</annotation>",
    ]
    return "\n".join(lines) + "\n"


def _object_lines(found: LabelledBox, names: Sequence[str]) -> list[str]:
    corners = zip(CORNERS, found.xyxy, strict=True)
    box = "".join(f"<{corner}>{plain(value, PIXEL_DECIMALS)}</{corner}>" for corner, value in corners)
    return [
        "\t<object>",
        f"\t\t<name>{escape(names[found.class_id])}</name>",
        "\t\t<pose>Unspecified</pose>",
        "\t\t<truncated>0</truncated>",
        f"\t\t<difficult>{int(found.difficult)}</difficult>",
        f"\t\t<bndbox>{box}</bndbox>",
        "\t</object>",
    ]


VOC = LabelFormat(
    name="voc",
    suffix=".xml",
    folders={"JPEGImages": ("Annotations",), "images": ("Annotations", "annotations", "labels")},
    read=read_voc,
)

DIOR = LabelFormat(
    name="dior",
    suffix=".xml",
    folders=dict.fromkeys(
        ("JPEGImages-trainval", "JPEGImages-test"), ("Annotations/Horizontal Bounding Boxes", "Annotations")
    ),
    read=read_voc,
    class_names=DIOR_CLASS_NAMES,
)
"""DIOR: VOC files, with pictures in two folders, and labels in two: the upright boxes are read, not the oriented."""
