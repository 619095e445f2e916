"""How a picture is laid into a network's input, and boxes back out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from yoloslim.errors import RecipeError

ResizeMode = Literal["letterbox", "stretch"]

PICTURE_CHANNELS = (1, 3)
GREY = 114  # the border of a letterbox, in every channel


@dataclass(frozen=True, slots=True)
class Placement:
    """How a picture lies in the network's input.

    Attributes:
        scale_x: pixels of the input that one pixel of the picture covers, horizontally.
        scale_y: the same, vertically.
        left: pixels of the input left of the picture.
        top: pixels of the input above the picture.
        width: width of the picture, pixels.
        height: height of the picture, pixels.
    """

    scale_x: float
    scale_y: float
    left: int
    top: int
    width: int
    height: int

    def to_picture(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Gives boxes of the network's input in pixels of the picture; both have shape (N, 4), xyxy."""
        return (boxes - self._offset) / self._scale

    def to_input(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Gives boxes of the picture in pixels of the network's input; both have shape (N, 4), xyxy."""
        return boxes * self._scale + self._offset

    @property
    def _scale(self) -> NDArray[np.float32]:
        return np.array([self.scale_x, self.scale_y] * 2, np.float32)

    @property
    def _offset(self) -> NDArray[np.float32]:
        return np.array([self.left, self.top] * 2, np.float32)


def place(image: NDArray[np.uint8], size: tuple[int, int], resize: ResizeMode) -> tuple[NDArray[np.uint8], Placement]:
    """Gives a picture at the size of the network's input, and how it lies there.

    Args:
        image: shape (H, W, 3), BGR.
        size: width and height of the network's input, pixels.
        resize: ``letterbox`` keeps the proportions and fills with grey; ``stretch`` does not.

    Returns:
        The canvas, shape (size[1], size[0], 3), BGR, and the placement.
    """
    if resize == "letterbox":
        return _letterbox(image, size)
    return _stretch(image, size)


def to_batch(canvases: Sequence[NDArray[np.uint8]], channels: int = 3) -> NDArray[np.float32]:
    """Gives canvases of one size, shape (H, W, 3), BGR, as a batch of shape (B, C, H, W), 0..1, contiguous.

    Args:
        channels: 3 for RGB, 1 for grey.
    """
    height, width = canvases[0].shape[:2]
    batch = np.empty((len(canvases), channels, height, width), np.float32)
    for canvas, planes in zip(canvases, batch, strict=True):
        for plane, channel in zip(planes, to_planes(canvas, channels), strict=True):
            np.divide(channel, 255, out=plane, dtype=np.float32)
    return batch


def to_planes(canvas: NDArray[np.uint8], channels: int = 3) -> Sequence[NDArray[np.uint8]]:
    """Gives the planes of a canvas, shape (H, W, 3), BGR, that a network reads, each of shape (H, W).

    Args:
        channels: 3 for red, green and blue; 1 for grey, .299 of red, .587 of green and .114 of blue.

    Raises:
        RecipeError: networks with so many channels do not read pictures.
    """
    check_channels(channels)
    planes = [cv2.cvtColor(canvas, cv2.COLOR_BGR2GRAY)] if channels == 1 else reversed(cv2.split(canvas))
    return [np.asarray(plane, np.uint8) for plane in planes]


def check_channels(channels: int) -> None:
    """Makes sure that a network with so many input channels can read pictures.

    Raises:
        RecipeError: it cannot.
    """
    if channels not in PICTURE_CHANNELS:
        expected = "3 (colour) or 1 (grey)"
        raise RecipeError(f"a picture has {expected} channels, this network reads {channels}: set channels= in its cfg")


def _letterbox(image: NDArray[np.uint8], size: tuple[int, int]) -> tuple[NDArray[np.uint8], Placement]:
    height, width = image.shape[:2]
    scale = min(size[0] / width, size[1] / height)
    new_width, new_height = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (size[0] - new_width) // 2, (size[1] - new_height) // 2
    canvas = np.full((size[1], size[0], 3), GREY, np.uint8)
    canvas[top : top + new_height, left : left + new_width] = _resized(image, (new_width, new_height))
    return canvas, Placement(new_width / width, new_height / height, left, top, width, height)


def _stretch(image: NDArray[np.uint8], size: tuple[int, int]) -> tuple[NDArray[np.uint8], Placement]:
    height, width = image.shape[:2]
    return _resized(image, size), Placement(size[0] / width, size[1] / height, 0, 0, width, height)


def _resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    if image.shape[1::-1] == size:
        return image
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)
