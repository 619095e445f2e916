"""Every setting of a training is documented with its default; the benchmark's settings are settings."""

from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest

from yoloslim.data.augment import AugmentSettings
from yoloslim.engine.settings import RATES, TrainSettings
from yoloslim.losses.settings import LossSettings
from yoloslim.recipes.read import parse_train_recipe, read_tables
from yoloslim.recipes.schema import SparsityTable

ROOT = Path(__file__).parents[2]
TABLES = {"train": TrainSettings, "loss": LossSettings, "augment": AugmentSettings, "sparsity": SparsityTable}
OF_THE_RECIPE = {"seed"}


def documented(table: str) -> dict[str, str]:
    """The keys of a table of the page with their defaults."""
    page = (ROOT / "docs" / "training.md").read_text("utf-8")
    rows = page.split(f"`[{table}]`", 1)[1].split("\n\n", 2)[1].splitlines()[2:]
    return {cells[1].strip(" `"): cells[2].strip() for cells in (row.split("|") for row in rows)}


def shown(default: Any) -> str:
    match default:
        case bool():
            return str(default).lower()
        case str():
            return f"`{default}`"
        case ():
            return "none"
        case None:  # the learning rate alone
            return f"{RATES['sgd']:g}, Adam {RATES['adam']:g}"
        case tuple():
            return ", ".join(map(shown, default))
    return f"{default:g}"


@pytest.mark.parametrize("table", TABLES)
def test_the_documented_keys_and_defaults_are_those_of_the_settings(table: str) -> None:
    expected = {field.name: field.default for field in fields(TABLES[table]) if field.name not in OF_THE_RECIPE}

    found = documented(table)

    assert found.keys() == expected.keys()
    differing = {k: v for k, v in found.items() if expected[k] is not MISSING and v != shown(expected[k])}
    assert differing == {}


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks" / "settings").glob("*.toml")), ids=lambda path: path.stem)
def test_the_settings_of_the_benchmark_are_tables_of_a_training(path: Path) -> None:
    tables = read_tables(path)
    named = {"name": "a", "model": {"cfg": "yolov3-tiny"}}
    completed = {"data": {"data": "a.yaml", **tables.get("data", {})}, "train": {"epochs": 1, **tables["train"]}}

    recipe = parse_train_recipe({**named, **tables, **completed}, str(path))

    assert recipe.loss == tables["loss"]
    assert all(getattr(recipe.augment, key) == value for key, value in tables["augment"].items())
