"""``tune`` as a user types it: trials that are shared, stopped early and continued, and a recipe that can be run."""

import csv
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

optuna = pytest.importorskip("optuna")
pytestmark = pytest.mark.medium

RECIPE = """
[model]
cfg = "{cfg}"
[data]
data = "{data}"
[train]
epochs = 2
batch = 2
workers = 0
[tune]
trials = 3
[tune.space]
"train.learning_rate" = {{low = 0.001, high = 0.1, log = true}}
"augment.flip" = {{choices = [0.0, 0.5]}}
"train.batch" = {{low = 2, high = 4}}
"""


@pytest.fixture
def recipe(tmp_path: Path, tiny: tuple[Any, ...], data: Path) -> Path:
    path = tmp_path / "search.toml"
    path.write_text(RECIPE.format(cfg=tiny[1], data=data))
    return path


def trials(folder: Path) -> list[dict[str, str]]:
    with (folder / "trials.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_search_leaves_its_trials_and_a_recipe_that_trains(run: Callable[..., Any], recipe: Path) -> None:
    outcome = run("tune", recipe, "--out", "search")

    assert outcome.code == 0, outcome.err
    rows = trials(recipe.parent / "search")
    assert len(rows) == 3
    assert outcome.json["done"] + outcome.json["pruned"] == 3
    assert all(0.001 <= float(row["train.learning_rate"]) <= 0.1 for row in rows)
    assert (recipe.parent / "search" / "plots" / "search.png").stat().st_size > 0
    best = tomllib.loads((recipe.parent / "search" / "best.toml").read_text())
    assert best["train"]["learning_rate"] == outcome.json["best"]["train.learning_rate"]
    assert run("train", "--recipe", "search/best.toml", "--epochs", 1, "--out", "run").code == 0


def test_a_search_goes_on_where_it_was_and_several_share_a_storage(run: Callable[..., Any], recipe: Path) -> None:
    assert run("tune", recipe, "--trials", 2, "--storage", "shared.journal", "--out", "one").code == 0
    assert run("tune", recipe, "--trials", 3, "--storage", "shared.journal", "--out", "other").code == 0

    first, both = trials(recipe.parent / "one"), trials(recipe.parent / "other")
    assert both[:2] == first
    assert len(both) == 3
    assert run("tune", recipe, "--trials", 3, "--storage", "shared.journal", "--out", "other").code == 0
    assert trials(recipe.parent / "other") == both


def test_a_recipe_that_says_nothing_of_the_search_is_told_what_is_searched(
    run: Callable[..., Any], recipe: Path
) -> None:
    recipe.write_text(recipe.read_text().split("[tune]", 1)[0])

    outcome = run("tune", recipe, "--trials", 1, "--out", "search")

    first = outcome.out.splitlines()[0]
    assert first == f"{recipe}: no [tune]: 13 settings (rates, loss weights, augmentation) are searched in 1 trials"


@pytest.mark.parametrize(
    ("line", "instead", "message"),
    [
        ("trials = 3", "trails = 3", r"\[tune\] trails is not a key of a recipe; did you mean trials"),
        ("trials = 3", 'metric = "ap50"', "metric: expected one of map50, map, precision, recall, f1, found 'ap50'"),
        ("trials = 3", "trials = 0", "trials and startup: expected 1 or more"),
        ('"train.learning_rate"', '"train.learning_rates"', "did you mean learning_rate"),
        ("low = 0.001, high = 0.1", "low = 0.1, high = 0.01", "a range needs low < high"),
        ("low = 2, high = 4", "low = 0, high = 4", "batch: expected 1 to 65536, found 0"),
        ("{choices = [0.0, 0.5]}", "{low = 0.5}", "a range needs low and high, or choices"),
        ("{choices = [0.0, 0.5]}", "{choices = [0.0, 1.5]}", "flip: expected 0 to 1, found 1.5"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused_before_anything_runs(
    refused: Callable[..., str], recipe: Path, line: str, instead: str, message: str
) -> None:
    text = recipe.read_text()
    assert line in text
    recipe.write_text(text.replace(line, instead))

    with pytest.raises(AssertionError, match=message):
        raise AssertionError(refused("tune", recipe, "--out", "search"))
    assert not (recipe.parent / "search").exists()
