"""TOML text -> recipe, with every mistake told before anything runs."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from yoloslim.engine.settings import TrainSettings
from yoloslim.errors import PlanError, RecipeError
from yoloslim.recipes.prune import check_table, needs_pictures
from yoloslim.recipes.schema import Recipe

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_ADAPTER = TypeAdapter(Recipe)


def read_recipe(path: Path, changes: Sequence[str] = ()) -> Recipe:
    """Gives the recipe of a TOML file, with ``section.key=value`` changes made.

    ``${VAR}`` is expanded in every text; files are looked for beside the recipe first. ``[finetune]`` takes from
    ``[train]`` what it leaves out, and the seed of the recipe is everybody's.

    Raises:
        RecipeError: the file is missing or no TOML, a key is unknown (the nearest known one is named), or a value is
            wrong.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"{path}: cannot read this recipe: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: expected TOML: {error}") from error
    for change in changes:
        _apply(tables, change)
    return _located(parse_recipe(tables, str(path), name=path.stem), path.parent)


def _located(recipe: Recipe, folder: Path) -> Recipe:
    """Gives the recipe with its files found beside it, where they are; other paths are those of the working folder."""

    def found(name: str) -> str:
        return str(folder / name) if name and (folder / name).is_file() else name

    model = replace(recipe.model, cfg=found(recipe.model.cfg), weights=found(recipe.model.weights))
    return replace(recipe, model=model, data=replace(recipe.data, data=found(recipe.data.data)))


def parse_recipe(tables: Mapping[str, Any], where: str, name: str = "") -> Recipe:
    """Gives the recipe of parsed tables; ``where`` is for messages, ``name`` the recipe's where it has none."""
    tables = _expanded({"name": name, **tables}, where)
    _check_keys(tables, Recipe, where, "")
    merged = {**tables, "finetune": {**tables.get("train", {}), **tables.get("finetune", {})}}
    try:
        recipe = _ADAPTER.validate_python(merged)
    except RecipeError as error:
        raise RecipeError(f"{where}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "missing":
            table, *keys = [str(part) for part in first["loc"]]
            missing = f"[{table}] {keys[0]}" if keys else f"[{table}]"
            raise RecipeError(f"{where}: {missing} is missing") from error
        place = ".".join(str(part) for part in first["loc"])
        raise RecipeError(
            f"{where}: {place}: {first['msg'][0].lower()}{first['msg'][1:]}, found {first['input']!r}"
        ) from error
    seed = recipe.seed
    try:
        recipe = replace(recipe, train=replace(recipe.train, seed=seed), finetune=replace(recipe.finetune, seed=seed))
    except RecipeError as error:
        raise RecipeError(f"{where}: {error}") from error
    _check(recipe, where)
    return recipe


def _check(recipe: Recipe, where: str) -> None:
    prune = recipe.prune
    if not re.fullmatch(r"[\w.+-]*\w[\w.+-]*", recipe.name):
        raise RecipeError(f"{where}: name: expected a plain file name, found '{recipe.name}'")
    sides = recipe.data.size if isinstance(recipe.data.size, tuple) else (recipe.data.size,)
    if min(sides) < 0 or (len(sides) == 2 and 0 in sides):
        raise RecipeError(f"{where}: [data] size: expected pixels above 0, found {recipe.data.size}")
    try:
        check_table(prune)
        _check_rounds(recipe)
        replace(recipe.train, epochs=recipe.sparsity.epochs)
    except (PlanError, RecipeError) as error:
        raise RecipeError(f"{where}: {error}") from error
    if isinstance(recipe.sparsity.strength, float) and recipe.sparsity.strength < 0:
        raise RecipeError(f"{where}: [sparsity] strength: expected 0 or more")


def _check_rounds(recipe: Recipe) -> None:
    prune, fades = recipe.prune, recipe.sparsity.epochs and recipe.sparsity.schedule == "fade"
    if fades and (reason := needs_pictures(prune)):
        raise RecipeError(f"[sparsity] schedule: fade chooses what goes before training, [prune] {reason} after it")
    if prune.rounds > 1 and fades:
        raise RecipeError("[prune] rounds: fade brings all that goes to zero at once; leave one of them out")
    if prune.rounds > 1 and not recipe.finetune.epochs:
        raise RecipeError("[prune] rounds: a network is fine-tuned between them; set [finetune] epochs")


def _apply(tables: dict[str, Any], change: str) -> None:
    """Sets ``section.key=value`` in place; a value that is no TOML is taken as text."""
    key, equals, text = change.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"--set {change}: expected section.key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *sections, last = key.strip().split(".")
    for section in sections:
        tables = tables.setdefault(section, {})
        if not isinstance(tables, dict):
            raise RecipeError(f"--set {change}: {section} is no section")
    tables[last] = value


def _expanded(value: Any, where: str) -> Any:
    if isinstance(value, dict):
        return {key: _expanded(item, where) for key, item in value.items()}
    if isinstance(value, list):
        return [_expanded(item, where) for item in value]
    return _VARIABLE.sub(lambda match: _variable(match[1], where), value) if isinstance(value, str) else value


def _variable(name: str, where: str) -> str:
    if not os.environ.get(name):
        raise RecipeError(f"{where}: ${{{name}}} is not set in the environment: export {name}=... first")
    return os.environ[name]


def _check_keys(tables: Mapping[str, Any], kind: type, where: str, section: str) -> None:
    known = {field.name: hint for field, hint in zip(fields(kind), _hints(kind), strict=True)}
    if kind is TrainSettings:
        known.pop("seed")  # the recipe's seed is everybody's
    for key, value in tables.items():
        place = f"[{section}] {key}" if section else key
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(known)}"
            raise RecipeError(f"{where}: {place} is not a key of a recipe{hint}")
        if is_dataclass(known[key]):
            if not isinstance(value, dict):
                raise RecipeError(f"{where}: {place}: expected a section, found {value!r}")
            _check_keys(value, known[key], where, f"{section}.{key}" if section else key)


def _hints(kind: type) -> list[Any]:
    hints = get_type_hints(kind)
    return [_plain(hints[field.name]) for field in fields(kind)]


def _plain(hint: Any) -> Any:
    """The dataclass in ``X | None``, else the hint itself."""
    inner = [part for part in get_args(hint) if is_dataclass(part)] if isinstance(hint, UnionType) else []
    return inner[0] if inner else hint
