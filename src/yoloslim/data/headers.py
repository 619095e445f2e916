"""What the first bytes of a picture file say: its size and its orientation, thousands of files a second."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from yoloslim.data.pictures import JPEG_MARKER, JPEG_SCAN, JPEG_START, PNG_START, read_picture

UPRIGHT = 1
SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap width and height

START_BYTES = 1 << 16  # hold the header of most files; of the others all is read
JPEG_EXIF, JPEG_EXIF_START = 0xE1, b"Exif\x00\x00"
JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0..SOF15, among which stand three other markers

ORIENTATION_TAG = 0x0112
ByteOrder = Literal["little", "big"]
TIFF_BYTE_ORDERS: dict[bytes, ByteOrder] = {b"II*\x00": "little", b"MM\x00*": "big"}


@dataclass(frozen=True, slots=True)
class Header:
    """What is known of a picture without decoding it.

    Attributes:
        size: width and height in pixels as one sees it, orientation applied, as `read_picture` gives it.
        orientation: of EXIF, 1 to 8: how the stored picture is turned or mirrored to be seen; 1 is as stored.
    """

    size: tuple[int, int]
    orientation: int = UPRIGHT


def read_header(path: Path) -> Header:
    """Gives the header of a picture file. JPEG and PNG are not decoded; of other kinds only the size is known.

    Raises:
        DataError: the file cannot be read as a picture. A picture that is cut off behind its header is not noticed.
    """
    try:
        with path.open("rb") as file:
            content = file.read(START_BYTES)
            header = parse_header(content) or parse_header(content + file.read())
    except OSError:
        header = None
    if header is None:
        height, width = read_picture(path).shape[:2]  # tells what is wrong where it cannot
        return Header((width, height))
    return header


def parse_header(content: bytes) -> Header | None:
    """Gives the header in the content of a JPEG or PNG file, or in the beginning of it; None where there is none."""
    if content.startswith(JPEG_START):
        return _jpeg_header(content)
    if content.startswith(PNG_START):
        return _png_header(content)
    return None


def _jpeg_header(content: bytes) -> Header | None:
    position, orientation = len(JPEG_START), UPRIGHT
    while marker := JPEG_MARKER.search(content, position):
        start = marker.end()
        position = start + int.from_bytes(content[start : start + 2], "big")
        segment = content[start + 2 : position]
        if marker[1][0] in JPEG_FRAMES and len(segment) > 4:
            return _header((_number(segment[3:5]), _number(segment[1:3])), orientation)
        if marker[1][0] == JPEG_EXIF and segment.startswith(JPEG_EXIF_START):
            orientation = _orientation(segment[len(JPEG_EXIF_START) :])
        if marker[1][0] == JPEG_SCAN:
            break
    return None


def _png_header(content: bytes) -> Header | None:
    position, orientation, size = len(PNG_START), UPRIGHT, (0, 0)
    while position + 8 <= len(content):
        length, kind = _number(content[position : position + 4]), content[position + 4 : position + 8]
        chunk = content[position + 8 : position + 8 + length]
        if kind == b"IHDR":
            size = (_number(chunk[:4]), _number(chunk[4:8]))
        elif kind == b"eXIf":
            orientation = _orientation(chunk)
        elif kind == b"IDAT":
            return _header(size, orientation)
        position += 12 + length
    return None


def _header(size: tuple[int, int], orientation: int) -> Header | None:
    if 0 in size:
        return None
    return Header(size[::-1] if orientation in SIDEWAYS else size, orientation)


def _orientation(tiff: bytes) -> int:
    """Gives the orientation in an EXIF block, upright where it states none that there is (TIFF 6.0, section 2)."""
    order = TIFF_BYTE_ORDERS.get(tiff[:4])
    if order is None:
        return UPRIGHT
    start = _number(tiff[4:8], order)
    for index in range(_number(tiff[start : start + 2], order)):
        entry = tiff[start + 2 + 12 * index : start + 14 + 12 * index]
        if len(entry) < 12:
            break
        if _number(entry[:2], order) == ORIENTATION_TAG:
            value = _number(entry[8:10], order)
            return value if UPRIGHT <= value <= SIDEWAYS[-1] else UPRIGHT
    return UPRIGHT


def _number(content: bytes, order: ByteOrder = "big") -> int:
    return int.from_bytes(content, order)
