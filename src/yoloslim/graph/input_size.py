"""Networks for pictures of another size."""

from __future__ import annotations

from yoloslim.errors import CfgError, RecipeError
from yoloslim.graph.graph import Graph
from yoloslim.graph.ops import Upsample
from yoloslim.graph.shapes import infer_shapes


def at_size(graph: Graph, size: tuple[int, int]) -> Graph:
    """Gives the network for pictures of a width and height in pixels.

    Raises:
        RecipeError: the network cannot work at that size; says which it needs.
    """
    sized = graph.with_size(*size)
    try:
        infer_shapes(sized)
    except CfgError as problem:
        wanted = "x".join(map(str, dict.fromkeys(size)))
        raise RecipeError(f"size {wanted}: this network needs a multiple of {_stride(graph)} ({problem})") from problem
    return sized


def _stride(graph: Graph) -> int:
    """Stride of the coarsest map that a head or an upsampling reads: those must divide the size evenly."""
    shapes = infer_shapes(graph)
    names = [node.inputs[0] for node in graph if isinstance(node.op, Upsample)]
    names += [node.name for node, _ in graph.heads]
    return max((graph.input_shape.width // shapes[name].width for name in names), default=1)
