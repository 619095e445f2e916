"""Pictures of a data set as the network reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from yoloslim.boxes.annotation import Annotation
from yoloslim.boxes.placement import Placement, ResizeMode, place, to_batch
from yoloslim.data.dataset import Dataset
from yoloslim.data.joint import JointDataset
from yoloslim.graph.ops import Shape
from yoloslim.recipes.evaluate import Reading


def picture_batches(
    dataset: Dataset | JointDataset, count: int, shape: Shape, resize: ResizeMode, batch: int
) -> Iterator[Tensor]:
    """Gives the first ``count`` readable pictures of a data set, shape (B, C, H, W), RGB or grey, in 0..1.

    Pictures that cannot be read are passed over. The last batch may be smaller.

    Args:
        shape: of the network's input.
    """
    readable = (loaded.picture for loaded in dataset if loaded.picture is not None)
    size = (shape.width, shape.height)
    canvases = (place(picture, size, resize)[0] for picture in islice(readable, count))
    while taken := list(islice(canvases, batch)):
        yield torch.from_numpy(to_batch(taken, shape.channels))


def labelled_batches(
    dataset: Dataset | JointDataset,
    count: int,
    shape: Shape,
    resize: ResizeMode,
    batch: int,
    classes: Sequence[int] = (),
) -> Iterator[tuple[Tensor, Tensor]]:
    """Gives the first ``count`` pictures of a data set that have objects, and their targets, nothing varied.

    Pictures have shape (B, C, H, W), RGB or grey in 0..1; targets shape (M, 6): picture in the batch, class, cx, cy, w,
    h, the last four as shares of the input.

    Args:
        shape: of the network's input.
        classes: those of the data set that count, in the order of the network; empty for all.
    """
    size = (shape.width, shape.height)
    samples = islice((s for s in Reading(dataset, classes) if len(s[1])), count)
    while taken := list(islice(samples, batch)):
        placed = [place(picture, size, resize) for picture, _ in taken]
        targets = [
            np.insert(_targets(annotation, placement, size), 0, index, axis=1)
            for index, ((_, annotation), (_, placement)) in enumerate(zip(taken, placed, strict=True))
        ]
        images = to_batch([canvas for canvas, _ in placed], shape.channels)
        yield torch.from_numpy(images), torch.from_numpy(np.concatenate(targets))


def _targets(annotation: Annotation, placement: Placement, size: tuple[int, int]) -> NDArray[np.float32]:
    """Shape (N, 5): class, cx, cy, w, h, the last four as shares of ``size``; difficult objects are left out."""
    trained = ~annotation.difficult
    boxes = placement.to_input(annotation.boxes[trained]) / np.array(size * 2, np.float32)
    low, high = boxes[:, :2], boxes[:, 2:]
    columns = [annotation.class_ids[trained, None], (low + high) / 2, high - low]
    return np.concatenate(columns, axis=1).astype(np.float32)
