"""``yoloslim info``: what a network is made of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from yoloslim.cli.options import Cfg, Size, Trust, WeightsOrNone
from yoloslim.cli.session import Result, Session

if TYPE_CHECKING:
    from yoloslim.graph.graph import Graph, Node
    from yoloslim.graph.ops import Op

_NOT_TOLD = ("anchors", "num")  # long, and nothing that helps to read a network


def info(
    session: Session, cfg: Cfg = "", weights: WeightsOrNone = None, trust: Trust = False, size: Size = ""
) -> Result:
    """Show the layers of a network, and its totals."""
    from yoloslim.cli.inputs import sized
    from yoloslim.graph.cost import total_cost

    graph = sized(_graph(session, cfg, weights, trust=trust), size)
    layers = _layers(graph)
    cost = total_cost(graph)
    width, height = graph.input_shape.width, graph.input_shape.height
    _show(session, graph, layers)
    session.print(
        f"{len(layers)} layers, {graph.classes} classes, {cost.gflops:.2f} GFLOPs at {width}x{height}\n"
        f"{cost.params:,} parameters, {cost.weights_floats:,} floats in a .weights file"
    )
    return {
        "params": cost.params,
        "weights_floats": cost.weights_floats,
        "macs": cost.macs,
        "gflops": cost.gflops,
        "size": [width, height],
        "classes": graph.classes,
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
    from yoloslim.graph.cost import node_costs
    from yoloslim.graph.shapes import infer_shapes

    shapes, costs = infer_shapes(graph), node_costs(graph)
    return [
        {
            "name": node.name,
            "inputs": list(node.inputs),
            "does": _summary(node.op),
            "output": list(shapes[node.name]),
            "params": costs[node.name].params,
            "macs": costs[node.name].macs,
            "line": node.section.line,
        }
        for node in graph
    ]


def _summary(op: Op) -> str:
    from yoloslim.graph.ops import Convolution, Depthwise
    from yoloslim.graph.to_cfg import options_of

    if isinstance(op, Depthwise):
        op = op.as_convolution()
    if not isinstance(op, Convolution):
        told = {key: value for key, value in options_of(op).items() if key not in _NOT_TOLD}
        return " ".join(value if key == "activation" else f"{key}={value}" for key, value in told.items())
    stride = f"/{op.stride_x}" if op.stride_x == op.stride_y else f"/{op.stride_x}x{op.stride_y}"
    extras = [f"groups={op.groups}"] * (op.groups > 1) + [f"dilation={op.dilation}"] * (op.dilation > 1)
    return " ".join([f"{op.size}x{op.size}{stride}", *extras, *["bn"] * op.batch_norm, op.activation])


def _show(session: Session, graph: Graph, layers: list[dict[str, Any]]) -> None:
    from yoloslim.cli.tables import table

    before = ["image", *(node.name for node in graph)]
    rows = []
    for node, previous, layer in zip(graph, before, layers, strict=False):
        does = " ".join(filter(None, (layer["does"], _sources(node, previous))))
        shape = "x".join(map(str, layer["output"]))
        rows.append((node.name, does, shape, f"{layer['params']:,}", f"{layer['macs'] / 1e6:,.1f}"))
    session.print(table(("layer", "does", "C x H x W", "parameters", "MMACs"), rows, left=2))


def _sources(node: Node, previous: str) -> str:
    """Gives the numbers of the layers that a node reads, nothing for the one before it alone."""
    if node.inputs == (previous,):
        return ""
    return "of " + " ".join(name.split("_")[0] for name in node.inputs)
