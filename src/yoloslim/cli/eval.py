"""``yoloslim eval``: how good a model is on labelled pictures."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from yoloslim.cli.options import (
    Batch,
    CfgOrEmpty,
    Clip,
    DataFile,
    Iou,
    ResizeOption,
    SingleClass,
    Size,
    SplitOption,
    Weights,
)
from yoloslim.cli.session import Result, Session

if TYPE_CHECKING:
    from yoloslim.data.dataset import Dataset
    from yoloslim.engine.evaluate import Evaluation


def evaluate(
    session: Session,
    weights: Weights,
    data: DataFile,
    cfg: CfgOrEmpty = "",
    split: SplitOption = "val",
    size: Size = "",
    resize: ResizeOption = None,
    conf: Annotated[float, typer.Option(help="Smallest score that counts.")] = 0.001,
    iou: Iou = 0.45,
    batch: Batch = 8,
    at_conf: Annotated[float | None, typer.Option(help="Confidence of precision, recall and F1.")] = None,
    single_class: SingleClass = False,
    clip: Clip = False,
) -> Result:
    """Measure average precision, precision and recall on labelled pictures."""
    from yoloslim.boxes.detect import DetectSettings
    from yoloslim.cli.detector import detector_of, load_model
    from yoloslim.cli.progress import progress_bar
    from yoloslim.cli.reports import plain_problems, tell_problems
    from yoloslim.recipes.evaluate import evaluate_on

    settings = DetectSettings(conf, iou, clip=clip)
    dataset = open_dataset(session, data, split, single_class=single_class)
    model = load_model(weights, cfg, size, resize)
    detector = detector_of(session, model, settings)
    with progress_bar(session, "evaluating", len(dataset)) as progress:
        result, problems = evaluate_on(detector, dataset, batch=batch, at_conf=at_conf, progress=progress)
    tell_problems(problems)
    ms = detector.stopwatch.ms()
    _show(session, result, dataset, ms)
    about = {
        "size": list(detector.size),
        "resize": detector.resize,
        "split": split,
        "problems": plain_problems(problems),
    }
    return {**result.as_dict(dataset.names), "ms": ms, **about}


def open_dataset(session: Session, path: str, split: str, *, single_class: bool) -> Dataset:
    """Gives one split of a data file and prints once which places were chosen.

    Raises:
        DataError: the data file or the split is wrong.
    """
    from yoloslim.data.datafile import load_data_file
    from yoloslim.data.dataset import load_dataset

    data_file = load_data_file(path)
    dataset = load_dataset(data_file, split)
    for note in (*data_file.notes, *dataset.notes):
        session.print(note)
    return replace(dataset, single_class=True) if single_class else dataset


def _show(session: Session, result: Evaluation, dataset: Dataset, ms: dict[str, float]) -> None:
    from yoloslim.cli.reports import percent
    from yoloslim.cli.tables import table

    rows = [
        (name, str(row.truths), percent(row.map50), percent(row.map))
        for name, row in zip(dataset.names, result.per_class, strict=True)
        if row.truths
    ]
    session.print(table(("class", "boxes", "AP50", "AP"), rows))
    times = ", ".join(f"{part} {value:.1f}" for part, value in ms.items())
    session.print(f"AP50 {result.map50:.4f}   AP {result.map:.4f}   over {result.images} pictures")
    rates = f"precision {result.precision:.3f}, recall {result.recall:.3f}, F1 {result.f1:.3f}"
    session.print(f"{rates} at confidence {result.at_conf:.3f}")
    session.print(f"ms a picture: {times}")
