"""The proof that a shrunk network computes what the masked one does, and how near folding comes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from yoloslim.compress.pruning.fold import Folded
from yoloslim.compress.pruning.mask import mask
from yoloslim.compress.pruning.plan import PruningPlan
from yoloslim.compress.pruning.scores import writers
from yoloslim.errors import CfgError, PlanError
from yoloslim.graph.blocks import branch_nodes
from yoloslim.graph.lanes import trace_lanes
from yoloslim.graph.ops import Shape
from yoloslim.graph.shapes import infer_shapes
from yoloslim.nn.network import Network

_GAP_CELLS = 8  # the same for folding, where how much of a map is border counts
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
    picture = _picture(network, seed)
    with torch.inference_mode():
        masked = mask(copy.deepcopy(network).double().eval(), plan)(picture)
        shrunk = copy.deepcopy(small).double().eval()(picture)
    return _largest(masked, shrunk)


def class_diff(network: Network, small: Network, classes: Sequence[int], seed: int = 0) -> float:
    """Gives the largest relative difference of what two networks say of some classes, on a random picture, in float64.

    Args:
        network: the one with all classes.
        small: the one with these classes alone, in this order.
        seed: of the picture.
    """
    picture = _picture(network, seed)
    numbers = [*range(5), *(5 + index for index in classes)]
    with torch.inference_mode():
        whole = copy.deepcopy(network).double().eval()(picture)
        found = copy.deepcopy(small).double().eval()(picture)
    return _largest([head[..., numbers] for head in whole], found)


@dataclass(frozen=True, slots=True)
class FoldGap:
    """How far a folded network is from one whose removed channels give their constants, relative to the largest value.

    Attributes:
        largest: ``max |folded - constant| / max |constant|`` over all head maps.
        mean: the same with the mean of the differences.
    """

    largest: float
    mean: float


def fold_gap(network: Network, folded: Folded, plan: PruningPlan, seed: int = 0) -> FoldGap:
    """Gives what folding leaves open, on a random picture of 8 x 8 cells: what zero-padded borders make of constants.

    It says nothing of what channels with a gamma did beside their constant: that goes with them.

    Args:
        network: before folding.
        seed: of the picture.
    """
    lanes = trace_lanes(network.graph)
    silent = branch_nodes(network.graph, plan.dropped)
    writing = set(writers(network.graph))

    def held(name: str, output: torch.Tensor) -> torch.Tensor:
        """A layer's output with its constants in place of removed channels."""
        if name not in writing:
            return output
        stays = torch.from_numpy(plan.keep[lanes.of[name]] & (name not in silent)).view(1, -1, 1, 1)
        return torch.where(stays, output, folded.constants[name].to(output.dtype).view(1, -1, 1, 1))

    dtype = next((p.dtype for p in network.parameters()), torch.float32)
    picture = _picture(network, seed, _GAP_CELLS).to(dtype)
    with torch.inference_mode():
        constant = copy.deepcopy(network).eval()(picture, tap=held)
        found = mask(copy.deepcopy(folded.network).eval(), plan)(picture)
    gaps = [((a - b).abs() / a.abs().max().clamp(min=1e-300)) for a, b in zip(constant, found, strict=True)]
    return FoldGap(max(float(gap.max()) for gap in gaps), max(float(gap.mean()) for gap in gaps))


def _largest(expected: Sequence[torch.Tensor], found: Sequence[torch.Tensor]) -> float:
    """``max |expected - found| / max |expected|`` over all head maps."""
    pairs = zip(expected, found, strict=True)
    relative = [(a - b).abs().max() / a.abs().max().clamp(min=1e-300) for a, b in pairs]
    return float(torch.stack(relative).max())  # torch's max gives nan if any is; Python's only if the first is


def _picture(network: Network, seed: int, cells: int = _CELLS) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, *_picture_shape(network, cells), dtype=torch.float64, generator=generator)


def _picture_shape(network: Network, cells: int) -> Shape:
    """Shape of a picture that spans a few cells of the coarsest head map; the cfg's own where that one is too small."""
    graph = network.graph
    shapes = infer_shapes(graph)
    image = graph.input_shape
    coarsest = min((shapes[node.name] for node, _ in graph.heads), key=lambda shape: shape.height)
    small = graph.with_size(cells * image.width // coarsest.width, cells * image.height // coarsest.height)
    try:
        infer_shapes(small)
    except CfgError:
        return image
    return small.input_shape
