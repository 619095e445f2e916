"""Residual blocks: branches that only add to what leads past them, and the network without some of them.

    001_convolutional ------------------.       skip
      002_convolutional                  |      branch
      003_convolutional                  |
    004_shortcut (002, 001) <-----------'       linear, as many channels on both sides

Without the branch the sum is the skip itself, so the layers after it read the skip.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np

from yoloslim.cfg.options import kind_of
from yoloslim.errors import PlanError
from yoloslim.graph.graph import IMAGE, Graph, Node, node_name
from yoloslim.graph.lanes import Lanes, trace_lanes
from yoloslim.graph.ops import Convolution, Depthwise, Route, Shape, Shortcut
from yoloslim.graph.shapes import infer_shapes
from yoloslim.graph.to_cfg import section_of


@dataclass(frozen=True, slots=True)
class Block:
    """A residual block that can be dropped.

    Attributes:
        shortcut: the node that adds the branch.
        skip: the node that leads past the branch.
        branch: the nodes that go with the block, in the order of the network; nothing else reads them.
    """

    shortcut: str
    skip: str
    branch: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Blocks:
    """What a network's shortcuts are.

    Attributes:
        removable: the blocks that can be dropped, in the order of the network.
        others: by name of the other shortcuts, why theirs cannot.
    """

    removable: tuple[Block, ...]
    others: Mapping[str, str]


def residual_blocks(graph: Graph) -> Blocks:
    """Gives the residual blocks of a network, and why other shortcuts are none that can be dropped."""
    above = _ancestors(graph)
    shapes = infer_shapes(graph)
    removable: list[Block] = []
    others: dict[str, str] = {}
    for node in graph:
        if isinstance(node.op, Shortcut):
            block = _block(graph, node, above, shapes)
            if isinstance(block, str):
                others[node.name] = block
            else:
                removable.append(block)
    return Blocks(tuple(removable), others)


def named_blocks(graph: Graph, dropped: Collection[str]) -> dict[str, Block]:
    """Gives the blocks of these shortcuts, by their names.

    Raises:
        PlanError: a name is none of a block that can be dropped; says why.
    """
    if not dropped:
        return {}
    blocks = residual_blocks(graph)
    known = {block.shortcut: block for block in blocks.removable}
    for name in dropped:
        if name not in known:
            raise PlanError(f"{name} cannot be dropped: {blocks.others.get(name, 'it is no shortcut of this network')}")
    return {name: known[name] for name in dropped}


def branch_nodes(graph: Graph, dropped: Collection[str]) -> frozenset[str]:
    """Gives every node that goes with the blocks of these shortcuts; the shortcuts themselves are not among them."""
    return frozenset(name for block in named_blocks(graph, dropped).values() for name in block.branch)


def drop_blocks(graph: Graph, dropped: Collection[str]) -> Graph:
    """Gives the network without the blocks of these shortcuts; what read a shortcut reads its skip.

    Nodes keep their names (see ``renumber``). A layer that reads the one before it must still find its input there:
    where the skip is not the layer before, a ``[route]`` to it takes the shortcut's place and name.

    Raises:
        PlanError: a name is none of a block that can be dropped.
    """
    blocks = named_blocks(graph, dropped)
    gone = branch_nodes(graph, dropped)
    now, nodes = {IMAGE: IMAGE}, list[Node]()
    for node in graph:
        if node.name in gone:
            continue
        kept = replace(node, inputs=tuple(now[source] for source in node.inputs if source not in gone))
        now[node.name] = node.name
        if node.name in blocks:
            skip = now[blocks[node.name].skip]
            if nodes[-1].name == skip:
                now[node.name] = skip
                continue
            distance = next(back for back, other in enumerate(reversed(nodes), start=1) if other.name == skip)
            section = section_of("route", Route(), [-distance], {})
            kept = replace(node, op=Route(), inputs=(skip,), section=section)
        nodes.append(kept)
    return replace(graph, nodes=tuple(nodes))


def renumber(graph: Graph) -> tuple[Graph, dict[str, str]]:
    """Gives the network with its nodes named by their places again, and by each new name the one it had before."""
    names = {node.name: node_name(index, kind_of(node.section)) for index, node in enumerate(graph)} | {IMAGE: IMAGE}
    nodes = [
        replace(
            node,
            name=names[node.name],
            inputs=tuple(names[source] for source in node.inputs),
            weights_of=node.weights_of and names[node.weights_of],
        )
        for node in graph
    ]
    return replace(graph, nodes=tuple(nodes)), {now: before for before, now in names.items()}


def lanes_without(graph: Graph, dropped: Collection[str]) -> Lanes:
    """Gives the lanes of a network, as those layers bind them that stay when blocks are dropped.

    They are numbered as those of the whole network. What only dropped layers fix or balance is free, dropped nodes have
    no entry, and a lane that is in no entry goes with them.

    Raises:
        PlanError: a name is none of a block that can be dropped.
    """
    lanes = trace_lanes(graph)
    if not dropped:
        return lanes
    bound = trace_lanes(drop_blocks(graph, dropped))
    number = np.zeros(bound.count, dtype=np.int64)  # in the whole network, of each lane of the rest
    for name, lane in bound.of.items():
        number[lane] = lanes.of[name]
    fixed = np.zeros(lanes.count, dtype=bool)
    fixed[number[bound.fixed]] = True
    of = {name: lanes.of[name] for name in bound.of}
    return Lanes(of, lanes.count, fixed, tuple(tuple(number[part] for part in parts) for parts in bound.balanced))


def _ancestors(graph: Graph) -> dict[str, frozenset[str]]:
    """Every node that leads to a node, itself among them."""
    above = {IMAGE: frozenset({IMAGE})}
    for node in graph:
        above[node.name] = frozenset({node.name}).union(*(above[name] for name in node.inputs))
    return above


def _block(graph: Graph, node: Node, above: Mapping[str, frozenset[str]], shapes: Mapping[str, Shape]) -> Block | str:
    """The block that a shortcut ends, or why there is none that can be dropped."""
    assert isinstance(node.op, Shortcut)
    if len(node.inputs) != 2:
        return f"it adds {len(node.inputs)} layers"
    if node.op.weights != "none":
        return "it multiplies what it adds by learned weights"
    if node.op.activation != "linear":
        return f"its activation is {node.op.activation}, not linear"
    branch_end, skip = node.inputs
    if skip not in above[branch_end]:
        return f"{skip} does not lead to {branch_end}: it adds two branches"
    if shapes[branch_end].channels != shapes[skip].channels:
        return f"{branch_end} has {shapes[branch_end].channels} channels, {skip} has {shapes[skip].channels}"
    if shapes[branch_end] != shapes[skip]:
        return f"{skip} is a larger map than {branch_end}"
    inside = above[branch_end] - above[skip]
    for reader in graph:
        shared = inside.intersection(reader.inputs)
        if shared and reader.name not in inside and reader.name != node.name:
            return f"{min(shared)} of its branch is also read by {reader.name}"
        if reader.weights_of in inside and reader.name not in inside:
            return f"the weights of {reader.weights_of} of its branch are also those of {reader.name}"
    if not any(isinstance(each.op, Convolution | Depthwise) for each in graph if each.name in inside):
        return "its branch has no convolution"
    return Block(node.name, skip, tuple(each.name for each in graph if each.name in inside))
