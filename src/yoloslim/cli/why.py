"""``yoloslim why``: what lives and dies with a channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from yoloslim.cli.options import Cfg
from yoloslim.cli.session import Result, Session

if TYPE_CHECKING:
    from yoloslim.graph.graph import Graph
    from yoloslim.graph.lanes import Lanes
    from yoloslim.graph.ties import Bond


def why(
    session: Session,
    node: Annotated[str, typer.Argument(metavar="NODE[:CHANNEL]", help="A layer, as 12 or 012_convolutional.")],
    cfg: Cfg,
) -> Result:
    """Tell what the channels of a layer live and die with."""
    from yoloslim.cli.inputs import graph_of
    from yoloslim.graph.lanes import trace_lanes
    from yoloslim.graph.ties import ties_of

    graph = graph_of(cfg)
    lanes = trace_lanes(graph)
    name, channel = _asked(graph, node, {key: len(lane) for key, lane in lanes.of.items()})
    found = ties_of(graph, lanes, name, channel)
    what = f"channel {channel}" if channel is not None else f"{found.channels} channels"
    session.print(f"{name}{_place(graph, name)}: {what}")
    _show(session, graph, "live and die together, written by", found.writers)
    _show(session, graph, "made one by", found.joints)
    _show(session, graph, "stay for good, because", found.needs)
    _show(session, graph, "must stay equal in", found.balanced)
    frozen_by = _freezing(graph, lanes, name, channel)
    if not found.needs:
        left = f", unless it leaves alone: {', '.join(frozen_by)}" if frozen_by else ""
        session.print(f"nothing fixes them: a method may remove them{left}")
    return {"node": name, "channel": channel, "frozen_by": frozen_by, **asdict(found)}


def _freezing(graph: Graph, lanes: Lanes, name: str, channel: int | None) -> list[str]:
    """The freeze rules that hold for the channels asked for; the table of methods says which has which."""
    import numpy as np

    from yoloslim.compress.pruning.freeze import RULES

    asked = lanes.of[name] if channel is None else lanes.of[name][[channel]]
    return [
        rule
        for rule, frozen in RULES.items()
        if rule != "everything" and any(np.isin(asked, lane).any() for lane in frozen(graph, lanes))
    ]


def _asked(graph: Graph, text: str, counts: dict[str, int]) -> tuple[str, int | None]:
    """The node and the channel that a text names.

    Raises:
        RecipeError: there is no such node or channel.
    """
    from yoloslim.errors import RecipeError

    name, colon, number = text.partition(":")
    if name.isdecimal() and int(name) < len(graph):
        name = graph.nodes[int(name)].name
    if name not in counts:
        raise RecipeError(f"{text}: no layer {name}; expected 0 to {len(graph) - 1}, or a name that info shows")
    if not colon:
        return name, None
    if not number.isdecimal() or int(number) >= counts[name]:
        raise RecipeError(f"{text}: {name} has the channels 0 to {counts[name] - 1}, found '{number}'")
    return name, int(number)


def _show(session: Session, graph: Graph, heading: str, bonds: Sequence[Bond]) -> None:
    if not bonds:
        return
    session.print(f"{heading}:")
    for bond in bonds:
        session.print(f"  {bond.node}{_place(graph, bond.node)}  {bond.text}")


def _place(graph: Graph, name: str) -> str:
    """The line of a node's section, where it came from a file."""
    line = next((node.section.line for node in graph if node.name == name), 0)
    return f" ({graph.path}:{line})" if graph.path and line else ""
