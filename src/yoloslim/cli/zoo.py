"""``yoloslim zoo``: the networks that need no cfg file."""

from __future__ import annotations

from yoloslim.cli.session import Result, Session


def zoo(session: Session) -> Result:
    """List the networks that need no cfg file."""
    from yoloslim.cli.tables import table
    from yoloslim.graph.cost import total_cost
    from yoloslim.weights.published import PUBLISHED
    from yoloslim.zoo.catalog import BACKBONES, HEADS, find, networks
    from yoloslim.zoo.data_sets import DATA_SETS

    rows = []
    cells = []
    for name in networks():
        graph = find(name)
        cost = total_cost(graph)
        width, height = graph.input_shape.width, graph.input_shape.height
        row = {"name": name, "params": cost.params, "weights_floats": cost.weights_floats, "macs": cost.macs}
        rows.append({**row, "gflops": cost.gflops, "size": [width, height], "published": name in PUBLISHED})
        weights = "yes" if name in PUBLISHED else ""
        cells.append((name, f"{cost.params:,}", f"{cost.gflops:.2f}", f"{width}x{height}", weights))
    session.print(table(("network", "parameters", "GFLOPs", "at size", "weights"), cells))
    sets = ", ".join(DATA_SETS)
    session.print("BACKBONE+HEAD, such as mobilenetv3-large+yolov4-tiny, joins any two:")
    session.print(f"  backbones: {', '.join(BACKBONES)}\n  heads: {', '.join(HEADS)}")
    session.print(f"NAME-SET, such as yolov3-tiny-hand, has the classes and anchors of a data set:\n  {sets}")
    others = [name for name in PUBLISHED if name not in networks()]
    session.print(f"--weights NAME fetches published weights: the networks above, or\n  {', '.join(others)}")
    known = {"backbones": list(BACKBONES), "heads": list(HEADS), "data_sets": list(DATA_SETS)}
    return {"networks": rows, **known, "weights": list(PUBLISHED)}
