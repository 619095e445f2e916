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
        float | None,
        typer.Option(
            min=0.0, max=0.1, metavar="E", help="Batch-norm epsilon a legacy .pt was trained with; default: 1e-5."
        ),
    ] = None,
) -> Result:
    """Convert .weights, checkpoints and legacy .pt files.

    A .weights that is made from a checkpoint gets its cfg beside it.
    """
    from yoloslim.cli.detector import fitted, load_model
    from yoloslim.cli.inputs import class_names
    from yoloslim.graph.advice import darknet_advice
    from yoloslim.runtime.save import save_as

    _check(source, out, cutoff, bn_eps)
    eps = 1e-5 if bn_eps is None else bn_eps
    model = fitted(load_model(session, source, cfg, trust=trust, cutoff=cutoff, bn_eps=eps))
    model = replace(model, names=class_names(names, model.names, model.graph.classes))
    written = save_as(model, out, cutoff=cutoff)
    _check_neighbour(session, model, out.with_suffix(".cfg"), written)
    for path in written:
        session.print(f"wrote {path}")
    for advice in darknet_advice(model.graph) if out.with_suffix(".cfg") in written else ():
        session.print(advice)
    return {"paths": [str(path) for path in written]}


def _check(source: Path, out: Path, cutoff: int | None, bn_eps: float | None) -> None:
    """Makes sure that OUT can be written, that every option has an effect, and that IN stays.

    Raises:
        RecipeError: an option would have none, or OUT is IN.
        WeightsError: OUT is of no format that can be written.
    """
    from yoloslim.errors import RecipeError
    from yoloslim.runtime.load import CHECKPOINT_SUFFIX, LEGACY_SUFFIXES
    from yoloslim.runtime.save import check_format

    check_format(out, cutoff)
    if out.resolve() == source.resolve():
        raise RecipeError(f"{out}: IN and OUT are the same file; give OUT another name")
    if bn_eps is not None and source.suffix not in LEGACY_SUFFIXES:
        raise RecipeError(f"--bn-eps {bn_eps:g}: expected a legacy .pt as IN, found {source}; leave the option out")
    if (
        cutoff is not None
        and out.suffix == CHECKPOINT_SUFFIX
        and source.suffix in (*LEGACY_SUFFIXES, CHECKPOINT_SUFFIX)
    ):
        text = f"--cutoff {cutoff}: a {CHECKPOINT_SUFFIX} holds all layers; give OUT a name such as {out.stem}"
        raise RecipeError(f"{text}.conv.{cutoff}")


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
