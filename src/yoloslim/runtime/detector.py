"""Pictures in, detections out, over any backend that computes head maps."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from yoloslim.boxes.detect import DetectSettings, detections_of
from yoloslim.boxes.detections import Detections
from yoloslim.boxes.placement import ResizeMode, place, to_batch
from yoloslim.data.layout import holding_size
from yoloslim.graph.ops import Yolo


class Backend(Protocol):
    """Computes the head maps of a network."""

    def __call__(self, batch: NDArray[np.float32], /) -> Sequence[NDArray[np.float32]]:
        """Gives one head map a head, (B, anchors, h, w, 5 + classes), for a batch (B, C, H, W), RGB or grey, 0..1."""


@dataclass(slots=True)
class Stopwatch:
    """Seconds spent in each part of detecting, over ``images`` pictures."""

    pre: float = 0.0
    infer: float = 0.0
    post: float = 0.0
    images: int = 0

    @contextmanager
    def measure(self, part: str) -> Iterator[None]:
        """Adds the time of the block to ``pre``, ``infer`` or ``post``."""
        start = time.perf_counter()
        yield
        setattr(self, part, getattr(self, part) + time.perf_counter() - start)

    def ms(self) -> dict[str, float]:
        """Gives milliseconds a picture for each part."""
        return {part: 1000 * getattr(self, part) / max(1, self.images) for part in ("pre", "infer", "post")}


@dataclass(frozen=True, slots=True)
class Detector:
    """Finds boxes in pictures.

    Attributes:
        backend: computes the head maps.
        yolos: the heads, in the order of the backend's outputs.
        size: width and height of the network's input, pixels.
        resize: how pictures are fitted into it.
        settings: thresholds and limits.
        stopwatch: adds up where the time goes.
        channels: of the network's input: 3 for colour, 1 for grey.
        stride: where not 0, each letterboxed picture is run at the smallest size that holds it, with sides that are
            multiples of it; the backend must take any size.
    """

    backend: Backend
    yolos: tuple[Yolo, ...]
    size: tuple[int, int]
    resize: ResizeMode
    settings: DetectSettings
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    channels: int = 3
    stride: int = 0

    def __call__(self, images: Sequence[NDArray[np.uint8]], /) -> list[Detections]:
        """Gives the detections of each picture, shape (H, W, 3), BGR; boxes in pixels of that picture."""
        found: dict[int, Detections] = {}
        for size, indices in self._by_size(images).items():
            found |= dict(zip(indices, self._detect([images[index] for index in indices], size), strict=True))
        return [found[index] for index in range(len(images))]

    def _by_size(self, images: Sequence[NDArray[np.uint8]]) -> dict[tuple[int, int], list[int]]:
        """Which pictures are run at which size."""
        if not self.stride or self.resize != "letterbox":
            return {self.size: list(range(len(images)))}
        groups: dict[tuple[int, int], list[int]] = {}
        for index, image in enumerate(images):
            size = holding_size(np.array([image.shape[1::-1]]), self.size, self.stride)
            groups.setdefault(size, []).append(index)
        return groups

    def _detect(self, images: Sequence[NDArray[np.uint8]], size: tuple[int, int]) -> list[Detections]:
        with self.stopwatch.measure("pre"):
            placed = [place(image, size, self.resize) for image in images]
            batch = to_batch([canvas for canvas, _ in placed], self.channels)
        with self.stopwatch.measure("infer"):
            head_maps = self.backend(batch)
        with self.stopwatch.measure("post"):
            found = [
                detections_of([heads[i] for heads in head_maps], self.yolos, size, placement, self.settings)
                for i, (_, placement) in enumerate(placed)
            ]
        self.stopwatch.images += len(images)
        return found
