"""``yoloslim eval``: how good a model is on labelled pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from yoloslim.cli.options import (
    Batch,
    Cfg,
    Clip,
    Conf,
    DataFile,
    Iou,
    ResizeOption,
    SingleClass,
    Size,
    SplitOption,
    Trust,
    WeightsOrArtefact,
    check_share,
)
from yoloslim.cli.session import Result, Session

if TYPE_CHECKING:
    from yoloslim.data.dataset import Dataset
    from yoloslim.engine.evaluate import Evaluation


def evaluate(
    session: Session,
    weights: WeightsOrArtefact,
    data: DataFile,
    cfg: Cfg = "",
    trust: Trust = False,
    split: SplitOption = "val",
    size: Size = "",
    resize: ResizeOption = None,
    conf: Conf = 0.001,
    iou: Iou = 0.45,
    batch: Batch = 8,
    at_conf: Annotated[
        float | None,
        typer.Option(
            metavar="SCORE", callback=check_share, help="Confidence of precision, recall, F1; default: of the best F1."
        ),
    ] = None,
    single_class: SingleClass = False,
    clip: Clip = False,
) -> Result:
    """Measure accuracy on labelled pictures."""
    from yoloslim.boxes.detect import DetectSettings
    from yoloslim.cli.detector import open_detector
    from yoloslim.cli.progress import progress_bar
    from yoloslim.cli.reports import tell_problems
    from yoloslim.recipes.evaluate import evaluate_on

    dataset = open_dataset(session, data, split, single_class=single_class)
    settings = DetectSettings(conf, iou, clip=clip, single_class=dataset.single_class)
    detector, _ = open_detector(session, weights, cfg, size, resize, settings, trust=trust)
    with progress_bar(session, "evaluating", len(dataset)) as progress:
        result, problems = evaluate_on(detector, dataset, batch=batch, at_conf=at_conf, progress=progress)
    told = tell_problems(problems)
    ms = detector.stopwatch.ms()
    _show(session, result, dataset.names)
    session.print(f"at {'x'.join(map(str, detector.size))}, {detector.resize}, {split}; {_times(ms)}")
    about = {"size": list(detector.size), "resize": detector.resize, "split": split, "problems": told}
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


def _show(session: Session, result: Evaluation, names: Sequence[str]) -> None:
    from yoloslim.cli.reports import share
    from yoloslim.cli.tables import table

    rows = [
        (name, str(row.truths), share(row.map50), share(row.map))
        for name, row in zip(names, result.per_class, strict=True)
        if row.truths
    ]
    session.print(table(("class", "boxes", "AP50", "AP"), rows))
    boxes = sum(row.truths for row in result.per_class)
    session.print(
        f"AP50 {share(result.map50)}, AP {share(result.map)} on {result.images} pictures with {boxes:,} boxes"
    )
    rates = f"precision {share(result.precision)}, recall {share(result.recall)}, F1 {share(result.f1)}"
    session.print(f"{rates} at confidence {result.at_conf:.3f}")


def _times(ms: dict[str, float]) -> str:
    return "ms a picture: " + ", ".join(f"{part} {value:.1f}" for part, value in ms.items())
