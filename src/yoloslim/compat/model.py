"""``convert.py`` and ``info.py``: weights in another format, and what a network is made of."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from yoloslim.compat.flags import FlagParser, Value, add_model, options
from yoloslim.compat.names import CHECKPOINT, settled, settled_model
from yoloslim.compat.script import Script, Translation


def translate_convert(given: Namespace) -> Translation:
    """Gives what the flags of ``convert.py`` mean: Darknet weights of a checkpoint, a checkpoint of Darknet weights."""
    source = Path(given.weights)
    out = source.with_suffix(CHECKPOINT if source.suffix == ".weights" else ".weights")
    note = f"{out} is written where theirs was a .pt: pickles are read, and never written"
    named: dict[str, Value] = {"--cfg": given.cfg}
    notes = (note,) if out.suffix == CHECKPOINT else ()
    return Translation((("convert", str(source), str(out), *options(named)),), notes)


def translate_info(given: Namespace) -> Translation:
    """Gives what the flags of ``info.py`` mean."""
    values: dict[str, Value] = {"--cfg": given.cfg, "--weights": given.weights, "--size": given.img_size}
    return Translation((("info", *options(values)),))


def _flags(script: str, does: str) -> FlagParser:
    flags = FlagParser(script, does)
    add_model(flags)
    flags.add_argument("--img-size", "--img_size", type=int, metavar="N", help="pixels")
    return flags


convert = Script(_flags("convert.py", "Converts weights."), settled_model, translate_convert)
info = Script(_flags("info.py", "Tells what a network is made of."), settled, translate_info)
