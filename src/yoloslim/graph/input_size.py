"""Networks for pictures of another size."""

from __future__ import annotations

from yoloslim.errors import CfgError, RecipeError
from yoloslim.graph.graph import Graph
from yoloslim.graph.shapes import infer_shapes, largest_stride


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
        raise RecipeError(
            f"size {wanted}: this network needs a multiple of {largest_stride(graph)} ({problem})"
        ) from problem
    return sized
