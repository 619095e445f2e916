"""A data set to try things on, made without a download: scenes of handwritten digits with exact boxes.

The digits are scikit-learn's bundled copy of UCI's (8x8 pixels, 1797 of them), the backgrounds its two photographs.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from yoloslim.boxes.annotation import Annotation
from yoloslim.data.geometry import Pair, rotation, scaling, translation
from yoloslim.data.pictures import Picture, read_picture
from yoloslim.errors import BackendMissing, OutputError

NUM_CLASSES = 10
VAL_SHARE = 0.2  # of each class's handwritten digits; never seen in train
MAX_DIGITS = 6  # in a scene
DIGIT_SIDE = (0.125, 0.33)  # of a digit's longer side, as a share of the scene's: 24 to 72 px of 192, with its rim
MAX_TURN = 12.0  # degrees
MAX_OVERLAP = 0.1  # of the smaller one of two boxes
PLACEMENT_TRIES = 30

PHOTOGRAPHS = ("china.jpg", "flower.jpg")
STAMP = "digits.json"  # says what a folder was made with; the last file to be written
VERSION = 1  # of the scenes; another one makes them anew

SPLIT_STREAM, SCENE_STREAM = 0, 1  # keep the generators apart


@dataclass(frozen=True, slots=True)
class Glyph:
    """A digit as it is to be painted.

    Attributes:
        class_id: the digit.
        ink: shape (h, w), uint8, how much of the ink's colour each pixel takes.
        rim: shape (h, w), uint8, the same for a thin rim around it, painted first; every row and column at the border
            of the glyph has at least one pixel of it.
    """

    class_id: int
    ink: NDArray[np.uint8]
    rim: NDArray[np.uint8]


def write_digit_scenes(
    folder: str | Path, *, train: int = 1000, val: int = 200, size: int = 192, seed: int = 0
) -> Path:
    """Writes scenes of digits as a YOLO data set, and gives its data file.

    The folder appears whole or not at all. One that was made with the same numbers is left as it is.

    Args:
        folder: where ``data.yaml``, ``images/`` and ``labels/`` are to be.
        train: number of scenes to train on.
        val: number of scenes to validate on; their digits are in no scene of train.
        size: width and height of a scene, pixels.
        seed: 0 or more.

    Raises:
        BackendMissing: scikit-learn is not installed.
        OutputError: the folder cannot be written, or holds something else.
    """
    folder = Path(folder)
    stamp = {"version": VERSION, "train": train, "val": val, "size": size, "seed": seed}
    if _stamp_of(folder) == stamp:
        return folder / "data.yaml"
    if folder.exists() and _stamp_of(folder) is None and any(folder.iterdir()):
        raise OutputError(f"{folder}: expected a folder of digit scenes or none, found other files: choose another one")
    painter = _Painter.load(seed)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
            made = Path(temporary) / "made"
            for split, count in (("train", train), ("val", val)):
                _write_split(made, split, count, size, painter)
            _write_yaml(made)
            (made / STAMP).write_text(json.dumps(stamp) + "\n", encoding="utf-8")
            if folder.exists():
                folder.replace(Path(temporary) / "replaced")
            made.replace(folder)
    except OSError as error:
        raise OutputError(f"{folder}: cannot write this folder: {error.strerror or error}") from error
    return folder / "data.yaml"


def split_digits(labels: NDArray[np.int64], seed: int) -> dict[str, list[NDArray[np.int64]]]:
    """Gives, for each split and digit, which handwritten samples it may use; no sample is in two splits.

    Args:
        labels: the digit of each sample.
    """
    rng = np.random.default_rng((seed, SPLIT_STREAM))
    splits: dict[str, list[NDArray[np.int64]]] = {"train": [], "val": []}
    for class_id in range(NUM_CLASSES):
        samples = rng.permutation(np.flatnonzero(labels == class_id))
        num_val = round(VAL_SHARE * len(samples))
        splits["val"].append(samples[:num_val])
        splits["train"].append(samples[num_val:])
    return splits


def make_glyph(digit: NDArray[np.float64], class_id: int, side: float, rng: np.random.Generator) -> Glyph:
    """Gives a digit enlarged smoothly, a little turned and stretched, and cropped to what is visible of it.

    Args:
        digit: shape (8, 8), 0..16.
        side: of the longer side of the glyph, about, in pixels.
    """
    padded = np.pad(digit / 16, 2).astype(np.float32)
    rows, columns = digit.shape
    stretch = rng.uniform(0.85, 1.15)
    gain = side / max(rows, columns)
    canvas_side = math.ceil(gain * 1.2 * max(padded.shape))
    matrix = (
        translation(canvas_side / 2, canvas_side / 2)
        @ rotation(rng.uniform(-MAX_TURN, MAX_TURN))
        @ scaling(gain * min(1, stretch), gain / max(1, stretch))
        @ translation(-(padded.shape[1] - 1) / 2, -(padded.shape[0] - 1) / 2)
    )
    smooth = cv2.warpAffine(padded, matrix[:2], (canvas_side, canvas_side), flags=cv2.INTER_CUBIC)
    ink = np.clip((np.asarray(smooth) - 0.3) / 0.3, 0, 1)
    width = max(1, round(side / 20))
    rim = cv2.dilate(ink, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1)))
    visible = np.asarray(rim) >= 0.25
    ys, xs = np.flatnonzero(visible.any(axis=1)), np.flatnonzero(visible.any(axis=0))
    part = np.s_[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]
    return Glyph(class_id, _as_bytes(ink[part]), _as_bytes(np.where(visible, rim, 0)[part]))


def paint(background: Picture, glyphs: Sequence[Glyph], rng: np.random.Generator) -> Pair:
    """Gives ``background`` with digits painted on it where they hardly overlap; one that finds no room is left out."""
    picture = background.copy()
    boxes: list[tuple[int, int, int, int]] = []
    class_ids: list[int] = []
    for glyph in glyphs:
        box = _free_place(glyph, boxes, picture.shape[:2], rng)
        if box is None:
            continue
        left, top, right, bottom = box
        _paint_glyph(picture[top:bottom, left:right], glyph, rng)
        boxes.append(box)
        class_ids.append(glyph.class_id)
    xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    return Pair(picture, Annotation(xyxy, np.array(class_ids, np.int64), np.zeros(len(boxes), np.bool_)))


@dataclass(frozen=True, slots=True)
class _Painter:
    """What scenes are made of.

    Attributes:
        digits: shape (N, 8, 8), 0..16.
        samples: for each split and class, which digits it may use.
        photographs: the backgrounds.
        seed: of everything random.
    """

    digits: NDArray[np.float64]
    samples: dict[str, list[NDArray[np.int64]]]
    photographs: tuple[Picture, ...]
    seed: int

    @staticmethod
    def load(seed: int) -> _Painter:
        try:
            from sklearn.datasets import load_digits
        except ImportError:
            raise BackendMissing("demo", "making scenes of handwritten digits") from None
        digits, labels = load_digits(return_X_y=True)
        # Not load_sample_images, which needs a package of its own to decode them.
        folder = resources.files("sklearn.datasets.images")
        with resources.as_file(folder) as images:
            photographs = tuple(read_picture(images / name) for name in PHOTOGRAPHS)
        return _Painter(digits.reshape(-1, 8, 8), split_digits(labels, seed), photographs, seed)

    def scene(self, split: str, number: int, size: int) -> Pair:
        """Gives one scene, which depends on the seed, its split and its number alone."""
        rng = np.random.default_rng((self.seed, SCENE_STREAM, list(self.samples).index(split), number))
        background = _crop(self.photographs[rng.integers(len(self.photographs))], size, rng)
        glyphs = []
        for class_id in rng.integers(NUM_CLASSES, size=rng.integers(1, MAX_DIGITS + 1)).tolist():
            digit = self.digits[rng.choice(self.samples[split][class_id])]
            side = size * math.exp(rng.uniform(*np.log(DIGIT_SIDE)))
            glyphs.append(make_glyph(digit, class_id, side, rng))
        return paint(background, glyphs, rng)


def _crop(photograph: Picture, size: int, rng: np.random.Generator) -> Picture:
    """Gives a square part of a photograph, mirrored or not, brighter or darker."""
    height, width = photograph.shape[:2]
    side = int(rng.integers(min(height, width) // 3, min(height, width) + 1))
    left, top = int(rng.integers(width - side + 1)), int(rng.integers(height - side + 1))
    part = photograph[top : top + side, left : left + side]
    if rng.random() < 0.5:
        part = part[:, ::-1]
    resized = cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.convertScaleAbs(resized, alpha=rng.uniform(0.6, 1.05)), np.uint8)


def _free_place(
    glyph: Glyph, taken: Sequence[tuple[int, int, int, int]], shape: tuple[int, ...], rng: np.random.Generator
) -> tuple[int, int, int, int] | None:
    height, width = glyph.ink.shape
    if height > shape[0] or width > shape[1]:
        return None
    for _ in range(PLACEMENT_TRIES):
        left, top = int(rng.integers(shape[1] - width + 1)), int(rng.integers(shape[0] - height + 1))
        box = (left, top, left + width, top + height)
        if all(_overlap(box, other) <= MAX_OVERLAP for other in taken):
            return box
    return None


def _overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> float:
    """Gives the common area as a share of the smaller box."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    return max(0, width) * max(0, height) / smaller


