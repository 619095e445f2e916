"""Where a training stops gradients: ``stopbackward`` and ``onlyforward`` (Darknet's network.c, backward_network)."""

from __future__ import annotations

from dataclasses import dataclass

from yoloslim.cfg.options import Options
from yoloslim.graph.graph import Graph

_ALWAYS = 1  # any larger number is the step at which the layers begin to learn


@dataclass(frozen=True, slots=True)
class Stop:
    """A layer at which the gradient stops, at it and at every layer before it, whichever way they are reached.

    Attributes:
        layers: how many leading layers that is.
        until: the step, from 0, at which they begin to learn; None for never.
    """

    layers: int
    until: int | None


def stops_of(graph: Graph) -> tuple[Stop, ...]:
    """Gives the layers at which a training stops the gradient, in the order of the network.

    Raises:
        CfgError: ``stopbackward`` is no number.
    """
    values = ((index, Options(node.section).integer("stopbackward")) for index, node in enumerate(graph, start=1))
    return tuple(Stop(index, None if value == _ALWAYS else value) for index, value in values if value)


def forward_only(graph: Graph) -> frozenset[str]:
    """Gives the nodes that no gradient passes, ``onlyforward``; others may lead around them.

    Raises:
        CfgError: ``onlyforward`` is no number.
    """
    return frozenset(node.name for node in graph if Options(node.section).flag("onlyforward"))
