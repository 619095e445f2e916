"""Options that several commands take, with their one help text each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Resize = Literal["letterbox", "stretch"]
Split = Literal["train", "val", "test"]
Backend = Literal["onnxruntime", "openvino", "integer"]
TargetName = Literal["onnxruntime", "onnxruntime-avx2", "openvino", "tensorrt", "fpga"]


def check_share(value: float | None) -> float | None:
    """Gives the value of an option back, or refuses it where it is no share from 0 to 1."""
    if value is not None and not 0 <= value <= 1:
        raise typer.BadParameter(f"expected a number from 0 to 1, found {value:g}")
    return value


def check_count(value: int | None) -> int | None:
    """Gives the value of an option back, or refuses it where it is below 1."""
    if value is not None and value < 1:
        raise typer.BadParameter(f"expected 1 or more, found {value}")
    return value


WEIGHTS_HELP = "A .weights, .safetensors or legacy .pt file, or a published name."

Cfg = Annotated[
    str,
    typer.Option("--cfg", metavar="FILE|NAME", help="A cfg file or zoo name; .safetensors, .onnx and .xml need none."),
]
Weights = Annotated[Path, typer.Option("--weights", metavar="FILE|NAME", help=WEIGHTS_HELP)]
WeightsOrArtefact = Annotated[
    Path,
    typer.Option(
        "--weights",
        metavar="FILE|NAME",
        help="A .weights, .safetensors, .onnx, .xml or legacy .pt file, or a published name.",
    ),
]
BackendOption = Annotated[
    Backend | None,
    typer.Option(
        "--backend",
        help="What runs an .onnx; default: onnxruntime. integer: a network made --for fpga.",
    ),
]
WeightsOrNone = Annotated[Path | None, typer.Option("--weights", metavar="FILE|NAME", help=WEIGHTS_HELP)]
Trust = Annotated[bool, typer.Option("--trust", help="Take a published file whose hash is not known, this once.")]
DataFile = Annotated[str, typer.Option("--data", metavar="FILE", help="A Darknet .data file or a YAML data file.")]
DataFileOrEmpty = Annotated[str, typer.Option("--data", metavar="FILE", help="Measure accuracy on this data file.")]
Names = Annotated[Path | None, typer.Option("--names", metavar="FILE", help="Class names, one a line.")]
Size = Annotated[str, typer.Option("--size", metavar="N|WxH", help="Input size; default: the cfg's.")]
ResizeOption = Annotated[
    Resize | None, typer.Option("--resize", help="How pictures are fitted; default: the checkpoint's or the cfg's.")
]
Conf = Annotated[
    float,
    typer.Option("--conf", metavar="SCORE", callback=check_share, help="Smallest score that counts, 0 to 1."),
]
Iou = Annotated[
    float,
    typer.Option(
        "--iou", metavar="SHARE", callback=check_share, help="Overlap above which the lesser box of a class goes."
    ),
]
Batch = Annotated[int, typer.Option("--batch", metavar="N", callback=check_count, help="Pictures in a batch.")]
SplitOption = Annotated[Split, typer.Option("--split", help="Which pictures of the data file.")]
SingleClass = Annotated[bool, typer.Option("--single-class", help="Treat all classes as the first.")]
Clip = Annotated[bool, typer.Option("--clip", help="Cut boxes at the border of the picture.")]
OutFolder = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Folder to write; default: a new one in runs.")
]
