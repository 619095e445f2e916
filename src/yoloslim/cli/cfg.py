"""``yoloslim cfg``: a network of the zoo as a cfg file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yoloslim.cli.options import Size, check_count
from yoloslim.cli.session import Result, Session

if TYPE_CHECKING:
    from yoloslim.zoo.anchors import Anchors


def cfg(
    session: Session,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A network of `yoloslim zoo`, BACKBONE+HEAD, or either with -SET.")
    ],
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="The cfg to write; default: NAME.cfg.")] = None,
    classes: Annotated[int | None, typer.Option(metavar="N", callback=check_count, help="Number of classes.")] = None,
    anchors: Annotated[
        Path | None,
        typer.Option(metavar="FILE", exists=True, dir_okay=False, help="Anchors as 'w,h w,h ...' in pixels."),
    ] = None,
    size: Size = "",
    width: Annotated[
        float, typer.Option(min=0.05, max=4.0, metavar="FACTOR", help="Factor on the number of filters.")
    ] = 1.0,
) -> Result:
    """Write a network of the zoo as a cfg file."""
    from yoloslim.cli.inputs import parse_size, sized
    from yoloslim.files import write_atomically
    from yoloslim.graph.advice import darknet_advice
    from yoloslim.graph.cost import total_cost
    from yoloslim.graph.to_cfg import to_cfg
    from yoloslim.zoo.catalog import find

    parse_size(size)
    graph = sized(find(name, classes=classes, anchors=_anchors(anchors), width=width), size)
    path = out or Path(f"{name}.cfg")
    with write_atomically(path) as temporary:
        temporary.write_text(to_cfg(graph), encoding="utf-8")
    cost = total_cost(graph)
    session.print(f"{path}: {cost.params:,} parameters, {cost.gflops:.2f} GFLOPs, {graph.classes} classes")
    for advice in darknet_advice(graph):
        session.print(advice)
    return {"path": str(path), "params": cost.params, "macs": cost.macs, "classes": graph.classes}


def _anchors(file: Path | None) -> Anchors | None:
    """The anchors that a file holds; None for no file.

    Raises:
        RecipeError: it holds something else; names it.
    """
    from yoloslim.errors import RecipeError
    from yoloslim.zoo.anchors import parse_anchors

    if file is None:
        return None
    try:
        return parse_anchors(file.read_text(encoding="utf-8", errors="replace"))
    except RecipeError as error:
        raise RecipeError(f"--anchors {file}: {error}") from error
