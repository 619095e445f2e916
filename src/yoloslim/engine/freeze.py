"""Nodes that keep their weights while the others learn."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from yoloslim.errors import RecipeError
from yoloslim.nn.network import Network


def freeze(network: Network, patterns: Sequence[str]) -> list[str]:
    """Stops the gradients of the nodes whose names match a pattern, and gives these names.

    Args:
        patterns: of node names, as a shell has them: ``012_convolutional``, ``00?_*``.

    Raises:
        RecipeError: a pattern matches no node, or every node that could learn is frozen.
    """
    names = [node.name for node in network.graph]
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            raise RecipeError(f"freeze: no node matches '{pattern}'; nodes are {names[0]} to {names[-1]}")
    chosen = [name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)]
    for name in chosen:
        network.get_submodule(name).requires_grad_(False)
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise RecipeError(f"freeze: nothing is left to learn; {len(chosen)} of {len(names)} nodes are frozen")
    return chosen
