"""``detect.py``: boxes by ``yoloslim detect``, from ``data/samples`` unless told otherwise, into ``output``."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from yoloslim.compat.flags import FlagParser, Value, add_model, add_quantized, add_running, options
from yoloslim.compat.fpga import add_fpga, fpga_command, tile_notes
from yoloslim.compat.names import CHECKPOINT, find_device, settled_model
from yoloslim.compat.script import Report, Script, Translation
from yoloslim.files import write_atomically

SAMPLES = Path("data") / "samples"
"""What is looked at where ``--source`` is not given."""

NAMES = Path("runs") / "compat"
"""Where the class names of a data file are written, one a line."""


def _flags() -> FlagParser:
    flags = FlagParser("detect.py", "Finds objects in pictures and videos.")
    add_model(flags)
    add_running(flags)
    add_quantized(flags)
    flags.add_argument("--names", default="", metavar="FILE", help="class names; default: those of --data")
    flags.add_argument("--source", default=str(SAMPLES), metavar="PATH", help=f"default: {SAMPLES}")
    flags.add_argument("--output", default="output", metavar="DIR", help="default: output")
    flags.add_argument("--img-size", "--img_size", type=int, metavar="N", help="pixels")
    flags.add_argument("--conf-thres", "--conf_thres", type=float, metavar="P", help="smallest score; default: 0.25")
    flags.add_argument("--iou-thres", "--iou_thres", type=float, metavar="P", help="overlap; default: 0.45")
    flags.add_argument("--classes", type=int, nargs="+", metavar="ID", help="only these")
    flags.add_argument("--fourcc", default="", help="no effect: videos are MPEG-4")
    flags.add_argument("--layer_idx", type=int, metavar="N", help="of --quantizer_output: no effect")
    for flag in ("half", "view-img", "save-txt", "agnostic-nms", "augment", "rect", "FPGA"):
        flags.add_argument(f"--{flag}", action="store_true")
    add_fpga(flags)
    return flags


def translate(given: Namespace) -> Translation:
    """Gives what the flags of ``detect.py`` mean; they are settled."""
    values: dict[str, Value] = {
        "--cfg": given.cfg,
        "--weights": given.weights,
        "--source": given.source,
        "--names": given.names,
        "--size": given.img_size,
        "--conf": given.conf_thres,
        "--iou": given.iou_thres,
        "--only": ",".join(map(str, given.classes or ())),
        "--agnostic": given.agnostic_nms,
        "--out": given.output,
        "--device": find_device(given.device).value,
    }
    exported = (fpga_command(given, Path(given.output) / "fpga"),) if given.quantizer_output else ()
    return Translation((("detect", *options(values)), *exported), tuple(_notes(given)))


def prepare(given: Namespace) -> tuple[Namespace, tuple[str, ...]]:
    """Gives settled flags and notes; missing samples are made, and class names taken from the data file."""
    found, notes = settled_model(given)
    values = vars(found).copy()
    if given.source == str(SAMPLES) and not SAMPLES.exists():
        notes = (*notes, _made_samples())
    if given.data and not given.names and Path(found.weights).suffix != CHECKPOINT:
        values["names"] = str(_names_file(given.data))
    return Namespace(**values), notes


def finish(given: Namespace, reports: Sequence[Report]) -> Iterable[str]:
    """Writes boxes beside the pictures where ``--save-txt`` is set: ``x1 y1 x2 y2 class score``, a line each."""
    if not given.save_txt:
        return
    files: dict[str, list[str]] = {}
    for image in reports[0]["images"]:
        lines = files.setdefault(Path(image["path"]).name, [])
        lines += [_line(found) for found in image["detections"]]
    for name, lines in files.items():
        with write_atomically(Path(given.output) / f"{name}.txt") as temporary:
            temporary.write_text("".join(lines), encoding="utf-8")
    yield f"boxes as text: {given.output}, {len(files)} files"


def _made_samples() -> str:
    from yoloslim.data.samples import write_samples

    *scenes, _ = write_samples(SAMPLES)
    return f"{SAMPLES} was missing: {len(scenes)} scenes of digits and a short video were made in it"


def _line(found: Report) -> str:
    return " ".join(f"{number:g}" for number in (*found["box"], found["class_id"], found["score"])) + "\n"


def _names_file(data: str) -> Path:
    from yoloslim.data.datafile import load_data_file

    path = NAMES / f"{Path(data).stem}.names"
    with write_atomically(path) as temporary:
        temporary.write_text("\n".join(load_data_file(data).names) + "\n", encoding="utf-8")
    return path


def _notes(given: Namespace) -> Iterator[str]:
    notes = {
        "--augment has no effect: pictures are looked at as they are": given.augment,
        "--rect has no effect: pictures are fitted to the network's input": given.rect,
        "--half has no effect: the network runs in float32": given.half,
        f"--view-img opens no window: pictures with boxes are in {given.output}": given.view_img,
        f"--fourcc {given.fourcc} has no effect: videos are written as MPEG-4": given.fourcc,
        "--quantized has no effect: weights that are quantized say so themselves": given.quantized > 0 or given.FPGA,
        "--layer_idx has no effect: all layers are written": given.layer_idx is not None,
        "--shortcut_way has no effect: what a shortcut adds has one scale": given.shortcut_way is not None,
        find_device(given.device).note: "," in given.device,
    }
    yield from (note for note, holds in notes.items() if holds)
    yield from tile_notes(given)


detect = Script(_flags(), prepare, translate, finish)