def _paint_glyph(place: Picture, glyph: Glyph, rng: np.random.Generator) -> None:
    """Paints light ink with a dark rim, which stands out from every background."""
    ink, rim = _colour(rng, value=(225, 256), saturation=(0, 110)), _colour(rng, value=(0, 50), saturation=(60, 256))
    for amount, colour in ((glyph.rim, rim), (glyph.ink, ink)):
        share = amount[..., None].astype(np.float32) / 255
        place[:] = np.round(place * (1 - share) + colour * share)


def _colour(rng: np.random.Generator, *, value: tuple[int, int], saturation: tuple[int, int]) -> NDArray[np.float32]:
    hsv = np.array([[[rng.integers(180), rng.integers(*saturation), rng.integers(*value)]]], np.uint8)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR), np.float32).reshape(3)


def _as_bytes(shares: NDArray[np.floating]) -> NDArray[np.uint8]:
    return np.round(shares * 255).astype(np.uint8)


def _write_split(folder: Path, split: str, count: int, size: int, painter: _Painter) -> None:
    images, labels = folder / "images" / split, folder / "labels" / split
    images.mkdir(parents=True)
    labels.mkdir(parents=True)
    for number in range(count):
        picture, annotation = painter.scene(split, number, size)
        _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 92])
        (images / f"{number:05d}.jpg").write_bytes(encoded.tobytes())
        (labels / f"{number:05d}.txt").write_text(_label_lines(annotation, size), encoding="utf-8", newline="\n")


def _label_lines(annotation: Annotation, size: int) -> str:
    lines = []
    for class_id, (left, top, right, bottom) in zip(annotation.class_ids, annotation.boxes / size, strict=True):
        numbers = ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)
        lines.append(" ".join([str(class_id), *(f"{number:.6f}" for number in numbers)]) + "\n")
    return "".join(lines)


def _write_yaml(folder: Path) -> None:
    names = ", ".join(f'"{class_id}"' for class_id in range(NUM_CLASSES))
    lines = ("train: images/train", "val: images/val", f"names: [{names}]")
    (folder / "data.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def _stamp_of(folder: Path) -> object:
    """Gives what ``folder`` was made with; None when it is not ours, or not there."""
    try:
        return json.loads((folder / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
