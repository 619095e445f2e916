"""``PTQ.py``: a trained network quantized without training, by ``yoloslim quantize``."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator

from yoloslim.compat.flags import FlagParser, Value, options
from yoloslim.compat.names import find_device, settled_model
from yoloslim.compat.script import Script, Translation
from yoloslim.compat.test import add_flags


def translate(given: Namespace) -> Translation:
    """Gives what the flags of ``PTQ.py`` mean; they are settled."""
    values: dict[str, Value] = {
        "--cfg": given.cfg,
        "--weights": given.weights,
        "--data": given.data,
        "--weight-bits": given.w_bit,
        "--activation-bits": given.a_bit,
        "--pictures": given.subset_len,
        "--size": given.img_size,
        "--batch": given.batch_size,
        "--single-class": given.single_cls,
        "--device": find_device(given.device).value,
    }
    return Translation((("quantize", *options(values)),), tuple(_notes(given)))


def _notes(given: Namespace) -> Iterator[str]:
    if given.quantized == 2:
        yield "--quantized 2: DoReFa is trained, by train.py; without training ranges are measured, as for 1"
    for flag in ("conf_thres", "iou_thres", "save_json", "augment", "shortcut_way"):
        if getattr(given, flag) not in (None, False):
            yield f"--{flag} has no effect on quantizing: measure with test.py"


def _flags() -> FlagParser:
    flags = FlagParser("PTQ.py", "Quantizes a network without training it.")
    add_flags(flags)
    flags.add_argument("--subset_len", "--subset-len", type=int, metavar="N", help="pictures to calibrate on")
    flags.add_argument("--single-cls", action="store_true", help="all classes become the first")
    return flags


ptq = Script(_flags(), settled_model, translate)
