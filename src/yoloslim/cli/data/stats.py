"""``yoloslim data stats``: a data set in numbers and plots."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yoloslim.cli.options import DataFile, Resize
from yoloslim.cli.session import Result, Session

if TYPE_CHECKING:
    from yoloslim.data.statistics import Spread, Statistics
    from yoloslim.data.survey import Survey

_DEFAULT_SIZE = (416, 416)


def stats(
    session: Session,
    data: DataFile,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Folder for plots; default: none.")] = None,
    size: Annotated[str, typer.Option("--size", metavar="N|WxH", help="Input size for box sizes; default: 416.")] = "",
    resize: Annotated[Resize, typer.Option("--resize", help="How pictures are fitted in training.")] = "letterbox",
) -> Result:
    """Show the classes and boxes of a data set in numbers."""
    from yoloslim.cli.inputs import parse_size
    from yoloslim.cli.outputs import check_folder
    from yoloslim.data.statistics import statistics_of
    from yoloslim.report.data_plots import plot_boxes, plot_classes

    width, height = parse_size(size) or _DEFAULT_SIZE
    if out is not None:
        check_folder("--out", out)
    surveys = _surveys(session, data)
    numbers = {split: statistics_of(found, (width, height), resize) for split, found in surveys.items()}
    _show_boxes(session, numbers, f"{width}x{height}, {resize}")
    _show_classes(session, numbers)
    plots = {} if out is None else {"classes": out / "classes.png", "boxes": out / "boxes.png"}
    if plots:
        plot_boxes(plots["boxes"], surveys, (width, height), resize)
        plot_classes(plots["classes"], surveys)
        session.print(f"wrote {plots['classes']} and {plots['boxes']}")
    splits = {split: asdict(found) for split, found in numbers.items()}
    return {"splits": splits, "size": [width, height], "resize": resize, "plots": list(plots.values())}


def _surveys(session: Session, data: str) -> dict[str, Survey]:
    """Gives what is in each split; what cannot be used is told."""
    from yoloslim.cli.progress import progress_bar
    from yoloslim.cli.reports import tell_problems
    from yoloslim.data.datafile import load_data_file
    from yoloslim.data.dataset import load_datasets
    from yoloslim.data.survey import survey

    data_file = load_data_file(data)
    datasets, faults = load_datasets(data_file)
    for note in data_file.notes:
        session.print(note)
    surveys = {}
    for split, dataset in datasets.items():
        with progress_bar(session, f"reading labels of {split}", len(dataset)) as progress:
            surveys[split] = survey(dataset, progress)
    tell_problems([*faults, *(problem for found in surveys.values() for problem in found.problems)])
    return surveys


def _show_boxes(session: Session, numbers: Mapping[str, Statistics], where: str) -> None:
    from yoloslim.cli.tables import table

    counts = [
        (split, f"{found.pictures:,}", f"{found.backgrounds:,}", f"{found.boxes:,}", f"{found.difficult:,}")
        for split, found in numbers.items()
    ]
    session.print(table(("split", "pictures", "without boxes", "boxes", "difficult"), counts))
    spreads = [
        (
            split,
            _text(found.boxes_a_picture, ".0f"),
            _text(found.side_px, ".1f"),
            _text(found.side_share, ".3f"),
            _text(found.aspect, ".2f"),
        )
        for split, found in numbers.items()
    ]
    session.print(f"10, 50 and 90 % are at most (side: square root of the area; pixels at {where})")
    session.print(table(("split", "boxes a picture", "side, pixels", "side, share", "width / height"), spreads))


def _text(spread: Spread, form: str) -> str:
    return " ".join(format(value, form) for value in (spread.p10, spread.p50, spread.p90))


def _show_classes(session: Session, numbers: Mapping[str, Statistics]) -> None:
    from yoloslim.cli.tables import table

    rows = [
        (of_class[0].name, *(f"{found.boxes:,} / {found.pictures:,}" for found in of_class))
        for of_class in zip(*(found.classes for found in numbers.values()), strict=True)
    ]
    session.print("boxes / pictures of each class")
    session.print(table(("class", *numbers), rows))
