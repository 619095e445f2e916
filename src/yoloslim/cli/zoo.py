"""``yoloslim zoo``: the networks that need no cfg file."""

from __future__ import annotations

from yoloslim.cli.session import Result, Session


def zoo(session: Session) -> Result:
    """List the networks that need no cfg file."""
    from yoloslim.cli.tables import table
    from yoloslim.graph.cost import total_cost
    from yoloslim.zoo.catalog import find, networks
    from yoloslim.zoo.data_sets import DATA_SETS

    rows = []
    cells = []
    for name in networks():
        graph = find(name)
        cost = total_cost(graph)
        width, height = graph.input_shape.width, graph.input_shape.height
        row = {"name": name, "params": cost.params, "weights_floats": cost.weights_floats, "macs": cost.macs}
        rows.append({**row, "gflops": cost.gflops, "size": [width, height]})
        cells.append((name, f"{cost.params:,}", f"{cost.gflops:.2f}", f"{width}x{height}"))
    session.print(table(("network", "parameters", "GFLOPs", "at size"), cells))
    sets = ", ".join(DATA_SETS)
    session.print(f"NETWORK-SET, such as yolov3-tiny-hand, has the classes and anchors of a\ndata set: {sets}.")
    return {"networks": rows, "data_sets": list(DATA_SETS)}
