"""A cleaned copy of a data set's labels: what a check has found to be wrong is left out, the source stays as it is."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from yoloslim.data.annotations import Kind, LabelledBox
from yoloslim.data.check import Report
from yoloslim.data.dataset import Dataset
from yoloslim.data.inspection import Inspection, boxes_over_border, repeated_boxes
from yoloslim.data.set_writer import UNSAFE_PATH, Placing, SetWriter
from yoloslim.data.targets import TARGETS, Target, fitted
from yoloslim.errors import DataError
from yoloslim.files import write_folder_atomically

DATA_FILE = "data"
YOLO_FORMATS, VOC_FORMATS = {"yolo"}, {"voc", "dior"}


def write_cleaned(report: Report, out: Path) -> Path:
    """Writes labels without what is wrong, lists of their pictures, and a data file that uses them, which it gives.

    Boxes that no training would use, or that repeat another one, are left out; others are cut at the border. Pictures
    are left out when nothing true is known of them: unreadable ones, those without readable labels, those whose labels
    were made for another size, and all without a label file where no picture has one. Of equal files the last one
    stays, so that training loses what is measured on, and not the other way round. What needs a person's judgement
    stays: empty labels, pictures that are nearly the same. Pictures are not copied; where two of a split have one name,
    they are linked to.

    Args:
        report: of the check of the data set.
        out: the folder, new or empty; it appears whole or not at all.

    Raises:
        DataError: no picture is left.
        OutputError: the folder is not empty, or cannot be written.
    """
    kept = _kept(report)
    if not kept:
        raise DataError(f"expected pictures to keep, found none without a fault: the first is {report.problems[0]}")
    target = _target(report.datasets)
    names = next(iter(report.datasets.values())).names
    with write_folder_atomically(out) as folder:
        writer = SetWriter(folder, target, _placing(kept), names)
        for split, inspections in kept.items():
            for inspection in inspections:
                assert inspection.size is not None
                objects = _good_boxes(report.datasets[split], inspection, inspection.size)
                fitting, _ = fitted(objects, target, inspection.size)
                writer.add(split, inspection.sample.path, inspection.size, fitting)
        data_file, *_ = writer.finish(DATA_FILE)
    return out / data_file


def _kept(report: Report) -> dict[str, list[Inspection]]:
    """Gives the pictures of every split that stay; a split of which none does is not there."""
    kept: dict[str, list[Inspection]] = {}
    taken: set[bytes] = set()
    for split in reversed(report.inspections):
        kept[split] = []
        for inspection in reversed(report.inspections[split]):
            if _is_known(report.datasets[split], inspection) and inspection.digest not in taken:
                taken.add(inspection.digest)
                kept[split].append(inspection)
    return {split: kept[split][::-1] for split in report.inspections if kept[split]}


def _is_known(dataset: Dataset, inspection: Inspection) -> bool:
    """Whether something true is known of a picture."""
    if inspection.size is None or inspection.num_boxes is None:
        return False
    if any(problem.kind is Kind.SIZE_MISMATCH for problem in inspection.problems):
        return False
    has_no_labels = any(problem.kind is Kind.NO_LABELS for problem in dataset.problems)
    return not (has_no_labels and inspection.sample.label_path is None)


def _good_boxes(dataset: Dataset, inspection: Inspection, size: tuple[int, int]) -> list[LabelledBox]:
    """Gives the boxes of a picture without those that repeat another one, cut where they reach over its border."""
    objects = dataset.read_labels(inspection.sample, size).objects or ()
    repeated, beyond = {index for index, _ in repeated_boxes(objects)}, boxes_over_border(objects, size)
    return [
        _cut(found, size) if index in beyond else found for index, found in enumerate(objects) if index not in repeated
    ]


def _cut(found: LabelledBox, size: tuple[int, int]) -> LabelledBox:
    left, top, right, bottom = (min(max(value, 0.0), side) for value, side in zip(found.xyxy, size * 2, strict=True))
    return dataclasses.replace(found, xyxy=(left, top, right, bottom), corners=None)


def _target(datasets: Mapping[str, Dataset]) -> Target:
    """Gives the form of labels that loses nothing of these, and is their own where that can be written."""
    formats = {dataset.format.name for dataset in datasets.values()}
    if formats <= VOC_FORMATS:
        return TARGETS["voc"]
    if formats <= YOLO_FORMATS:
        return TARGETS["yolo-obb" if any(map(_has_corners, datasets.values())) else "yolo"]
    return TARGETS["coco"]


def _has_corners(dataset: Dataset) -> bool:
    readings = (dataset.read_labels(sample, (1, 1)) for sample in dataset.samples)
    return any(found.corners for reading in readings for found in reading.objects or ())


def _placing(kept: Mapping[str, Sequence[Inspection]]) -> Placing:
    """Gives how pictures are referred to: by lists of paths, but where these cannot tell all of them apart."""
    paths = [(split, found.sample.path) for split, its in kept.items() for found in its]
    stems = Counter((split, path.stem.lower()) for split, path in paths)
    is_listable = not any(UNSAFE_PATH.search(str(path.absolute())) for _, path in paths)
    return "list" if is_listable and max(stems.values()) == 1 else "link"
