"""``convert_FPGA.py``, and what ``detect.py`` writes for an FPGA."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from yoloslim.compat.flags import FlagParser, Value, add_model, add_quantized, add_running, options
from yoloslim.compat.names import settled_model
from yoloslim.compat.script import Script, Translation

OUT = Path("output") / "fpga"
"""Where the files for an FPGA go."""


def add_fpga(flags: FlagParser) -> None:
    """Adds how the files for an FPGA are laid out."""
    flags.add_argument("--quantizer_output", action="store_true", help="write the files for an FPGA")
    flags.add_argument("--reorder", action="store_true", help="weights in the order of tiles")
    flags.add_argument("--TN", type=int, metavar="N", help="input channels of a tile")
    flags.add_argument("--TM", type=int, metavar="N", help="output channels of a tile")


def fpga_command(given: Namespace, out: Path) -> tuple[str, ...]:
    """Gives the command that writes a network for an FPGA."""
    values: dict[str, Value] = {
        "--cfg": given.cfg,
        "--weights": given.weights,
        "--format": "fpga",
        "--size": given.img_size,
        "--tile-inputs": given.TN if given.reorder else None,
        "--tile-outputs": given.TM if given.reorder else None,
        "--out": str(out),
    }
    return ("export", *options(values))


def translate(given: Namespace) -> Translation:
    """Gives what the flags of ``convert_FPGA.py`` mean; they are settled."""
    return Translation((fpga_command(given, OUT),), tuple(_notes(given)))


def tile_notes(given: Namespace) -> Iterator[str]:
    """Yields what has no effect of how the files for an FPGA are laid out."""
    has_size = given.TN is not None or given.TM is not None
    if has_size and not given.reorder:
        yield "--TN and --TM have no effect without --reorder: weights are written in their own order"
    if given.reorder and not has_size:
        yield "--reorder has no effect without --TN and --TM, the sizes of a tile"


def _notes(given: Namespace) -> Iterator[str]:
    yield from tile_notes(given)
    if given.conf_thres is not None or given.nms_thres is not None:
        yield "--conf-thres and --nms-thres have no effect: boxes are found behind the head maps, not on the FPGA"
    if given.quantized > 0:
        yield "--quantized has no effect: weights that are quantized say so themselves"


def _flags() -> FlagParser:
    flags = FlagParser("convert_FPGA.py", "Writes a network for an FPGA.")
    add_model(flags)
    add_running(flags)
    add_quantized(flags)
    add_fpga(flags)
    flags.add_argument("--img-size", "--img_size", type=int, metavar="N", help="pixels")
    flags.add_argument("--conf-thres", "--conf_thres", type=float, metavar="P", help="no effect")
    flags.add_argument("--nms-thres", "--nms_thres", type=float, metavar="P", help="no effect")
    flags.add_argument("--FPGA", action="store_true", help="no effect")
    return flags


convert_fpga = Script(_flags(), settled_model, translate)
