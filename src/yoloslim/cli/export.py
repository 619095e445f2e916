"""``yoloslim export``: a model as a file that other programs run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from yoloslim.cli.options import Cfg, Names, ResizeOption, Size, Trust, Weights
from yoloslim.cli.session import Result, Session

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from yoloslim.recipes.export import Parity
    from yoloslim.runtime.load import Model

Format = Literal["onnx", "openvino", "darknet", "fpga"]

_SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "openvino": ".xml", "darknet": ".cfg"}
_FOLDER: Format = "fpga"
_MAX_PICTURES = 8  # enough to meet real values; more only take time


def export(
    session: Session,
    weights: Weights,
    out: Annotated[
        Path,
        typer.Option("--out", metavar="FILE", help="The file to write: .onnx, .xml or .cfg; fpga: a folder."),
    ],
    cfg: Cfg = "",
    trust: Trust = False,
    kind: Annotated[Format | None, typer.Option("--format", help="Kind of file; default: as its name ends.")] = None,
    half: Annotated[bool, typer.Option("--half", help="Weights of 16 bits, in OpenVINO's file alone.")] = False,
    tile_inputs: Annotated[
        int, typer.Option(metavar="N", min=0, help="For an FPGA: weights in tiles of so many input channels.")
    ] = 0,
    tile_outputs: Annotated[int, typer.Option(metavar="N", min=0, help="And of so many output channels.")] = 0,
    size: Size = "",
    resize: ResizeOption = None,
    names: Names = None,
    source: Annotated[
        str, typer.Option(metavar="PATH", help="Pictures to compare on, besides noise: a file, folder or pattern.")
    ] = "",
) -> Result:
    """Write a file for other programs, checked against torch."""
    from yoloslim.cli.detector import fitted, load_model
    from yoloslim.cli.inputs import class_names
    from yoloslim.cli.outcome import CheckFailed
    from yoloslim.errors import RecipeError
    from yoloslim.graph.advice import foreign_sections
    from yoloslim.recipes.export import ParityFailed, export_darknet, export_openvino
    from yoloslim.recipes.export import export as export_onnx
    from yoloslim.runtime.artefact import files_of

    kind = _format_of(out, kind)
    if half and kind != "openvino":
        raise RecipeError(
            f"--half: only OpenVINO's .xml can have weights of 16 bits, {out} is for {kind}: leave it out"
        )
    openvino = partial(export_openvino, weight_bits=16 if half else 32)
    writers: dict[Format, Callable[[Model, Path, Iterator[NDArray[np.float32]]], Parity]] = {
        "onnx": export_onnx,
        "openvino": openvino,
        "darknet": export_darknet,
        "fpga": partial(_export_fpga, tile=(tile_outputs or 1, tile_inputs or 1)),
    }
    if (tile_inputs or tile_outputs) and kind != _FOLDER:
        raise RecipeError(f"--tile-inputs, --tile-outputs: only --format fpga has tiles, {out} is for {kind}")
    model = fitted(load_model(session, weights, cfg, trust=trust), size, resize)
    model = replace(model, names=class_names(names, model.names, model.graph.classes))
    try:
        parity = writers[kind](model, out, _batches(session, model, source))
    except ParityFailed as error:
        raise CheckFailed(str(error)) from error
    text = f"head maps as torch's to {parity.max_rel_diff:.1e} of their largest value"
    if kind == _FOLDER:
        text = "every number as torch's in float64"
    written = (out, out.with_suffix(".weights")) if kind == "darknet" else files_of(_named(out, kind))
    size_bytes = sum(path.stat().st_size for path in written)
    session.print(f"wrote {_shown(written, out, kind)}, {size_bytes:,} bytes; {text}")
    if kind == "darknet" and (replaced := foreign_sections(model.graph)):
        listed = " and ".join(f"{count} {name}" for name, count in replaced.items())
        session.print(f"replaced {listed}, which Darknet does not know, by its own layers")
    if parity.layers is not None:
        session.print(
            f"{parity.layers.layers} convolutions on integers, {parity.layers.equal_share:.2%} of codes equal"
        )
    return {"path": str(_named(out, kind)), "format": kind, "bytes": size_bytes, "parity": _report(parity)}


def _export_fpga(model: Model, out: Path, batches: Iterator[NDArray[np.float32]], tile: tuple[int, int]) -> Parity:
    from yoloslim.compress.quantization.tiles import Tile
    from yoloslim.recipes.export_fpga import export_fpga

    return export_fpga(model, out, list(batches), Tile(*tile))


def _named(out: Path, kind: Format) -> Path:
    """The file that other commands take: of a folder, its index."""
    return out / "index.json" if kind == _FOLDER else out


def _shown(written: tuple[Path, ...], out: Path, kind: Format) -> str:
    return f"{out} with index.json and network.h" if kind == _FOLDER else " and ".join(map(str, written))


def _report(parity: Parity) -> Result:
    """The differences, those of layers only where there are such."""
    return {key: value for key, value in asdict(parity).items() if value is not None}


def _format_of(out: Path, kind: Format | None) -> Format:
    """Gives the format that is asked for, or that the name's ending means.

    Raises:
        RecipeError: the ending is another format's, or none's.
    """
    from yoloslim.errors import RecipeError

    if kind == _FOLDER:
        return kind
    if kind is not None and out.suffix != _SUFFIXES[kind]:
        text = f"expected a name that ends in {_SUFFIXES[kind]} for --format {kind}, found '{out.suffix}'"
        raise RecipeError(f"--out {out}: {text}: name it {out.with_suffix(_SUFFIXES[kind]).name}")
    known = {suffix: each for each, suffix in _SUFFIXES.items()}
    if out.suffix not in known:
        endings = ", ".join(f"{suffix} ({each})" for suffix, each in known.items())
        raise RecipeError(
            f"--out {out}: expected a name that ends in one of {endings}, or --format fpga, found '{out.suffix}'"
        )
    return known[out.suffix]


def _batches(session: Session, model: Model, source: str) -> Iterator[NDArray[np.float32]]:
    """Noise, then the first pictures of the source, one at a time."""
    from yoloslim.boxes.placement import place, to_batch
    from yoloslim.data.pictures import read_picture
    from yoloslim.data.sources import find_sources
    from yoloslim.recipes.export import random_batch

    shape = model.graph.input_shape
    yield random_batch(shape, session.seed)
    for path in find_sources(source).pictures[:_MAX_PICTURES] if source else ():
        canvas, _ = place(read_picture(path), (shape.width, shape.height), model.resize)
        yield to_batch([canvas], shape.channels)
