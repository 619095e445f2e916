"""Reading and writing pictures: whole ones only, always with three channels.

OpenCV decodes. Its releases differ on a JPEG that is cut off (some give a picture with a grey rest and only libjpeg
complains on stderr, newer ones give none), so the structure of JPEG and PNG files is checked here before decoding.
"""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from yoloslim.data.opencv_messages import silence_opencv
from yoloslim.errors import DataError
from yoloslim.files import write_atomically

Picture = NDArray[np.uint8]
"""A picture: shape (H, W, 3), BGR, 0..255."""

PICTURE_SUFFIXES = frozenset(".bmp .dib .jp2 .jpe .jpeg .jpg .pbm .pgm .png .ppm .tif .tiff .webp".split())

JPEG_START = b"\xff\xd8"
JPEG_END, JPEG_SCAN = 0xD9, 0xDA
JPEG_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])", re.DOTALL)  # inside a scan, FF00 is data, D0..D7 restarts
PNG_START = b"\x89PNG\r\n\x1a\n"
PNG_COLOUR_PROFILE = b"iCCP"


def is_picture_name(path: Path) -> bool:
    """Gives whether ``path`` has the suffix of a picture that can be read."""
    return path.suffix.lower() in PICTURE_SUFFIXES


def read_picture(path: str | Path) -> Picture:
    """Gives the picture in a file, shape (H, W, 3), uint8, BGR.

    Grey pictures get three equal channels; alpha is dropped, not blended; 16 bits become 8. The EXIF orientation is
    applied, as ``cv2.imread`` does and as the YOLO world draws its labels: width and height are those that one sees.
    Bytes behind the end of the picture do not matter.

    Raises:
        DataError: the file is missing, empty, cut off, damaged, or not a picture.
    """
    return decode_picture(read_content(Path(path)), path)


def decode_picture(content: bytes, path: str | Path) -> Picture:
    """Gives the picture in the content of a file, as `read_picture` does; ``path`` is only for messages.

    Raises:
        DataError: the content is cut off, damaged, or not a picture.
    """
    if content.startswith(JPEG_START):
        _check_jpeg(content, path)
    elif content.startswith(PNG_START):
        content = _check_png(content, path)
    silence_opencv()
    try:
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise DataError(f"{path}: the picture cannot be decoded ({error.err or error})") from error
    if picture is None:
        raise DataError(f"{path}: expected a picture, found a damaged one or another kind of file")
    return np.asarray(picture, np.uint8)


def read_content(path: Path) -> bytes:
    """Gives the content of a picture file, not decoded.

    Raises:
        DataError: the file is missing, cannot be read, or is empty.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such picture") from None
    except OSError as error:
        raise DataError(f"{path}: the picture cannot be read ({error.strerror})") from error
    if not content:
        raise DataError(f"{path}: expected a picture, found an empty file")
    return content


def write_picture(path: str | Path, picture: Picture) -> None:
    """Writes ``picture``, shape (H, W, 3), uint8, BGR; the suffix of ``path`` gives the format.

    The file appears whole or not at all.

    Raises:
        DataError: the suffix is not one that can be written, or the picture cannot be encoded.
        OutputError: the file cannot be written.
    """
    path = Path(path)
    silence_opencv()
    if not is_picture_name(path):
        raise DataError(f"{path}: expected the name of a picture (.jpg, .png), found suffix {path.suffix!r}")
    try:
        _, encoded = cv2.imencode(path.suffix, picture)
        with write_atomically(path) as temporary:
            temporary.write_bytes(encoded.tobytes())
    except cv2.error as error:
        raise DataError(f"{path}: the picture cannot be encoded as {path.suffix} ({error.err or error})") from error


def _check_jpeg(content: bytes, path: str | Path) -> None:
    """Raises unless the end marker is reached; a thumbnail's end marker lies inside a segment and does not count."""
    position = len(JPEG_START)
    while marker := JPEG_MARKER.search(content, position):
        position = marker.end()
        if marker[1][0] == JPEG_END:
            return
        # Every other marker outside of scan data starts a segment with its length; the scan's data follows its header.
        position += int.from_bytes(content[position : position + 2], "big")
    raise DataError(f"{path}: the picture is cut off: no end of the JPEG in its {len(content)} bytes")


def _check_png(content: bytes, path: str | Path) -> bytes:
    """Gives the PNG without its colour profile, which changes nothing and makes libpng complain on stderr."""
    kept = [PNG_START]
    position = len(PNG_START)
    while position + 12 <= len(content):
        length = int.from_bytes(content[position : position + 4], "big")
        chunk = content[position : position + 12 + length]
        kind, checksum = chunk[4:8], chunk[8 + length :]
        if len(checksum) < 4:
            break
        if zlib.crc32(chunk[4 : 8 + length]).to_bytes(4, "big") != checksum:
            raise DataError(f"{path}: the picture is damaged: wrong checksum in the PNG at byte {position}")
        if kind != PNG_COLOUR_PROFILE:
            kept.append(chunk)
        if kind == b"IEND":
            return b"".join(kept)
        position += len(chunk)
    raise DataError(f"{path}: the picture is cut off: no end of the PNG in its {len(content)} bytes")
