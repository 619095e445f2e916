"""The page of a run that has none yet, from what its folder holds."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from yoloslim.errors import RecipeError, YoloslimError
from yoloslim.graph.cost import total_cost
from yoloslim.graph.from_cfg import read_cfg
from yoloslim.recipes.read import read_recipe
from yoloslim.recipes.result_page import Stage, write_result_page
from yoloslim.recipes.sets import load_sets
from yoloslim.recipes.train import PLOTS, RECIPE
from yoloslim.report.run_page import PageTable, RunPage, write_run_page

_log = logging.getLogger(__name__)

PAGE = "report.html"
"""A run's page in its folder."""

_SHOWN_EPOCHS = 50  # in the table; a longer training is thinned out
_ACCURACIES = {"map50": "AP50", "map": "AP", "precision": "precision", "recall": "recall", "f1": "F1"}


def write_report(folder: Path) -> Path:
    """Writes the page of a run of train, prune or compress into its folder, unless it is there, and gives its path.

    Raises:
        RecipeError: the folder is no run, has no results yet, or holds a file that cannot be read.
    """
    path = folder / PAGE
    if path.exists():
        return path
    for name, write in _WRITERS.items():
        if (folder / name).is_file():
            write(folder, path)
            return path
    found = "no such folder" if not folder.is_dir() else f"none of {', '.join(_WRITERS)}"
    raise RecipeError(f"{folder}: expected the folder of a finished run of train, prune or compress, found {found}")


def _write_compression(folder: Path, path: Path) -> None:
    """Pictures are shown where the run's data are still where they were."""
    summary = folder / "summary.json"
    try:
        stages = [_moved(Stage(**row), folder) for row in _read(summary)["stages"]]
    except (TypeError, KeyError) as error:
        raise RecipeError(f"{summary}: expected the stages of a compression ({error!r})") from error
    if not stages:
        raise RecipeError(f"{summary}: expected the stages of a compression, found none; let it go on")
    recipe = read_recipe(folder / RECIPE)
    try:
        _, validation = load_sets(recipe.data)
        write_result_page(path, recipe, stages, validation)
    except YoloslimError as error:
        _log.warning("without pictures: %s", error)
        write_result_page(path, recipe, stages)


def _moved(stage: Stage, folder: Path) -> Stage:
    """The stage with its file where it is now, if the folder was moved."""
    here = folder / Path(stage.path).parent.name / Path(stage.path).name
    return replace(stage, path=str(here)) if here.exists() else stage


def _write_training(folder: Path, path: Path) -> None:
    rows = _read(folder / "results.json")
    if not isinstance(rows, list) or not rows:
        raise RecipeError(f"{folder / 'results.json'}: expected a row an epoch, found none; let the training go on")
    measured = [row for row in rows if "map50" in row]
    lead = f"{rows[-1]['epoch']} epochs."
    if measured:
        best = max(measured, key=lambda row: row["map50"])
        lead = (
            f"{lead} AP50 {measured[-1]['map50']:.3f} after the last, {best['map50']:.3f} after epoch {best['epoch']}."
        )
    step = -(-len(rows) // _SHOWN_EPOCHS)
    headings = ("epoch", *_ACCURACIES.values(), "loss")
    cells = tuple(
        (str(row["epoch"]), *(_share(row.get(key)) for key in _ACCURACIES), f"{row['loss']:.3f}")
        for row in rows[(len(rows) - 1) % step :: step]
    )
    plots = sorted((folder / PLOTS).glob("*.*g"))  # .png and .jpg
    recipe = folder / RECIPE
    text = recipe.read_text(encoding="utf-8") if recipe.is_file() else ""
    page = RunPage(folder.name, lead, (PageTable("Accuracy", headings, cells),), tuple(plots), text)
    write_run_page(path, page)


def _write_pruning(folder: Path, path: Path) -> None:
    record = _read(folder / "plan.json")
    cfg = next(iter(sorted(folder.glob("*.cfg"))), None)
    if cfg is None or not isinstance(record, dict) or "kept" not in record:
        raise RecipeError(f"{folder}: expected plan.json and the .cfg of the pruned network; prune again")
    cost = total_cost(read_cfg(cfg))
    lead = f"Method {record['method']}: {cost.params:,} parameters and {cost.macs:,} multiply-accumulates stay."
    options = tuple((name, str(value)) for name, value in record["options"].items())
    dropped = tuple((name, "dropped") for name in record["dropped_nodes"])
    layers = tuple((name, f"{count:,}") for name, count in record["kept"].items())
    tables = (
        PageTable("Options", ("option", "value"), options),
        PageTable("Layers", ("layer of the first network", "channels that stay"), (*layers, *dropped)),
    )
    write_run_page(path, RunPage(folder.name, lead, tables))


_WRITERS: Mapping[str, Callable[[Path, Path], None]] = {
    "summary.json": _write_compression,
    "results.json": _write_training,
    "plan.json": _write_pruning,
}
"""What writes the page, by the file that shows of which command a run is."""


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecipeError(f"{path}: cannot be read ({error}); run the command again") from error


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
