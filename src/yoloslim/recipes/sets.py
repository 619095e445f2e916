"""The data sets that a recipe names, as one."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from yoloslim.data.datafile import DataFile, load_data_file
from yoloslim.data.dataset import Dataset, load_dataset
from yoloslim.data.joint import JointDataset, LabelMap, joint
from yoloslim.errors import RecipeError
from yoloslim.recipes.schema import DataTable

_log = logging.getLogger(__name__)


def load_sets(table: DataTable) -> tuple[Dataset | JointDataset, Dataset | JointDataset]:
    """Gives the pictures to train on and those to measure on; no picture is read.

    Several data sets become one. Each must have pictures to train on, and one of them pictures to measure on.

    Raises:
        DataError: a data file or one of its splits is wrong.
        RecipeError: the label map or the weights do not fit the data sets.
    """
    files = [load_data_file(name) for name in table.files]
    for file in files:
        for note in file.notes:
            _log.info("%s", note)
    _check_weights(table)
    training = [_load(file, "train", table) for file in files]
    if len(files) == 1 and not table.label_map:
        return training[0], _load(files[0], "val", table)
    label_maps = _label_maps(table, files, training)
    whole = joint(training, label_maps)
    measured = [index for index, file in enumerate(files) if "val" in file.splits] or list(range(len(files)))
    for index in sorted(set(range(len(files))) - set(measured)):
        _log.info("%s has no split val: its pictures are trained on alone", files[index].path)
    validation = [_load(files[index], "val", table) for index in measured]
    return whole, joint(validation, [label_maps[index] for index in measured], whole.names)


def _load(file: DataFile, split: str, table: DataTable) -> Dataset:
    dataset = load_dataset(file, split)
    return replace(dataset, single_class=dataset.single_class or table.single_class)


def _check_weights(table: DataTable) -> None:
    weights, count = table.sampling.weights, len(table.files)
    if len(weights) not in (0, count):
        raise RecipeError(f"[data.sampling] weights: expected one for each of {count} data sets, found {len(weights)}")


def _label_maps(table: DataTable, files: Sequence[DataFile], datasets: Sequence[Dataset]) -> list[LabelMap]:
    """Gives, for each data set, which of its classes are called something else; its own entries go first."""
    if table.single_class:
        if table.label_map:
            raise RecipeError("[data] label_map: single_class makes all classes one: leave one of them out")
        return [dict.fromkeys(dataset.names, datasets[0].names[0]) for dataset in datasets]
    general = {name: new for name, new in table.label_map.items() if isinstance(new, str)}
    _check_names(general, {name for dataset in datasets for name in dataset.names}, "any data set")
    own: list[LabelMap] = [{} for _ in files]
    for key, names in table.label_map.items():
        if isinstance(names, Mapping):
            index = _place_of(key, files)
            _check_names(names, datasets[index].names, str(files[index].path))
            own[index] = names
    return [{**general, **names} for names in own]


def _place_of(key: str, files: Sequence[DataFile]) -> int:
    """Gives which data file a table of the label map is for: it may leave leading folders out."""
    end = Path(key).parts
    found = [index for index, file in enumerate(files) if file.path.parts[-len(end) :] == end]
    if len(found) != 1:
        known = ", ".join(str(file.path) for file in files)
        raise RecipeError(f"[data.label_map] {key}: expected one of the data files, {known}; found {len(found)} of it")
    return found[0]


def _check_names(label_map: LabelMap, names: Iterable[str], where: str) -> None:
    known = list(names)
    for name, new in label_map.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            raise RecipeError(f"[data.label_map] {name!r} is no class of {where}; {hint}")
        if not new:
            raise RecipeError(f"[data.label_map] {name!r}: expected the name of a class, found none")
