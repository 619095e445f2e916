"""``yoloslim convert``: weights from one file format to another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from yoloslim.cli.options import CfgOrEmpty
from yoloslim.cli.session import Result, Session


def convert(
    session: Session,
    source: Annotated[Path, typer.Argument(metavar="IN", help="A .weights, .safetensors or legacy .pt file.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write: .weights or .safetensors.")],
    cfg: CfgOrEmpty = "",
    names: Annotated[Path | None, typer.Option(metavar="FILE", help="Class names to store, one a line.")] = None,
    cutoff: Annotated[int | None, typer.Option(min=1, help="Only this many leading layers (.weights).")] = None,
    bn_eps: Annotated[float, typer.Option(min=0.0, help="Batch-norm epsilon a legacy .pt was trained with.")] = 1e-5,
) -> Result:
    """Convert weights between Darknet's .weights, checkpoints and the originals' .pt.

    A .weights made from a checkpoint gets its cfg beside it.
    """
    from dataclasses import replace

    from yoloslim.cfg.names import read_names
    from yoloslim.cli.inputs import optional_graph
    from yoloslim.cli.reports import tell_notes
    from yoloslim.runtime.load import load
    from yoloslim.runtime.save import save_as

    model = load(source, optional_graph(cfg), cutoff=cutoff, bn_eps=bn_eps)
    tell_notes(model.notes)
    if names is not None:
        model = replace(model, names=read_names(names))
    written = save_as(model, out, cutoff=cutoff)
    for path in written:
        session.print(f"wrote {path}")
    return {"paths": [str(path) for path in written]}
