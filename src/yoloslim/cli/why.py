"""``yoloslim why``: what lives and dies with a channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

import typer

from yoloslim.cli.options import Cfg
from yoloslim.cli.session import Result, Session

if TYPE_CHECKING:
    from yoloslim.graph.graph import Graph
    from yoloslim.graph.lanes import Lane, Lanes
    from yoloslim.graph.ties import Bond, Ties

_SHOWN_LAYERS = 6
_SHOWN_GROUPS = 4


@dataclass(frozen=True, slots=True)
class _Group:
    """Channels of a node that fare alike, counted from 0."""

    channels: tuple[int, ...]
    ties: Ties
    frozen_by: tuple[str, ...]


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
    found = ties_of(graph, lanes, name, None if channel is None else [channel])
    groups = _groups(graph, lanes, name, channel)
    what = f"channel {channel}" if channel is not None else _count(found.channels, "channel")
    session.print(f"{name}{_place(graph, name)}: {what}")
    for group in groups[:_SHOWN_GROUPS]:
        if len(groups) > 1:
            session.print(f"channels {_ranges(group.channels)}")
        _show_group(session, graph, lanes, name, group)
    if len(groups) > _SHOWN_GROUPS:
        session.print(f"and {len(groups) - _SHOWN_GROUPS} more sets of channels; --json lists all")
    frozen_by = _freezing(graph, lanes, name, channel)
    return {
        "node": name,
        "channel": channel,
        "frozen_by": frozen_by,
        **asdict(found),
        "groups": [_row(group) for group in groups],
    }


def _groups(graph: Graph, lanes: Lanes, name: str, channel: int | None) -> list[_Group]:
    """The channels asked for, apart where other layers have to do with them."""
    from yoloslim.graph.ties import channels_apart, ties_of

    apart = channels_apart(graph, lanes, name) if channel is None else ((channel,),)
    alike: dict[tuple[Ties, tuple[str, ...]], list[int]] = {}
    for channels in apart:
        first = channels[0]
        fate = ties_of(graph, lanes, name, [first]), tuple(_freezing(graph, lanes, name, first))
        alike.setdefault(fate, []).extend(channels)
    return [
        _Group(tuple(sorted(channels)), ties_of(graph, lanes, name, channels), frozen_by)
        for (_, frozen_by), channels in alike.items()
    ]


def _row(group: _Group) -> dict[str, Any]:
    return {"frozen_by": list(group.frozen_by), **asdict(group.ties), "channels": _ranges(group.channels)}


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
        raise RecipeError(
            f"NODE '{text}': no layer '{name}'; expected 0 to {len(graph) - 1}, or a name that info shows"
        )
    if not colon:
        return name, None
    if not number.isdecimal() or int(number) >= counts[name]:
        raise RecipeError(f"NODE '{text}': {name} has the channels 0 to {counts[name] - 1}, found '{number}'")
    return name, int(number)


def _show_group(session: Session, graph: Graph, lanes: Lanes, name: str, group: _Group) -> None:
    ties, them = group.ties, "it" if len(group.channels) == 1 else "them"
    own = lanes.of[name][list(group.channels)]
    others = [_line_of_writer(graph, lanes, bond.node, own) for bond in ties.writers if bond.node != name]
    _show(session, "live and die with", others)
    _show(session, "tied by", _lines(graph, ties.joints))
    _show(session, "stay for good, because", _lines(graph, ties.needs))
    _show(session, "must stay equal in", _lines(graph, ties.balanced))
    if not ties.needs:
        left = f", unless it leaves alone: {', '.join(group.frozen_by)}" if group.frozen_by else ""
        alone = "" if others else f"nothing lives or dies with {them}, and "
        session.print(f"{alone}nothing fixes {them}: a method may remove {them}{left}")


def _line_of_writer(graph: Graph, lanes: Lanes, name: str, own: Lane) -> str:
    """A layer with the channels of it that have these lanes, as they can be asked for."""
    import numpy as np

    (source, *_) = graph[name].inputs
    where = _ranges(np.flatnonzero(np.isin(lanes.of[name], own)).tolist())
    filters = f"  filters {source} channel by channel" if np.isin(lanes.of[name], lanes.of[source]).all() else ""
    return f"{name}:{where}{_place(graph, name)}{filters}"


def _lines(graph: Graph, bonds: Sequence[Bond]) -> list[str]:
    return [f"{bond.node}{_place(graph, bond.node)}  {bond.text}" for bond in bonds]


def _show(session: Session, heading: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    session.print(f"{heading}:")
    for line in lines[:_SHOWN_LAYERS]:
        session.print(f"  {line}")
    if len(lines) > _SHOWN_LAYERS:
        session.print(f"  and {len(lines) - _SHOWN_LAYERS} more; --json lists all")


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def _ranges(numbers: Sequence[int]) -> str:
    """Gives ascending numbers as text: ``0-31, 40``."""
    ends = [index for index, (a, b) in enumerate(pairwise(numbers), start=1) if b != a + 1]
    parts = [numbers[start:end] for start, end in pairwise([0, *ends, len(numbers)])]
    return ", ".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts)


def _place(graph: Graph, name: str) -> str:
    """The line of a node's section, where it came from a file."""
    line = next((node.section.line for node in graph if node.name == name), 0)
    return f" ({graph.path}:{line})" if graph.path and line else ""
