"""``yoloslim convert``: weights from one file format to another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yoloslim.cli.options import WEIGHTS_HELP, Cfg, Names, Trust, check_count
from yoloslim.cli.session import Result, Session

if TYPE_CHECKING:
    from yoloslim.runtime.load import Model


def convert(
    session: Session,
    source: Annotated[Path, typer.Argument(metavar="IN", help=WEIGHTS_HELP)],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write: .weights or .safetensors.")],
    cfg: Cfg = "",
    trust: Trust = False,
    names: Names = None,
    cutoff: Annotated[
        int | None, typer.Option(metavar="N", callback=check_count, help="Only this many leading layers (.weights).")
    ] = None,
    bn_eps: Annotated[
        float, typer.Option(min=0.0, metavar="E", help="Batch-norm epsilon a legacy .pt was trained with.")
    ] = 1e-5,
) -> Result:
    """Convert .weights, checkpoints and legacy .pt files.

    A .weights that is made from a checkpoint gets its cfg beside it.
    """
    from yoloslim.cli.detector import fitted, load_model
    from yoloslim.cli.inputs import class_names
    from yoloslim.errors import RecipeError
    from yoloslim.runtime.save import save_as

    if out.resolve() == source.resolve():
        raise RecipeError(f"{out}: IN and OUT are the same file; give OUT another name")
    model = fitted(load_model(session, source, cfg, trust=trust, cutoff=cutoff, bn_eps=bn_eps))
    model = replace(model, names=class_names(names, model.names, model.graph.classes))
    written = save_as(model, out, cutoff=cutoff)
    _check_neighbour(session, model, out.with_suffix(".cfg"), written)
    for path in written:
        session.print(f"wrote {path}")
    return {"paths": [str(path) for path in written]}


def _check_neighbour(session: Session, model: Model, beside: Path, written: tuple[Path, ...]) -> None:
    """Warns about a cfg of another network that lies beside the weights, and was left as it was."""
    from yoloslim.cli.reports import tell_notes
    from yoloslim.errors import CfgError
    from yoloslim.graph.from_cfg import read_cfg
    from yoloslim.graph.to_cfg import to_cfg

    if beside in written or not beside.exists():
        return
    try:
        same = to_cfg(read_cfg(beside)) == to_cfg(model.graph)
    except CfgError:
        same = False
    if not same:
        tell_notes([f"{beside} was there before and is not the cfg of these weights; it was left as it is"])
