"""Pictures of a data set as the network reads them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor

from yoloslim.boxes.placement import ResizeMode, place, to_batch
from yoloslim.data.dataset import Dataset
from yoloslim.data.joint import JointDataset
from yoloslim.graph.ops import Shape


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
