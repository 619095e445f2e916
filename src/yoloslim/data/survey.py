"""The boxes of a data set as columns, and their sizes as a network sees them. No picture is decoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yoloslim.boxes.annotation import Annotation
from yoloslim.boxes.placement import ResizeMode
from yoloslim.data.annotations import Kind, LabelReading, Problem
from yoloslim.data.dataset import Dataset, Sample
from yoloslim.data.geometry import cut, joined
from yoloslim.data.headers import read_header
from yoloslim.errors import DataError


@dataclass(frozen=True, slots=True)
class Survey:
    """What is in the pictures of one split whose labels can be read.

    Attributes:
        names: the class names, by class id.
        picture_sizes: shape (P, 2), int64: width and height of every picture, pixels.
        boxes: all boxes, one picture after the other, cut at the border as in training, in pixels of their picture.
        pictures: shape (N,), int64: index of the picture of each box, 0 to P - 1.
        problems: what was left out, for the user.
    """

    names: tuple[str, ...]
    picture_sizes: NDArray[np.int64]
    boxes: Annotation
    pictures: NDArray[np.int64]
    problems: tuple[Problem, ...] = ()

    @property
    def box_sizes(self) -> NDArray[np.float64]:
        """Width and height of every box, shape (N, 2), pixels of its picture."""
        return (self.boxes.boxes[:, 2:] - self.boxes.boxes[:, :2]).astype(np.float64)

    def sizes_at(self, size: tuple[int, int], resize: ResizeMode) -> NDArray[np.float64]:
        """Gives width and height of every box, shape (N, 2), pixels of a network's input.

        Training that varies the scale of pictures varies these sizes around what is given here.

        Args:
            size: width and height of the input.
            resize: how pictures are fitted into it.
        """
        wanted = np.array(size, np.float64)
        if resize == "letterbox":
            scales = (wanted / self.picture_sizes).min(1, keepdims=True)
            fitted = np.maximum(1, np.round(self.picture_sizes * scales))
        else:
            fitted = np.broadcast_to(wanted, self.picture_sizes.shape)
        sizes: NDArray[np.float64] = self.box_sizes * (fitted / self.picture_sizes)[self.pictures]
        return sizes

    def trained_sizes(self, size: tuple[int, int], resize: ResizeMode) -> NDArray[np.float64]:
        """Gives `sizes_at` for the boxes that are trained on: without the difficult ones."""
        return self.sizes_at(size, resize)[~self.boxes.difficult]


def survey(dataset: Dataset, progress: Callable[[int], None] | None = None) -> Survey:
    """Gives what the labels of a data set say.

    Args:
        progress: called with the number of samples done.

    Raises:
        DataError: no picture and its labels can be read.
    """
    sizes: list[tuple[int, int]] = []
    annotations: list[Annotation] = []
    problems = list(dataset.problems)
    for count, sample in enumerate(dataset.samples, start=1):
        size, reading = _read(dataset, sample)
        problems += reading.problems
        if reading.annotation is not None:
            sizes.append(size)
            annotations.append(cut(reading.annotation, size))
        if progress is not None:
            progress(count)
    if not sizes:
        first = f" ({problems[0]})" if problems else ""
        raise DataError(f"expected labelled pictures, found none among {len(dataset)} that can be read{first}")
    pictures = np.repeat(np.arange(len(sizes)), [len(annotation) for annotation in annotations])
    return Survey(dataset.names, np.array(sizes, np.int64), joined(annotations), pictures, tuple(problems))


def _read(dataset: Dataset, sample: Sample) -> tuple[tuple[int, int], LabelReading]:
    """Gives the size of a picture and what its labels say, which is nothing where the picture cannot be read."""
    try:
        size = read_header(sample.path).size
    except DataError as error:
        message = str(error).removeprefix(f"{sample.path}: ")
        return (0, 0), LabelReading(None, (Problem(sample.path, 0, message, Kind.UNREADABLE_PICTURE),))
    return size, dataset.read_labels(sample, size)
