"""The proof that a shrunk network computes what the masked one does."""

from __future__ import annotations

import copy

import torch

from yoloslim.compress.pruning.mask import mask
from yoloslim.compress.pruning.plan import PruningPlan
from yoloslim.graph.shapes import infer_shapes
from yoloslim.nn.network import Network

_CELLS = 4  # of the coarsest head map, each way: borders and inside, and quick in float64 for large networks


def max_abs_diff(network: Network, small: Network, plan: PruningPlan, seed: int = 0) -> float:
    """Gives the largest relative difference between masked and shrunk head maps on a random picture, in float64.

    Args:
        network: the whole network that ``plan`` was applied to.
        small: the shrunk one.
        seed: of the picture.

    Returns:
        ``max |masked - shrunk| / max |masked|`` over all head maps; rounding alone gives about 1e-15.
    """
    generator = torch.Generator().manual_seed(seed)
    picture = torch.rand(1, *_picture_shape(network), dtype=torch.float64, generator=generator)
    with torch.inference_mode():
        masked = mask(copy.deepcopy(network).double().eval(), plan)(picture)
        shrunk = copy.deepcopy(small).double().eval()(picture)
    pairs = zip(masked, shrunk, strict=True)
    return max(float((a - b).abs().max() / a.abs().max().clamp(min=1e-300)) for a, b in pairs)


def _picture_shape(network: Network) -> tuple[int, int, int]:
    """Channels, height and width of a picture that spans a few cells of the coarsest head map."""
    shapes = infer_shapes(network.graph)
    image = network.graph.input_shape
    coarsest = min((shapes[node.name] for node, _ in network.graph.heads), key=lambda shape: shape.height)
    return (image.channels, _CELLS * image.height // coarsest.height, _CELLS * image.width // coarsest.width)
