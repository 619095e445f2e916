"""The pruned network in its own, smaller shape: removed channels are sliced away, dropped blocks left out.

``shrink == mask`` in exact arithmetic. By induction over the nodes it needs only the local law
``op(mask * x)[kept] == sliced_op(x[kept])``, which is the unit test of every op.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import singledispatch

import torch
from torch import Tensor

from yoloslim.compress.pruning.plan import PruningPlan, planned_lanes
from yoloslim.graph.blocks import drop_blocks, renumber
from yoloslim.graph.graph import Graph
from yoloslim.graph.ops import (
    AvgPool,
    Contrastive,
    Convolution,
    Crop,
    Depthwise,
    Dropout,
    Empty,
    LocalAvgPool,
    MaxPool,
    MaxPoolDepth,
    Op,
    Reorg,
    Reorg3d,
    Route,
    Sam,
    ScaleChannels,
    Shortcut,
    SqueezeExcite,
    Upsample,
    Yolo,
)
from yoloslim.graph.resize import select_lanes
from yoloslim.nn.network import Network, load_tensors

Tensors = dict[str, Tensor]


def shrink(network: Network, plan: PruningPlan) -> Network:
    """Gives a new network without what the plan removes, in the same dtype, on the CPU, in evaluation mode.

    Raises:
        PlanError: the plan does not fit the network.
    """
    lanes = planned_lanes(network.graph, plan)
    kept = {name: torch.from_numpy(plan.keep[lane]) for name, lane in lanes.of.items()}
    rest = drop_blocks(network.graph, plan.dropped)
    graph, _ = renumber(select_lanes(rest, lanes, plan.keep))
    small = Network(graph)
    state = network.state_dict()
    small.to(next((tensor.dtype for tensor in state.values()), torch.float32))
    found: Tensors = {}
    for node, old in zip(graph, rest, strict=True):
        if node.weights_of:
            continue
        prefix = f"{old.name}."
        own = {name.removeprefix(prefix): t.cpu() for name, t in state.items() if name.startswith(prefix)}
        sliced = slice_tensors(old.op, own, [kept[name] for name in old.inputs], kept[old.name])
        found |= {f"{node.name}.{name}": tensor for name, tensor in sliced.items()}
    load_tensors(small, found)
    return small.eval()


def shrunk_graph(graph: Graph, plan: PruningPlan) -> Graph:
    """Gives the network that a plan leaves, without tensors; enough to count what it costs.

    Raises:
        PlanError: the plan does not fit the network.
    """
    lanes = planned_lanes(graph, plan)
    return renumber(select_lanes(drop_blocks(graph, plan.dropped), lanes, plan.keep))[0]


@singledispatch
def slice_tensors(op: Op, tensors: Mapping[str, Tensor], inputs: Sequence[Tensor], output: Tensor) -> Tensors:
    """Gives an op's tensors for its kept channels.

    Args:
        tensors: the op's tensors by their name within the node.
        inputs: for every input, a bool tensor of shape (C,): channels that stay.
        output: bool tensor of shape (C,): channels of the output that stay.
    """
    raise TypeError(f"no slice rule for {type(op).__name__}")


@slice_tensors.register
def _(op: Convolution, tensors: Mapping[str, Tensor], inputs: Sequence[Tensor], output: Tensor) -> Tensors:
    sliced = {name: tensor[output] for name, tensor in tensors.items()}
    if op.groups == len(inputs[0]) > 1:  # one input channel a group, which went with its outputs
        return sliced
    weight = tensors["conv.weight"]  # (O, I / groups, k, k)
    rows = weight.chunk(op.groups)
    kept_rows, kept_columns = output.chunk(op.groups), inputs[0].chunk(op.groups)
    parts = [w[rows_kept][:, columns] for w, rows_kept, columns in zip(rows, kept_rows, kept_columns, strict=True)]
    return {**sliced, "conv.weight": torch.cat(parts)}


@slice_tensors.register
def _(op: Depthwise, tensors: Mapping[str, Tensor], inputs: Sequence[Tensor], output: Tensor) -> Tensors:
    return slice_tensors(op.as_convolution(), tensors, inputs, output)


@slice_tensors.register
def _(op: SqueezeExcite, tensors: Mapping[str, Tensor], inputs: Sequence[Tensor], output: Tensor) -> Tensors:
    return {"squeeze.weight": tensors["squeeze.weight"][:, output], "excite.weight": tensors["excite.weight"][output]}


@slice_tensors.register
def _(op: Shortcut, tensors: Mapping[str, Tensor], inputs: Sequence[Tensor], output: Tensor) -> Tensors:
    return {name: weights[:, output] if weights.ndim == 2 else weights for name, weights in tensors.items()}


@slice_tensors.register(AvgPool)
@slice_tensors.register(Contrastive)
@slice_tensors.register(Crop)
@slice_tensors.register(Dropout)
@slice_tensors.register(Empty)
@slice_tensors.register(LocalAvgPool)
@slice_tensors.register(MaxPool)
@slice_tensors.register(MaxPoolDepth)
@slice_tensors.register(Reorg)
@slice_tensors.register(Reorg3d)
@slice_tensors.register(Route)
@slice_tensors.register(Sam)
@slice_tensors.register(ScaleChannels)
@slice_tensors.register(Upsample)
@slice_tensors.register(Yolo)
def _(op: Op, tensors: Mapping[str, Tensor], inputs: Sequence[Tensor], output: Tensor) -> Tensors:
    return {}
