"""The proof that a shrunk network computes what the masked one does."""

from __future__ import annotations

import copy

import torch

from yoloslim.compress.pruning.mask import mask
from yoloslim.compress.pruning.plan import PruningPlan
from yoloslim.errors import CfgError, PlanError
from yoloslim.graph.ops import Shape
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
        ``max |masked - shrunk| / max |masked|`` over all head maps; rounding alone gives about 1e-15, and nan where a
        head map holds something that is not a number.

    Raises:
        PlanError: the network has no head whose maps could be compared.
    """
    if not network.graph.heads:
        raise PlanError("the network has no [yolo] layer, so nothing tells which channels it is for; prune a detector")
    generator = torch.Generator().manual_seed(seed)
    picture = torch.rand(1, *_picture_shape(network), dtype=torch.float64, generator=generator)
    with torch.inference_mode():
        masked = mask(copy.deepcopy(network).double().eval(), plan)(picture)
        shrunk = copy.deepcopy(small).double().eval()(picture)
    pairs = zip(masked, shrunk, strict=True)
    relative = [(a - b).abs().max() / a.abs().max().clamp(min=1e-300) for a, b in pairs]
    return float(torch.stack(relative).max())  # torch's max gives nan if any is; Python's only if the first is


def _picture_shape(network: Network) -> Shape:
    """Shape of a picture that spans a few cells of the coarsest head map; the cfg's own where that one is too small."""
    graph = network.graph
    shapes = infer_shapes(graph)
    image = graph.input_shape
    coarsest = min((shapes[node.name] for node, _ in graph.heads), key=lambda shape: shape.height)
    small = graph.with_size(_CELLS * image.width // coarsest.width, _CELLS * image.height // coarsest.height)
    try:
        infer_shapes(small)
    except CfgError:
        return image
    return small.input_shape
