from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from yoloslim.data.opencv_messages import silence_opencv
from yoloslim.data.pictures import Picture, read_picture, write_picture
from yoloslim.errors import DataError, OutputError


def noise(height: int = 24, width: int = 40, channels: int = 3) -> Picture:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)


def encoded(suffix: str, picture: np.ndarray | None = None) -> bytes:
    return cv2.imencode(suffix, noise() if picture is None else picture)[1].tobytes()


def written(folder: Path, content: bytes, name: str = "a.jpg") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def segment(marker: int, content: bytes) -> bytes:
    """A JPEG segment, to stand right behind the start marker."""
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def with_segment(jpeg: bytes, marker: int, content: bytes) -> bytes:
    return jpeg[:2] + segment(marker, content) + jpeg[2:]


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".ppm"])
def test_a_picture_is_read_as_it_was_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_picture(path, noise())

    picture = read_picture(path)

    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, noise())
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 4)], ids=["grey", "alpha"])
def test_grey_and_alpha_pictures_have_three_channels(tmp_path: Path, shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)

    picture = read_picture(written(tmp_path, encoded(".png", pixels), "a.png"))

    expected = pixels[..., :3] if len(shape) == 3 else np.stack([pixels] * 3, axis=-1)
    np.testing.assert_array_equal(picture, expected)


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    pixels = np.full((4, 4), 0x8000, np.uint16)

    assert (read_picture(written(tmp_path, encoded(".png", pixels), "a.png")) == 128).all()


def test_the_exif_orientation_is_applied(tmp_path: Path) -> None:
    rotated = b"Exif\0\0II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)  # 6: turn right to see it
    path = written(tmp_path, with_segment(encoded(".jpg"), 0xE1, rotated))

    picture = read_picture(path)

    assert picture.shape == (40, 24, 3)
    np.testing.assert_array_equal(picture, cv2.imread(str(path)))


def test_a_path_outside_of_ascii_works(tmp_path: Path) -> None:
    path = tmp_path / "собака 犬 é.png"
    write_picture(path, noise())

    np.testing.assert_array_equal(read_picture(path), noise())


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_bytes_behind_the_end_do_not_matter(tmp_path: Path, suffix: str) -> None:
    content = encoded(suffix)

    picture = read_picture(written(tmp_path, content + b"\0\xff\xd8 more"))

    np.testing.assert_array_equal(picture, cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR))


@pytest.mark.parametrize("progressive", [0, 1])
def test_a_jpeg_is_refused_wherever_it_is_cut_off(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], progressive: int
) -> None:
    jpeg = cv2.imencode(".jpg", noise(8, 8), [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive])[1].tobytes()
    read_picture(written(tmp_path, jpeg))

    for length in range(2, len(jpeg)):
        with pytest.raises(DataError, match=r"a\.jpg: the picture is cut off"):
            read_picture(written(tmp_path, jpeg[:length]))
    assert capfd.readouterr() == ("", "")


def test_a_png_is_refused_wherever_it_is_cut_off(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    png = encoded(".png", noise(6, 7))

    for length in range(8, len(png)):
        with pytest.raises(DataError, match=r"a\.png: the picture is cut off"):
            read_picture(written(tmp_path, png[:length], "a.png"))
    assert capfd.readouterr() == ("", "")


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_picture(tmp_path: Path) -> None:
    jpeg = with_segment(encoded(".jpg"), 0xE1, b"thumb" + encoded(".jpg", noise(4, 4)))
    read_picture(written(tmp_path, jpeg))

    with pytest.raises(DataError, match="cut off"):
        read_picture(written(tmp_path, jpeg[:-20]))


def test_a_real_jpeg_cut_off_20_bytes_before_its_end_is_refused(
    data_dir: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DataError, match=r"kangaroo-00090-truncated\.jpg: the picture is cut off"):
        read_picture(data_dir / "broken" / "kangaroo-00090-truncated.jpg")
    assert capfd.readouterr() == ("", "")


def test_real_pictures_are_read_as_opencv_reads_them(data_dir: Path) -> None:
    for path in sorted((data_dir / "images").glob("*.jpg")):
        np.testing.assert_array_equal(read_picture(path), cv2.imread(str(path)))


def test_a_flipped_bit_in_a_png_is_found(tmp_path: Path) -> None:
    png = bytearray(encoded(".png"))
    png[len(png) // 2] ^= 1

    with pytest.raises(DataError, match=r"a\.png: the picture is damaged: wrong checksum in the PNG at byte \d+"):
        read_picture(written(tmp_path, bytes(png), "a.png"))


def test_a_broken_colour_profile_makes_no_noise(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    png = encoded(".png")
    profile = struct.pack(">I", 4) + b"iCCPabc\0" + struct.pack(">I", zlib.crc32(b"iCCPabc\0"))
    end_of_header = 8 + 25

    picture = read_picture(written(tmp_path, png[:end_of_header] + profile + png[end_of_header:], "a.png"))

    np.testing.assert_array_equal(picture, noise())
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jpg", b"", "expected a picture, found an empty file"),
        ("a.jpg", b"<html>404</html>", "found a damaged one or another kind of file"),
        ("a.bmp", encoded(".bmp")[:-20], "found a damaged one or another kind of file"),
        ("a.webp", encoded(".webp")[:-20], "found a damaged one or another kind of file"),
        ("a.tif", encoded(".tif")[:-20], "found a damaged one or another kind of file"),
    ],
)
def test_what_is_no_picture_is_refused_by_its_path_and_quietly(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, content: bytes, message: str
) -> None:
    path = written(tmp_path, content, name)
    silence_opencv.cache_clear()  # as in a process that has read nothing yet
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_WARNING)

    with pytest.raises(DataError, match=message) as caught:
        read_picture(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert capfd.readouterr() == ("", "")


def test_a_missing_picture_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.jpg: no such picture"):
        read_picture(tmp_path / "gone.jpg")
    with pytest.raises(DataError, match="the picture cannot be read"):
        read_picture(tmp_path)


def test_a_long_run_of_marker_bytes_does_not_take_long(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cut off"):
        read_picture(written(tmp_path, b"\xff\xd8" + b"\xff" * 2_000_000))


def test_a_picture_with_an_unknown_suffix_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.txt: expected the name of a picture"):
        write_picture(tmp_path / "a.txt", noise())
    assert list(tmp_path.iterdir()) == []


def test_a_picture_that_cannot_be_written_leaves_the_earlier_one(tmp_path: Path) -> None:
    path = written(tmp_path, b"earlier", "a.png")

    with pytest.raises(DataError, match=r"a\.png: the picture cannot be encoded"):
        write_picture(path, np.zeros((0, 0, 3), np.uint8))
    assert path.read_bytes() == b"earlier"
    with pytest.raises(OutputError, match="cannot write this file"):
        write_picture(path / "b.png", noise())
