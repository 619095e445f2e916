"""``yoloslim info``: what a network is made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yoloslim.cli.options import Cfg, Size, Trust, WeightsOrNone
from yoloslim.cli.session import Result, Session

if TYPE_CHECKING:
    from yoloslim.graph.cost import Cost
    from yoloslim.graph.graph import Graph, Node
    from yoloslim.graph.ops import Op

_NOT_TOLD = ("anchors", "num")  # long, and nothing that helps to read a network
_MEBI = 2**20  # what the originals' tables call M
_LEGEND = "sees: pixels that a cell depends on; lanes: * never removed, = tied by shortcuts"


def info(
    session: Session, cfg: Cfg = "", weights: WeightsOrNone = None, trust: Trust = False, size: Size = ""
) -> Result:
    """Show the layers of a network, and its totals."""
    from yoloslim.cli.inputs import sized
    from yoloslim.graph.cost import total_cost

    graph = sized(_graph(session, cfg, weights, trust=trust), size)
    layers, parts, total = _layers(graph), _parts(graph), total_cost(graph)
    width, height = graph.input_shape.width, graph.input_shape.height
    _show_layers(session, graph, layers)
    _show_parts(session, graph, {**parts, "all": total})
    session.print(
        f"{len(layers)} layers, {graph.classes} classes, {total.gflops:.2f} GFLOPs at {width}x{height}\n"
        f"{total.params:,} parameters, {total.weights_floats:,} floats in a .weights file"
    )
    return {
        **_numbers(total),
        "size": [width, height],
        "classes": graph.classes,
        "parts": {name: _numbers(cost) for name, cost in parts.items()},
        "layers": layers,
    }


def _graph(session: Session, cfg: str, weights: Path | None, *, trust: bool) -> Graph:
    from yoloslim.cli.inputs import graph_of
    from yoloslim.errors import RecipeError

    if weights is not None:
        from yoloslim.cli.detector import load_model

        return load_model(session, weights, cfg, trust=trust).graph
    if not cfg:
        raise RecipeError("info needs --cfg FILE or a zoo name, or --weights FILE with a .safetensors")
    return graph_of(cfg)


def _layers(graph: Graph) -> list[dict[str, Any]]:
    from yoloslim.graph.backbone import backbone_of
    from yoloslim.graph.cost import node_costs
    from yoloslim.graph.receptive_field import receptive_fields
    from yoloslim.graph.shapes import infer_shapes

    shapes, costs, fields = infer_shapes(graph), node_costs(graph), receptive_fields(graph)
    lanes, backbone = _lane_counts(graph), backbone_of(graph)
    return [
        {
            "name": node.name,
            "inputs": list(node.inputs),
            "does": _summary(node.op),
            "output": list(shapes[node.name]),
            "params": costs[node.name].params,
            "weights_floats": costs[node.name].weights_floats,
            "macs": costs[node.name].macs,
            "sees": [fields[node.name].width, fields[node.name].height],
            **lanes[node.name],
            "part": "backbone" if node.name in backbone else "head",
            "line": node.section.line,
        }
        for node in graph
    ]


def _lane_counts(graph: Graph) -> dict[str, dict[str, int]]:
    """Gives how many lanes every node's output has, and how many of them are fixed, or tied by shortcuts."""
    import numpy as np

    from yoloslim.compress.pruning.freeze import tied_by_shortcut
    from yoloslim.graph.lanes import trace_lanes

    lanes = trace_lanes(graph)
    tied = np.zeros(lanes.count, dtype=bool)
    for lane in tied_by_shortcut(graph, lanes):
        tied[lane] = True
    distinct = {node.name: np.unique(lanes.of[node.name]) for node in graph}
    return {
        name: {"lanes": len(own), "fixed_lanes": int(lanes.fixed[own].sum()), "tied_lanes": int(tied[own].sum())}
        for name, own in distinct.items()
    }


