"""Training pictures varied at random: mirrored, moved, recoloured, four joined to one.

Everything random comes from the generator that is passed in, so the same generator gives the same picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Protocol

import cv2
import numpy as np

from yoloslim.boxes.annotation import Annotation
from yoloslim.boxes.placement import place
from yoloslim.data.geometry import (
    MOSAIC_PICTURES,
    Matrix,
    Pair,
    blend,
    cut,
    fitted_size,
    flip,
    lay_mosaic,
    paint_over,
    resize_to,
    rotation,
    scaling,
    shearing,
    translation,
    warp,
)
from yoloslim.data.layout import Layout
from yoloslim.data.pictures import Picture
from yoloslim.errors import RecipeError

HUES = 180  # of OpenCV's 8-bit HSV
MIXUP_BETA = 8.0  # shares of two blended pictures lie near one half, so that both can be seen and no loss needs weights
MOSAIC_CENTRE = (0.25, 0.75)  # where the four pictures meet, as a share of the input's sides

LIMITS = {
    "hue": 0.5,
    "saturation": 1.0,
    "value": 1.0,
    "rotate": 180.0,
    "scale": 0.95,  # 1 would shrink a picture to nothing
    "shear": 60.0,
    "min_side_px": 64.0,
}
"""The largest value of each setting; 1 for those that are not named. The smallest is 0, which turns it off."""


@dataclass(frozen=True, slots=True)
class AugmentSettings:
    """How much training pictures are varied. Ranges are symmetric and uniform; 0 turns each off.

    Attributes:
        flip: probability of a mirror image (left becomes right).
        flip_vertical: probability that top becomes bottom: for what has no upright, as seen from above or through a
            microscope.
        hue: largest shift of the hue, as a share of the colour circle.
        saturation: saturation is multiplied by 1 ± this.
        value: brightness is multiplied by 1 ± this.
        rotate: largest turn, degrees.
        translate: largest shift, as a share of the input's sides.
        scale: size is multiplied by 1 ± this.
        shear: largest slant, degrees.
        mosaic: probability that four pictures are joined (Bochkovskiy et al., YOLOv4, 2020).
        mixup: probability that the picture is blended with another one, varied too (Zhang et al., mixup, 2018; for
            detection: Zhang et al., Bag of freebies, 2019).
        cutout: probability that a rectangle is painted grey (DeVries & Taylor, 2017).
        cutout_size: largest sides of that rectangle, as shares of the input's.
        min_visible: share of a box's area that must stay in the picture, and not be painted over; others are no
            targets.
        min_side_px: smallest side of what is left of a box, in pixels of the network's input.

    Raises:
        RecipeError: a value is out of its range.
    """

    flip: float = 0.5
    flip_vertical: float = 0.0
    hue: float = 0.015
    saturation: float = 0.7
    value: float = 0.4
    rotate: float = 0.0
    translate: float = 0.1
    scale: float = 0.5
    shear: float = 0.0
    mosaic: float = 0.0
    mixup: float = 0.0
    cutout: float = 0.0
    cutout_size: float = 0.3
    min_visible: float = 0.2
    min_side_px: float = 2.0

    def __post_init__(self) -> None:
        for field in fields(self):
            found, largest = getattr(self, field.name), LIMITS.get(field.name, 1.0)
            if not 0 <= found <= largest:
                raise RecipeError(f"augmentation {field.name}: expected 0 to {largest:g}, found {found:g}")

    @staticmethod
    def off() -> AugmentSettings:
        """Gives settings that leave pictures as they are."""
        return AugmentSettings(**dict.fromkeys((field.name for field in fields(AugmentSettings)), 0.0))

    @property
    def moves(self) -> bool:
        """Whether pictures are turned, shifted, scaled or slanted."""
        return any((self.rotate, self.translate, self.scale, self.shear))

    @property
    def recolours(self) -> bool:
        """Whether colours are changed."""
        return any((self.hue, self.saturation, self.value))


class Pictures(Protocol):
    """Where pictures come from: a sequence that reads them when asked."""

    def __len__(self) -> int:
        """Gives the number of pictures."""

    def __getitem__(self, index: int, /) -> Pair:
        """Gives one picture with its annotation, boxes inside the picture."""


def training_sample(
    pictures: Pictures,
    index: int,
    rng: np.random.Generator,
    layout: Layout,
    settings: AugmentSettings,
) -> Pair:
    """Gives one training picture at the size of the network's input, with its objects in pixels of that.

    Without augmentation the canvas is what `yoloslim.boxes.placement.place` gives.

    Args:
        pictures: those of the data set; ``index`` and its partners in mosaic and mixup are read.
        rng: the only source of randomness.
        layout: size of the network's input and how pictures are laid into it.
    """
    pair = _moved_and_recoloured(pictures, index, rng, layout, settings)
    if settings.mixup and rng.random() < settings.mixup:
        partner = _moved_and_recoloured(pictures, int(rng.integers(len(pictures))), rng, layout, settings)
        pair = blend(pair, partner, rng.beta(MIXUP_BETA, MIXUP_BETA))
    return random_cutout(*pair, rng, settings)


def _moved_and_recoloured(
    pictures: Pictures, index: int, rng: np.random.Generator, layout: Layout, settings: AugmentSettings
) -> Pair:
    if rng.random() < settings.mosaic:
        partners = rng.integers(len(pictures), size=MOSAIC_PICTURES - 1)
        chosen = [pictures[index], *(pictures[int(partner)] for partner in partners)]
        pair = random_mosaic([chosen[place] for place in rng.permutation(MOSAIC_PICTURES)], rng, layout, settings)
    else:
        pair = random_affine(*pictures[index], rng, layout, settings)
    objects = cut(pair.annotation, layout.size, min_visible=settings.min_visible, min_side_px=settings.min_side_px)
    return random_colours(*random_flip(pair.picture, objects, rng, settings), rng, settings)


def random_flip(picture: Picture, annotation: Annotation, rng: np.random.Generator, settings: AugmentSettings) -> Pair:
    """Gives the picture or, with the probabilities of the settings, its mirror image in either direction."""
    pair = flip(picture, annotation) if rng.random() < settings.flip else Pair(picture, annotation)
    if settings.flip_vertical and rng.random() < settings.flip_vertical:
        return flip(*pair, vertical=True)
    return pair


def random_cutout(
    picture: Picture, annotation: Annotation, rng: np.random.Generator, settings: AugmentSettings
) -> Pair:
    """Gives the picture or, with probability ``settings.cutout``, one with a random grey rectangle."""
    if not settings.cutout or rng.random() >= settings.cutout:
        return Pair(picture, annotation)
    size = np.array(picture.shape[1::-1])
    sides = np.round(rng.uniform(0, settings.cutout_size, 2) * size)
    low = np.floor(rng.uniform(0, 1, 2) * (size - sides + 1))
    left, top, right, bottom = np.concatenate([low, low + sides]).astype(int).tolist()
    return paint_over(picture, annotation, (left, top, right, bottom), min_visible=settings.min_visible)


def random_colours(
    picture: Picture, annotation: Annotation, rng: np.random.Generator, settings: AugmentSettings
) -> Pair:
    """Gives the picture with another hue, saturation and brightness; its objects stay."""
    if not settings.recolours:
        return Pair(picture, annotation)
    hue, saturation, value = rng.uniform(-1, 1, 3) * (settings.hue, settings.saturation, settings.value)
    levels = np.arange(256)
    table = np.empty((1, 256, 3), np.uint8)
    table[0, :, 0] = np.round(levels + hue * HUES) % HUES
    table[0, :, 1] = np.minimum(np.round(levels * (1 + saturation)), 255)
    table[0, :, 2] = np.minimum(np.round(levels * (1 + value)), 255)
    recoloured = cv2.LUT(cv2.cvtColor(picture, cv2.COLOR_BGR2HSV), table)
    return Pair(np.asarray(cv2.cvtColor(recoloured, cv2.COLOR_HSV2BGR), np.uint8), annotation)


def random_affine(
    picture: Picture, annotation: Annotation, rng: np.random.Generator, layout: Layout, settings: AugmentSettings
) -> Pair:
    """Gives the picture laid into the network's input, moved at random, in one resampling. Boxes are not cut."""
    if not settings.moves:
        canvas, placement = place(picture, layout.size, layout.resize)
        return Pair(canvas, replace(annotation, boxes=placement.to_input(annotation.boxes)))
    height, width = picture.shape[:2]
    new_width, new_height = fitted_size(picture, layout.size, layout.resize)
    around_origin = scaling(new_width / width, new_height / height) @ translation(-width / 2, -height / 2)
    matrix = translation(layout.size[0] / 2, layout.size[1] / 2) @ random_matrix(rng, layout, settings) @ around_origin
    return warp(picture, annotation, matrix, layout.size)


