"""``yoloslim info``: what a network is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from yoloslim.cli.options import CfgOrEmpty, Size, WeightsOrNone
from yoloslim.cli.session import Result, Session

if TYPE_CHECKING:
    from yoloslim.graph.graph import Graph
    from yoloslim.graph.ops import Op


def info(session: Session, cfg: CfgOrEmpty = "", weights: WeightsOrNone = None, size: Size = "") -> Result:
    """Show every layer of a network with its shape, parameters and operations, and the totals."""
    from yoloslim.cli.inputs import optional_graph, sized
    from yoloslim.errors import RecipeError
    from yoloslim.graph.cost import total_cost

    graph = optional_graph(cfg)
    if weights is not None:
        from yoloslim.runtime.load import load

        graph = load(weights, graph).network.graph
    if graph is None:
        raise RecipeError("info needs --cfg, or --weights with a .safetensors")
    graph = sized(graph, size)
    layers = _layers(graph)
    cost = total_cost(graph)
    _show(session, graph, layers)
    return {
        "params": cost.params,
        "weights_floats": cost.weights_floats,
        "macs": cost.macs,
        "gflops": cost.gflops,
        "size": [graph.input_shape.width, graph.input_shape.height],
        "layers": layers,
    }


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
        return " ".join(f"{key}={value}" for key, value in options_of(op).items() if key not in ("anchors", "num"))
    stride = f"/{op.stride_x}" if op.stride_x == op.stride_y else f"/{op.stride_x}x{op.stride_y}"
    extras = [f"groups={op.groups}"] * (op.groups > 1) + [f"dilation={op.dilation}"] * (op.dilation > 1)
    return " ".join([f"{op.size}x{op.size}{stride}", *extras, *["bn"] * op.batch_norm, op.activation])


def _show(session: Session, graph: Graph, layers: list[dict[str, Any]]) -> None:
    from yoloslim.cli.tables import table
    from yoloslim.graph.cost import total_cost

    names = [layer["name"] for layer in layers]
    rows = []
    for index, layer in enumerate(layers):
        previous = [names[index - 1]] if index else ["image"]
        reads = "" if layer["inputs"] == previous else " ".join(name.split("_")[0] for name in layer["inputs"])
        shape = " x ".join(map(str, layer["output"]))
        rows.append((layer["name"], layer["does"], reads, shape, f"{layer['params']:,}", f"{layer['macs'] / 1e6:,.1f}"))
    session.print(table(("layer", "does", "reads", "C x H x W", "parameters", "MMACs"), rows, left=3))
    cost = total_cost(graph)
    width, height = graph.input_shape.width, graph.input_shape.height
    session.print(
        f"{len(layers)} layers, {cost.params:,} parameters ({cost.weights_floats:,} floats in a .weights file), "
        f"{cost.gflops:.2f} GFLOPs at {width}x{height}, {graph.classes} classes"
    )
