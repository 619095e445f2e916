"""``yoloslim eval``: how good a model is on labelled pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from yoloslim.cli.options import (
    BackendOption,
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
    backend: BackendOption = None,
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
    plots: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write precision over recall and the confusion matrix here.")
    ] = None,
) -> Result:
    """Measure accuracy on labelled pictures."""
    from yoloslim.boxes.detect import DetectSettings
    from yoloslim.cli.detector import open_detector
    from yoloslim.cli.outputs import check_folder
    from yoloslim.cli.progress import progress_bar
    from yoloslim.cli.reports import tell_problems
    from yoloslim.recipes.evaluate import evaluate_on

    if plots is not None:
        check_folder("--plots", plots)
    dataset = open_dataset(session, data, split, single_class=single_class)
    settings = DetectSettings(conf, iou, clip=clip, single_class=dataset.single_class)
    detector, _, provenance = open_detector(session, weights, cfg, size, resize, settings, trust=trust, backend=backend)
    with progress_bar(session, "evaluating", len(dataset)) as progress:
        result, problems = evaluate_on(detector, dataset, batch=batch, at_conf=at_conf, progress=progress)
    told = tell_problems(problems)
    trained_on = _trained_on(provenance, dataset)
    ms = detector.stopwatch.ms()
    _show(session, result, dataset.names)
    session.print(f"at {'x'.join(map(str, detector.size))}, {detector.resize}, {split}; {_times(ms)}")
    if plots is not None:
        _write_plots(session, result, dataset.names, plots)
    about = {"size": list(detector.size), "resize": detector.resize, "split": split, "problems": told}
    return {**result.as_dict(dataset.names), "ms": ms, "trained_on": trained_on, **about}


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


def _trained_on(provenance: Mapping[str, Any], dataset: Dataset) -> int | None:
    """Warns where tested pictures were trained on, and gives their number; None where that is not known."""
    from yoloslim.cli.reports import tell_notes
    from yoloslim.data.fingerprints import fingerprints_of, known_fingerprints

    known = known_fingerprints(provenance)
    if not known:
        return None
    count = len(known & fingerprints_of(sample.path for sample in dataset.samples))
    if count:
        tell_notes([f"{count} of {len(dataset)} tested pictures were trained on: AP is too high"])
    return count


def _write_plots(session: Session, result: Evaluation, names: Sequence[str], folder: Path) -> None:
    from yoloslim.report.accuracy_plots import CONFUSION, PRECISION_RECALL, write_accuracy_plots

    write_accuracy_plots(folder, names, result.curves, result.confusion, result.at_conf)
    session.print(f"plots: {folder / PRECISION_RECALL}, {folder / CONFUSION}")


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
