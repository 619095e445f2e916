"""``test.py``: accuracy by ``yoloslim eval``, and then the line that theirs printed."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence

from yoloslim.compat.flags import FlagParser, Value, add_measuring, add_model, add_quantized, add_running, options
from yoloslim.compat.names import find_device, settled_model
from yoloslim.compat.script import Report, Script, Translation

AT_CONF = 0.1
"""Confidence that their precision, recall and F1 belong to."""

TASK_SIZES = {
    "test": (None,),
    "benchmark": (320, 416, 512, 608),
    "study": tuple(range(288, 896, 64)),
}
"""Sizes that each ``--task`` measures at; None: that of ``--img-size``."""

_RESULTS = "results.json"


def add_flags(flags: FlagParser) -> None:
    """Adds the flags of ``test.py``."""
    add_model(flags)
    add_measuring(flags)
    add_running(flags)
    add_quantized(flags)
    flags.add_argument("--conf-thres", "--conf_thres", type=float, metavar="P", help="smallest score; default: 0.001")
    flags.add_argument("--iou-thres", "--iou_thres", type=float, metavar="P", help="overlap; default: 0.45")
    flags.add_argument("--save-json", action="store_true", help=f"write the figures to {_RESULTS}")
    flags.add_argument("--task", choices=tuple(TASK_SIZES), default="test", help="sizes to measure at")
    flags.add_argument("--augment", action="store_true", help="no effect")


def translate(given: Namespace) -> Translation:
    """Gives what the flags of ``test.py`` mean; they are settled."""
    sizes = [size or given.img_size for size in TASK_SIZES[given.task]]
    return Translation(tuple(_command(given, size) for size in sizes), tuple(_notes(given)))


def _command(given: Namespace, size: int | None) -> tuple[str, ...]:
    values: dict[str, Value] = {
        "--cfg": given.cfg,
        "--weights": given.weights,
        "--data": given.data,
        "--size": size,
        "--batch": given.batch_size,
        "--conf": given.conf_thres,
        "--iou": given.iou_thres,
        "--at-conf": AT_CONF,
        "--device": find_device(given.device).value,
    }
    return ("eval", *options(values))


def finish(given: Namespace, reports: Sequence[Report]) -> Iterable[str]:
    """Gives P, R, mAP and F1 in their columns, and writes the figures where ``--save-json`` is set."""
    import json
    from pathlib import Path

    from yoloslim.files import write_atomically

    yield "".join(f"{title:>{width}}" for title, width in zip(_TITLES, _WIDTHS, strict=True))
    yield from (_row(report) for report in reports)
    if given.save_json:
        with write_atomically(_RESULTS) as temporary:
            Path(temporary).write_text(json.dumps(list(reports), indent=1) + "\n", encoding="utf-8")
        yield f"wrote {_RESULTS}"


_TITLES = ("Class", "Images", "Targets", "P", "R", "mAP@0.5", "F1")
_WIDTHS = (20, 10, 10, 10, 10, 10, 10)


def _row(report: Report) -> str:
    targets = sum(row["truths"] for row in report["per_class"])
    counts = f"{'all':>20}{report['images']:>10}{targets:>10}"
    return counts + "".join(f"{report[key]:>10.3g}" for key in ("precision", "recall", "map50", "f1"))


def _notes(given: Namespace) -> Iterator[str]:
    notes = {
        "--augment has no effect: pictures are measured as they are": given.augment,
        "--quantized has no effect: weights that are quantized say so themselves": given.quantized > 0,
        "--shortcut_way has no effect: what a shortcut adds has one scale": given.shortcut_way is not None,
        f"--save-json: {_RESULTS} gets the figures; boxes are what yoloslim detect --json gives": given.save_json,
        find_device(given.device).note: "," in given.device,
    }
    yield from (note for note, holds in notes.items() if holds)


def _flags() -> FlagParser:
    flags = FlagParser("test.py", "Measures accuracy.")
    add_flags(flags)
    return flags


test = Script(_flags(), settled_model, translate, finish)
