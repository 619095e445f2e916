"""Size and orientation of pictures, known without decoding them, are those of the decoded picture."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoloslim.data.headers import Header, parse_header, read_header
from yoloslim.data.pictures import PICTURE_SUFFIXES, read_picture
from yoloslim.errors import DataError

PICTURE = np.random.default_rng(0).integers(0, 255, (20, 40, 3), np.uint8)


def encoded(suffix: str) -> bytes:
    return cv2.imencode(suffix, PICTURE)[1].tobytes()


def exif(orientation: int, order: str = "<") -> bytes:
    """An EXIF block with two entries, the second of which is the orientation."""
    start = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", 8)
    entries = [
        struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0) for tag, value in ((0x0100, 40), (0x0112, orientation))
    ]
    return start + struct.pack(f"{order}H", 2) + b"".join(entries) + b"\0\0\0\0"


def jpeg_with(block: bytes) -> bytes:
    content = b"Exif\0\0" + block
    return b"\xff\xd8\xff\xe1" + struct.pack(">H", len(content) + 2) + content + encoded(".jpg")[2:]


def png_with(block: bytes) -> bytes:
    chunk = struct.pack(">I", len(block)) + b"eXIf" + block + struct.pack(">I", zlib.crc32(b"eXIf" + block))
    return encoded(".png")[:33] + chunk + encoded(".png")[33:]  # behind the signature and IHDR


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("make", [jpeg_with, png_with])
@pytest.mark.parametrize("orientation", range(10))
def test_the_size_is_that_of_the_picture_as_one_sees_it(tmp_path: Path, make, orientation: int, order: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(make(exif(orientation, order)))

    header = read_header(path)

    assert header.orientation == (orientation if 1 <= orientation <= 8 else 1)
    assert header.size == read_picture(path).shape[1::-1]
    assert header.size == ((20, 40) if 5 <= orientation <= 8 else (40, 20))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".tiff", ".ppm"])
def test_every_kind_of_picture_has_a_size(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(encoded(suffix))

    assert read_header(path) == Header((40, 20), 1)


def test_a_header_behind_a_long_comment_is_found(tmp_path: Path) -> None:
    comment = b"\xff\xfe" + struct.pack(">H", 65_000) + bytes(64_998)
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\xff\xd8" + 3 * comment + encoded(".jpg")[2:])

    assert read_header(path).size == (40, 20)


def test_a_progressive_jpeg_has_a_size(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(cv2.imencode(".jpg", PICTURE, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes())

    assert read_header(path).size == (40, 20)


@pytest.mark.parametrize("content", [b"", b"no picture", encoded(".jpg")[:20], encoded(".png")[:20]])
def test_what_has_no_header_is_told_as_reading_it_would(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)

    with pytest.raises(DataError, match=r"a\.jpg: "):
        read_header(path)
    with pytest.raises(DataError, match=r"b\.jpg: no such picture"):
        read_header(tmp_path / "b.jpg")


@given(
    st.binary(max_size=200),
    st.sampled_from([b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe1\x00\x50Exif\0\0II*\0"]),
)
def test_no_bytes_make_it_fail(content: bytes, start: bytes) -> None:
    header = parse_header(start + content)

    assert header is None or min(header.size) > 0


def test_headers_of_real_pictures_say_what_decoding_says(data_dir: Path) -> None:
    pictures = [path for path in data_dir.rglob("*") if path.suffix in PICTURE_SUFFIXES and "broken" not in path.parts]

    for path in sorted(pictures)[::40]:
        assert read_header(path).size == read_picture(path).shape[1::-1]
