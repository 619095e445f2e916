"""Where a result comes from: the recipe that made it, versions, machine, and the state of the code around it."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import tomlkit

from yoloslim import __version__
from yoloslim.files import write_atomically
from yoloslim.recipes.schema import Recipe, TrainRecipe

_PACKAGES = ("torch", "numpy", "opencv-python-headless", "lightning-fabric")


def recipe_tables(recipe: Recipe | TrainRecipe) -> dict[str, Any]:
    """Gives a recipe as the tables of its TOML file, every default written out."""
    tables: dict[str, Any] = _plain(asdict(recipe))
    for table in {"train", "finetune"} & tables.keys():
        tables[table].setdefault("learning_rate", getattr(recipe, table).highest_rate)
        tables[table].pop("seed", None)  # the recipe's own
    if "quantize" in tables:
        tables["quantize"] = {"for" if key == "target" else key: value for key, value in tables["quantize"].items()}
    return tables


def write_recipe(recipe: Recipe | TrainRecipe, path: Path) -> None:
    """Writes a recipe as TOML that can be run again, below comments that say where it was run."""
    comments = "".join(f"# {key}: {value}\n" for key, value in surroundings().items())
    with write_atomically(path) as temporary:
        temporary.write_text(f"{comments}\n{tomlkit.dumps(recipe_tables(recipe))}", encoding="utf-8")


def surroundings() -> dict[str, str]:
    """Gives the versions of what decides the figures, the machine, and the commit of the folder that it runs in."""
    found = {"yoloslim": __version__, "python": platform.python_version(), "machine": platform.platform()}
    for package in _PACKAGES:
        found[package] = metadata.version(package)
    commit = _git("rev-parse", "--short=12", "HEAD")
    if commit:
        found["git"] = f"{commit}{' with changes' if _git('status', '--porcelain', '-uno') else ''}"
    return found


def _git(*arguments: str) -> str:
    """What git says of the working folder; nothing where there is no git, or no repository."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _plain(value: Any) -> Any:
    """TOML has no null: keys without a value are left out."""
    match value:
        case Mapping():
            return {key: _plain(item) for key, item in value.items() if item is not None}
        case list() | tuple():
            return [_plain(item) for item in value]
    return value
