"""``yoloslim compare``: what two networks see in the same pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yoloslim.cli.options import Conf, Iou, Names, OutFolder, Size, Trust
from yoloslim.cli.session import Result, Session

if TYPE_CHECKING:
    from yoloslim.cli.detector import Opened
    from yoloslim.cli.outputs import DrawnFiles
    from yoloslim.data.annotations import Problem
    from yoloslim.metrics.agreement import Agreement

_SHOWN = 20  # pictures in the table
_PAGE = "compare.html"

Network = Annotated[
    Path,
    typer.Argument(
        metavar="NETWORK", help="A .safetensors, .onnx, .xml or .weights (its .cfg beside it), or a published name."
    ),
]


def compare(
    session: Session,
    first: Network,
    second: Network,
    source: Annotated[str, typer.Option(metavar="PATH", help="Pictures: a file, folder, pattern or list.")],
    trust: Trust = False,
    size: Size = "",
    conf: Conf = 0.25,
    iou: Iou = 0.45,
    names: Names = None,
    out: OutFolder = None,
) -> Result:
    """Show two networks side by side on pictures."""
    from yoloslim.boxes.detect import DetectSettings
    from yoloslim.cli.detector import cfg_beside, open_detector
    from yoloslim.cli.inputs import class_names
    from yoloslim.cli.outputs import DrawnFiles, output_folder
    from yoloslim.cli.reports import tell_problems
    from yoloslim.data.sources import find_sources
    from yoloslim.errors import DataError
    from yoloslim.report.page import write_html

    pictures = find_sources(source).pictures
    if not pictures:
        raise DataError(f"--source {source}: expected pictures, found videos alone")
    drawn = DrawnFiles(output_folder(out, "compare", f"{first.stem}-{second.stem}"), pictures)
    settings = DetectSettings(conf, iou)
    pair = [
        open_detector(session, each, cfg_beside(each), size, None, settings, trust=trust) for each in (first, second)
    ]
    classes = _common_classes(first, second, pair)
    known = class_names(names, pair[0].names or pair[1].names, classes) or [f"class {n}" for n in range(classes)]
    rows, problems = _compared(pictures, pair, known, (first.name, second.name), drawn)
    told = tell_problems(problems)
    if not rows:
        raise DataError(f"none of {len(pictures)} pictures could be read, the first: {told[0]}")
    total = _total(rows)
    path = drawn.folder / _PAGE
    write_html(path, "comparison.html", {"first": first.name, "second": second.name, "pictures": rows, "total": total})
    _show(session, rows, total)
    session.print(f"side by side: {path}")
    named = {"first": str(first), "second": str(second)}
    return {"path": str(path), **named, "pictures": rows, "total": total, "problems": told}


def _common_classes(first: Path, second: Path, pair: Sequence[Opened]) -> int:
    from yoloslim.errors import RecipeError

    counts = [each.detector.yolos[0].classes for each in pair]
    if counts[0] != counts[1]:
        text = f"{first} has {counts[0]} classes, {second} has {counts[1]}"
        raise RecipeError(f"{text}: only networks of the same classes can be compared")
    return counts[0]


def _compared(
    pictures: Sequence[Path],
    pair: Sequence[Opened],
    names: Sequence[str],
    titles: tuple[str, str],
    drawn: DrawnFiles,
) -> tuple[list[Result], list[Problem]]:
    """Gives a row for each picture that can be read, drawn, and what is wrong with the others."""
    from yoloslim.data.annotations import Problem
    from yoloslim.data.pictures import read_picture, write_picture
    from yoloslim.errors import DataError
    from yoloslim.metrics.agreement import agreement
    from yoloslim.report.drawing import beside, draw_large

    rows, problems = [], []
    for path in pictures:
        try:
            picture = read_picture(path)
        except DataError as error:
            problems.append(Problem(path, 0, str(error).removeprefix(f"{path}: ")))
            continue
        found = [each.detector([picture])[0] for each in pair]
        left, right = (draw_large(picture, each, names) for each in found)
        target = drawn.picture(path)
        write_picture(target, beside(left, right, titles))
        rows.append(_row(path.name, agreement(*found)) | {"path": str(path), "file": target.name})
    return rows, problems


def _row(name: str, found: Agreement) -> Result:
    changes = found.score_changes
    return {
        "name": name,
        "first": found.first,
        "second": found.second,
        "matched": found.matched,
        "score_change": float(changes.mean()) if found.matched else None,
        "max_score_change": float(abs(changes).max()) if found.matched else None,
    }


def _total(rows: Sequence[Result]) -> Result:
    """Gives the sums over all pictures; the change of the score is that of the mean pair."""
    sums = {key: sum(row[key] for row in rows) for key in ("first", "second", "matched")}
    paired = [row for row in rows if row["matched"]]
    changes = sum(row["score_change"] * row["matched"] for row in paired)
    return {
        "name": "all",
        **sums,
        "score_change": changes / sums["matched"] if paired else None,
        "max_score_change": max((row["max_score_change"] for row in paired), default=None),
    }


def _show(session: Session, rows: Sequence[Result], total: Result) -> None:
    from yoloslim.cli.tables import table

    by_difference = sorted(rows, key=lambda row: 2 * row["matched"] - row["first"] - row["second"])
    cells = [
        (
            row["name"],
            *(str(row[key]) for key in ("first", "second", "matched")),
            "-" if row["score_change"] is None else f"{row['score_change']:+.3f}",
        )
        for row in (*by_difference[:_SHOWN], total)
    ]
    session.print(table(("picture", "first", "second", "both", "change of score"), cells))
    if len(rows) > _SHOWN:
        session.print(f"the {_SHOWN} of {len(rows)} pictures with most differences")
