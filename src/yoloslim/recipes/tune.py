"""A search for good settings of a training: Optuna proposes, short trainings answer."""

from __future__ import annotations

import copy
import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomlkit

from yoloslim.engine.task import Hooks, Row
from yoloslim.errors import BackendMissing, RecipeError
from yoloslim.files import write_atomically
from yoloslim.graph.graph import Graph
from yoloslim.recipes.read import parse_train_recipe, parse_tune_table
from yoloslim.recipes.schema import Span, TrainRecipe, TuneTable
from yoloslim.recipes.train import ACCURACIES, run_training, starting_point

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

JOURNAL = "study.journal"
"""The search's storage in its folder, where the recipe names none."""

DEFAULT_SPACE: Mapping[str, Span] = {
    "train.learning_rate": Span(low=0.005, high=0.2, log=True),
    "train.momentum": Span(low=0.8, high=0.97),
    "train.weight_decay": Span(low=1e-5, high=1e-2, log=True),
    "train.warmup": Span(low=0.0, high=0.2),
    "loss.box": Span(low=0.5, high=8.0, log=True),
    "loss.objectness": Span(low=0.01, high=0.3, log=True),
    "loss.classes": Span(low=0.2, high=8.0, log=True),
    "augment.mosaic": Span(low=0.0, high=1.0),
    "augment.scale": Span(low=0.0, high=0.7),
    "augment.translate": Span(low=0.0, high=0.3),
    "augment.hue": Span(low=0.0, high=0.1),
    "augment.saturation": Span(low=0.0, high=0.9),
    "augment.value": Span(low=0.0, high=0.6),
}
"""What is searched where the recipe says nothing."""