def random_mosaic(pairs: Sequence[Pair], rng: np.random.Generator, layout: Layout, settings: AugmentSettings) -> Pair:
    """Gives four pictures that meet at a random point of the network's input, moved as one. Boxes are not cut."""
    tiles = [resize_to(*pair, fitted_size(pair.picture, layout.size, layout.resize)) for pair in pairs]
    (canvas, annotation), (x, y) = lay_mosaic(tiles)
    centre_x, centre_y = rng.uniform(*MOSAIC_CENTRE, 2) * layout.size
    matrix = translation(centre_x, centre_y) @ random_matrix(rng, layout, settings) @ translation(-x, -y)
    return warp(canvas, annotation, matrix, layout.size)


def random_matrix(rng: np.random.Generator, layout: Layout, settings: AugmentSettings) -> Matrix:
    """Gives a random map around the origin: slanted, turned and scaled, then shifted; pixels of the input."""
    gain = 1 + rng.uniform(-settings.scale, settings.scale)
    turn = rotation(rng.uniform(-settings.rotate, settings.rotate))
    slant = shearing(*rng.uniform(-settings.shear, settings.shear, 2))
    shift = translation(*(rng.uniform(-settings.translate, settings.translate, 2) * layout.size))
    return shift @ scaling(gain, gain) @ turn @ slant
