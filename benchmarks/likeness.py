"""Which changed copies of a picture `data check` finds, and what it takes for a copy where there is none.

    YOLOSLIM_TEST_DATA=FOLDER python benchmarks/likeness.py

Changes 40 pictures of each of five real sets and looks each copy up among the unchanged pictures of its set: the
picture it was made of is to be named.
Prints the table of docs/data-quality.md and writes ``benchmarks/results/likeness.json``.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from environment import machine, versions

from yoloslim.data.likeness import find_alike, thumbnail
from yoloslim.data.listing import list_pictures
from yoloslim.data.pictures import Picture, read_picture

ROOT = Path(__file__).resolve().parent.parent
PICTURES = 40  # of each set
FOLDERS = {
    "bccd": "bccd/BCCD/JPEGImages",
    "coco128": "coco128_yolo/images",
    "aerial_cars": "aerial_cars/datasets",
    "chess_pieces": "chess_pieces/dataset",
    "hand_fingers5": "hand_fingers5",
}


def encoded(picture: Picture, quality: int) -> Picture:
    """Gives the picture after JPEG."""
    return cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


def cropped(picture: Picture, share: float) -> Picture:
    """Gives the picture without that share of its width and height, three quarters of it at the left and top."""
    height, width = picture.shape[:2]
    top, left = int(0.75 * share * height), int(0.75 * share * width)
    return picture[top : height - int(0.25 * share * height), left : width - int(0.25 * share * width)]


def turned(picture: Picture, degrees: float) -> Picture:
    """Gives the picture turned around its middle, grey corners."""
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    return cv2.warpAffine(picture, matrix, (width, height), borderValue=(114, 114, 114))


def noisy(picture: Picture, deviation: float) -> Picture:
    """Gives the picture with noise."""
    noise = np.random.default_rng(0).normal(0, deviation, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


CHANGES: dict[str, Callable[[Picture], Picture]] = {
    "JPEG of quality 30": lambda picture: encoded(picture, 30),
    "JPEG of quality 10": lambda picture: encoded(picture, 10),
    "a third of the size": lambda picture: cv2.resize(picture, None, fx=1 / 3, fy=1 / 3, interpolation=cv2.INTER_AREA),
    "stretched to 320x240": lambda picture: cv2.resize(picture, (320, 240)),
    "half as bright": lambda picture: cv2.convertScaleAbs(picture, alpha=0.5),
    "brighter by 40": lambda picture: cv2.convertScaleAbs(picture, beta=40),
    "gamma 0.6": lambda picture: (255 * (picture / 255.0) ** 0.6).astype(np.uint8),
    "noise of deviation 15": lambda picture: noisy(picture, 15),
    "mirrored": lambda picture: cv2.flip(picture, 1),
    "cropped by 4 %": lambda picture: cropped(picture, 0.04),
    "cropped by 8 %": lambda picture: cropped(picture, 0.08),
    "mirrored, cropped by 4 %, JPEG 50": lambda picture: encoded(cropped(cv2.flip(picture, 1), 0.04), 50),
    "turned by 2 degrees": lambda picture: turned(picture, 2),
    "turned by 5 degrees": lambda picture: turned(picture, 5),
    "turned by 90 degrees": lambda picture: cv2.rotate(picture, cv2.ROTATE_90_CLOCKWISE),
}


def main() -> int:
    """Prints and stores the shares."""
    data = Path(os.environ["YOLOSLIM_TEST_DATA"])
    shares: dict[str, dict[str, float]] = {change: {} for change in CHANGES}
    for name, folder in FOLDERS.items():
        paths = list_pictures(data / folder, data).pictures
        whole = [thumbnail(read_picture(path)) for path in paths]
        chosen = np.random.default_rng(0).choice(len(paths), PICTURES, replace=False)
        pictures = [read_picture(paths[index]) for index in chosen]
        for change, function in CHANGES.items():
            copies = [thumbnail(function(picture)) for picture in pictures]
            likes = find_alike([*whole, *copies], [0] * len(whole) + [1] * PICTURES)
            found = [like for like in likes if like.picture >= len(whole) and like.earlier < len(whole)]
            found = [like for like in found if like.earlier == chosen[like.picture - len(whole)]]
            shares[change][name] = len(found) / PICTURES
    print(f"| the copy is | {' | '.join(FOLDERS)} |\n|---|{'---|' * len(FOLDERS)}")
    for change, found_in in shares.items():
        print(f"| {change} | {' | '.join(f'{100 * share:.0f} %' for share in found_in.values())} |")
    record = {"pictures": PICTURES, "found": shares, "machine": machine(), "versions": versions()}
    (ROOT / "benchmarks" / "results" / "likeness.json").write_text(json.dumps(record, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
