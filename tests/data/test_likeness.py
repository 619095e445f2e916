"""Pictures that show nearly the same are found; those of one place with another object are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from yoloslim.data.likeness import Like, are_alike, find_alike, thumbnail
from yoloslim.data.pictures import Picture, read_picture


def scene(seed: int) -> Picture:
    """A picture of 160x120 with large and small patches of colour, and a bright object."""
    rng = np.random.default_rng(seed)
    large = cv2.resize(rng.integers(0, 255, (5, 6, 3), np.uint8), (160, 120), interpolation=cv2.INTER_CUBIC)
    small = cv2.resize(rng.integers(0, 255, (20, 26, 3), np.uint8), (160, 120), interpolation=cv2.INTER_CUBIC)
    picture = cv2.addWeighted(large, 0.7, small, 0.3, 0)
    return cv2.rectangle(picture, (30, 70), (55, 95), (250, 250, 250), cv2.FILLED)


def encoded_again(picture: Picture) -> Picture:
    return cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 20])[1], cv2.IMREAD_COLOR)


def turned(picture: Picture) -> Picture:
    matrix = cv2.getRotationMatrix2D((80, 60), 3, 1.02)
    return cv2.warpAffine(picture, matrix, (160, 120), borderMode=cv2.BORDER_REFLECT)


CHANGES: dict[str, Callable[[Picture], Picture]] = {
    "compressed again": encoded_again,
    "half the size": lambda picture: cv2.resize(picture, (80, 60), interpolation=cv2.INTER_AREA),
    "other proportions": lambda picture: cv2.resize(picture, (100, 140)),
    "brighter": lambda picture: cv2.convertScaleAbs(picture, alpha=0.7, beta=70),
    "darker": lambda picture: cv2.convertScaleAbs(picture, alpha=0.4),
    "blurred": lambda picture: cv2.GaussianBlur(picture, (0, 0), 1.5),
    "grey": lambda picture: cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR),
    "mirrored": lambda picture: cv2.flip(picture, 1),
    "cropped": lambda picture: picture[4:117, 5:157],
    "turned": turned,
    "mirrored, cropped and compressed": lambda picture: encoded_again(cv2.flip(picture, 1)[3:, 3:]),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("seed", range(3))
def test_a_changed_copy_shows_nearly_the_same(change: str, seed: int) -> None:
    first, second = thumbnail(scene(seed)), thumbnail(CHANGES[change](scene(seed)))

    assert are_alike(first, second)
    assert are_alike(second, first)


@pytest.mark.parametrize("seed", range(20))
def test_other_pictures_are_not_alike(seed: int) -> None:
    assert not are_alike(thumbnail(scene(seed)), thumbnail(scene(seed + 100)))


@pytest.mark.parametrize("seed", range(5))
def test_one_place_with_an_object_elsewhere_is_not_alike(seed: int) -> None:
    empty = cv2.rectangle(scene(seed), (30, 70), (55, 95), (20, 20, 20), cv2.FILLED)
    moved = cv2.rectangle(empty, (100, 20), (125, 45), (250, 250, 250), cv2.FILLED)

    assert not are_alike(thumbnail(scene(seed)), thumbnail(moved))


def test_the_likest_earlier_picture_of_every_group_is_given() -> None:
    pictures = [scene(0), scene(1), scene(2), scene(1), encoded_again(scene(0)), cv2.flip(scene(1), 1), scene(3)]
    seen: list[int] = []

    found = find_alike([thumbnail(picture) for picture in pictures], [0, 0, 0, 0, 1, 1, 1], seen.append)

    assert found[:2] == [Like(3, 1), Like(4, 0)]
    assert (found[2].picture, found[2].earlier in (1, 3), len(found)) == (5, True, 3)
    assert seen[-1] == 7


def test_pictures_of_an_even_grey_are_like_no_other() -> None:
    grey = np.full((120, 160, 3), 90, np.uint8)

    assert find_alike([thumbnail(grey)] * 3, [0, 0, 1]) == []
    assert find_alike([thumbnail(grey), thumbnail(scene(0)), thumbnail(scene(0))], [0, 0, 1]) == [Like(2, 1)]
    assert find_alike([], []) == []


def test_blocks_do_not_change_what_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    small = [thumbnail(scene(seed % 4)) for seed in range(12)]
    whole = find_alike(small, [0] * 6 + [1] * 6)

    monkeypatch.setattr("yoloslim.data.likeness.BLOCK_PAIRS", 30)

    assert find_alike(small, [0] * 6 + [1] * 6) == whole
    assert len(whole) == 2 + 6 + 2  # within the first group, from the second to the first, within the second


@pytest.mark.medium
def test_copies_of_real_pictures_are_found_and_nothing_else(data_dir: Path) -> None:
    paths = sorted((data_dir / "coco128_yolo" / "images" / "val2017").iterdir())
    pictures = [read_picture(path) for path in paths]
    changes = [lambda p: encoded_again(cv2.resize(p, None, fx=0.5, fy=0.5)), lambda p: cv2.flip(p, 1)[6:-4, 5:-5]]
    copies = [changes[number % 2](picture) for number, picture in enumerate(pictures)]

    found = find_alike([thumbnail(picture) for picture in (*pictures, *copies)], [0] * 128 + [1] * 128)

    assert {(like.picture - 128, like.earlier) for like in found} <= {(index, index) for index in range(128)}
    assert len(found) > 0.95 * 128