@dataclass(frozen=True, slots=True)
class Search:
    """A recipe with what is searched around it.

    Attributes:
        tables: of the recipe, without ``[tune]``.
        table: its ``[tune]``.
        where: the file, for messages.
    """

    tables: Mapping[str, Any]
    table: TuneTable
    where: str

    @property
    def space(self) -> Mapping[str, Span]:
        """The range of every setting that is searched."""
        return self.table.space or DEFAULT_SPACE

    def recipe(self, values: Mapping[str, Any]) -> TrainRecipe:
        """Gives the recipe with some settings in place.

        Raises:
            RecipeError: a setting is not known, or its value is out of range.
        """
        return parse_train_recipe(self.with_values(values), self.where)

    def with_values(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Gives the tables with some settings in place, by ``section.key``."""
        made = copy.deepcopy(dict(self.tables))
        for key, value in values.items():
            section, _, name = key.partition(".")
            made.setdefault(section, {})[name] = value
        return made


@dataclass(frozen=True, slots=True)
class Found:
    """What a search gave.

    Attributes:
        best: settings of the best trial by ``section.key``.
        value: its figure.
        done: number of trials that were run to their end, in this call and before.
        pruned: number of trials that were stopped early.
        importance: share of each setting in the differences between trials, 0..1; empty for fewer than two.
    """

    best: Mapping[str, Any]
    value: float
    done: int
    pruned: int
    importance: Mapping[str, float] = field(default_factory=dict)


def make_search(tables: Mapping[str, Any], where: str) -> Search:
    """Gives the search of a recipe's tables; both ends of every range are tried on the recipe.

    Raises:
        RecipeError: a table is wrong, or a setting cannot take an end of its range.
    """
    training = {key: value for key, value in tables.items() if key != "tune"}
    search = Search(training, parse_tune_table(tables, where), where)
    for end in range(2):
        search.recipe({key: span.ends[end] for key, span in search.space.items()})
    if search.recipe({}).train.epochs < 1:
        raise RecipeError(f"{where}: [train] epochs: a search needs at least 1")
    if search.table.metric not in ACCURACIES:
        known = ", ".join(ACCURACIES)
        raise RecipeError(f"{where}: [tune] metric: expected one of {known}, found '{search.table.metric}'")
    return search


def tune(
    search: Search, graph: Graph, folder: Path, tell: Callable[[int, str, float | None], None] = lambda *_: None
) -> Found:
    """Runs trials until the study holds as many as the recipe wants, and writes the best recipe and what was learned.

    Several calls, on several machines, that name one storage share the trials; one that was stopped goes on.

    Args:
        graph: the network of the recipe.
        folder: gets ``best.toml``, ``trials.csv``, plots, and a folder a trial.
        tell: called after each trial with its number, how it ended, and its figure.

    Raises:
        BackendMissing: Optuna is not installed.
        YoloslimError: the recipe cannot be honoured.
    """
    _check_optuna()
    from optuna.study import MaxTrialsCallback
    from optuna.trial import TrialState

    starting_point(search.recipe({}), graph)
    study = _study(search, folder)

    def told(_: object, trial: FrozenTrial) -> None:
        tell(trial.number, trial.state.name.lower(), trial.value)
        _write_trials(study, folder)

    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    if sum(trial.state in ended for trial in study.trials) < search.table.trials:
        study.optimize(
            lambda trial: _trained(search, graph, trial, folder / f"trial-{trial.number:03d}"),
            callbacks=[told, MaxTrialsCallback(search.table.trials, states=ended)],
        )
    return _summary(search, study, folder)


def _check_optuna() -> None:
    try:
        from optuna import logging
    except ImportError as error:
        raise BackendMissing("search", "tune") from error
    logging.set_verbosity(logging.WARNING)


def _study(search: Search, folder: Path) -> Study:
    import optuna
    from optuna.storages.journal import JournalFileBackend, JournalStorage

    table = search.table
    folder.mkdir(parents=True, exist_ok=True)
    storage: Any = table.storage
    if "://" not in table.storage:
        storage = JournalStorage(JournalFileBackend(table.storage or str(folder / JOURNAL)))
    return optuna.create_study(
        study_name=search.recipe({}).name,
        storage=storage,
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=search.recipe({}).seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=table.startup),
        load_if_exists=True,
    )


def _trained(search: Search, graph: Graph, trial: Trial, folder: Path) -> float:
    """The best figure of one training, which is stopped when it falls behind the others."""
    from optuna import TrialPruned

    recipe = search.recipe({key: span.suggested(trial, key) for key, span in search.space.items()})

    def on_row(row: Row) -> None:
        if search.table.metric in row:
            trial.report(row[search.table.metric], int(row["epoch"]))
            if row["epoch"] < recipe.train.epochs and trial.should_prune():
                raise TrialPruned

    model, material = starting_point(recipe, graph)
    rows = run_training(recipe, model, material, folder, Hooks(on_row=on_row)).rows
    return max(row[search.table.metric] for row in rows if search.table.metric in row)


def _summary(search: Search, study: Study, folder: Path) -> Found:
    states = [trial.state.name for trial in study.trials]
    importance = _importance(study)
    best = dict(study.best_params)
    with write_atomically(folder / "best.toml") as temporary:
        temporary.write_text(tomlkit.dumps(search.with_values(best)), encoding="utf-8")
    _write_trials(study, folder)
    _plot(study, importance, search.table.metric, folder / "plots" / "search.png")
    return Found(best, study.best_value, states.count("COMPLETE"), states.count("PRUNED"), importance)


def _importance(study: Study) -> Mapping[str, float]:
    """By PED-ANOVA (Watanabe et al., 2023); it needs trials that differ."""
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    values = {trial.value for trial in study.trials if trial.state.name == "COMPLETE"}
    if len(values) < 2:
        return {}
    return dict(get_param_importances(study, evaluator=PedAnovaImportanceEvaluator()))


def _write_trials(study: Study, folder: Path) -> None:
    keys = list(dict.fromkeys(key for trial in study.trials for key in trial.params))
    with write_atomically(folder / "trials.csv") as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["trial", "state", "value", *keys])
        for trial in study.trials:
            value = "" if trial.value is None else trial.value
            settings = [trial.params.get(key, "") for key in keys]
            writer.writerow([trial.number, trial.state.name.lower(), value, *settings])


def _plot(study: Study, importance: Mapping[str, float], metric: str, path: Path) -> None:
    """Draws the figure of every trial with the best so far, and beside it the importance of the settings."""
    from matplotlib.figure import Figure

    ended = [(trial.number, trial.value) for trial in study.trials if trial.value is not None]
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(*zip(*ended, strict=True), "o", markersize=4, label="trial")
    best = [max(value for _, value in ended[: index + 1]) for index in range(len(ended))]
    left.step([number for number, _ in ended], best, where="post", label="best so far")
    left.set(xlabel="trial", ylabel=metric)
    left.grid(alpha=0.3)
    left.legend()
    names = list(importance)[::-1]
    right.barh(names, [importance[name] for name in names])
    right.set(xlabel="importance (share of the differences)")
    with write_atomically(path) as temporary:
        figure.savefig(temporary, dpi=110)