def _parts(graph: Graph) -> dict[str, Cost]:
    """Gives the cost of the backbone and of the head; nothing for a network without heads."""
    from yoloslim.graph.backbone import backbone_of
    from yoloslim.graph.cost import Cost, node_costs

    if not graph.heads:
        return {}
    backbone, parts = backbone_of(graph), {"backbone": Cost(), "head": Cost()}
    for name, cost in node_costs(graph).items():
        parts["backbone" if name in backbone else "head"] += cost
    return parts


def _numbers(cost: Cost) -> dict[str, Any]:
    return {"params": cost.params, "weights_floats": cost.weights_floats, "macs": cost.macs, "gflops": cost.gflops}


def _summary(op: Op) -> str:
    from yoloslim.graph.ops import Convolution, Depthwise
    from yoloslim.graph.to_cfg import options_of

    if isinstance(op, Depthwise):
        op = op.as_convolution()
    if not isinstance(op, Convolution):
        told = {key: value for key, value in options_of(op).items() if key not in _NOT_TOLD and value != "linear"}
        return " ".join(value if key == "activation" else f"{key}={value}" for key, value in told.items())
    stride = f"/{op.stride_x}" if op.stride_x == op.stride_y else f"/{op.stride_x}x{op.stride_y}"
    extras = [f"groups={op.groups}"] * (op.groups > 1) + [f"dilation={op.dilation}"] * (op.dilation > 1)
    extras += ["bn"] * op.batch_norm
    return " ".join([f"{op.size}x{op.size}{stride}", *extras, op.activation, *[f"blur={op.blur}"] * (op.blur > 0)])


def _show_layers(session: Session, graph: Graph, layers: list[dict[str, Any]]) -> None:
    from yoloslim.cli.tables import table

    before = ["image", *(node.name for node in graph)]
    rows = []
    for node, previous, layer in zip(graph, before, layers, strict=False):
        does = " ".join(filter(None, (layer["does"], _sources(node, previous))))
        shape = "x".join(map(str, layer["output"]))
        costs = f"{layer['params']:,}" if layer["params"] else "", _macs(layer["macs"])
        rows.append((node.name, does, shape, *costs, _seen(layer["sees"]), _lanes(layer)))
    session.print(table(("layer", "does", "C x H x W", "params", "MMACs", "sees", "lanes"), rows, left=2))
    session.print(_LEGEND)


def _sources(node: Node, previous: str) -> str:
    """Gives the numbers of the layers that a node reads, but for the one before it alone, and whose weights it has."""
    read = () if node.inputs == (previous,) else node.inputs
    shared = (node.weights_of,) if node.weights_of else ()
    told = (("of", read), ("weights of", shared))
    return " ".join(word + "".join(f" {n.split('_')[0]}" for n in names) for word, names in told if names)


def _macs(count: int) -> str:
    millions = count / 1e6
    return f"{millions:,.0f}" if millions >= 100 else f"{millions:.1f}" if count else ""


def _seen(sides: Sequence[float]) -> str:
    if math.inf in sides:
        return "all"
    return "x".join(dict.fromkeys(f"{side:.0f}" for side in sides))  # one number where both are the same


def _lanes(layer: dict[str, Any]) -> str:
    return f"{layer['lanes']}{'*' if layer['fixed_lanes'] else '=' if layer['tied_lanes'] else ' '}"


def _show_parts(session: Session, graph: Graph, parts: dict[str, Cost]) -> None:
    from yoloslim.cli.tables import table
    from yoloslim.graph.backbone import backbone_end

    rows = [
        (
            f"{name}, to {backbone_end(graph).split('_')[0]}" if name == "backbone" else name,
            f"{cost.params:,}",
            f"{cost.params / _MEBI:.2f}",
            f"{cost.weights_floats:,}",
            f"{cost.weights_floats / _MEBI:.2f}",
            f"{cost.gflops:.2f}",
        )
        for name, cost in parts.items()
    ]
    session.print(table(("part", "parameters", "M=2^20", "floats", "M=2^20", "GFLOPs"), rows))
