"""Options that several commands take, with their one help text each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Resize = Literal["letterbox", "stretch"]
Split = Literal["train", "val", "test"]

Cfg = Annotated[str, typer.Option(help="A cfg file, or a name that `yoloslim zoo` lists.")]
CfgOrEmpty = Annotated[str, typer.Option("--cfg", help="A cfg file or zoo name; not needed by a .safetensors.")]
Weights = Annotated[Path, typer.Option(help="A .weights, .safetensors or legacy .pt file.")]
WeightsOrNone = Annotated[Path | None, typer.Option("--weights", help="A .weights, .safetensors or legacy .pt file.")]
DataFile = Annotated[str, typer.Option("--data", metavar="FILE", help="A Darknet .data file or a YAML data file.")]
DataFileOrEmpty = Annotated[str, typer.Option("--data", metavar="FILE", help="Measure accuracy on this data file.")]
Size = Annotated[str, typer.Option("--size", metavar="N|WxH", help="Input size; default: the cfg's.")]
ResizeOption = Annotated[
    Resize | None, typer.Option("--resize", help="How pictures are fitted; default: the checkpoint's or the cfg's.")
]
Iou = Annotated[float, typer.Option(help="Overlap above which the lesser box of a class goes.")]
Batch = Annotated[int, typer.Option(min=1, help="Pictures in a batch.")]
SplitOption = Annotated[Split, typer.Option("--split", help="Which pictures of the data file.")]
SingleClass = Annotated[bool, typer.Option("--single-class", help="Treat all classes as the first.")]
Clip = Annotated[bool, typer.Option("--clip", help="Cut boxes at the border of the picture.")]
