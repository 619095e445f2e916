"""TOML text -> recipe, with every mistake told before anything runs."""

from __future__ import annotations

import copy
import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, cast, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from yoloslim.boxes.placement import ResizeMode
from yoloslim.compress.distillation.methods import weighted_terms
from yoloslim.engine.settings import TrainSettings
from yoloslim.errors import PlanError, RecipeError
from yoloslim.losses.settings import LossSettings
from yoloslim.recipes.faults import first_fault
from yoloslim.recipes.loss import loss_settings
from yoloslim.recipes.prune import check_table, needs_pictures
from yoloslim.recipes.quantize import check_measured
from yoloslim.recipes.quantized_training import check_trained, following
from yoloslim.recipes.schema import (
    DistillTable,
    LossTable,
    PruneTable,
    Recipe,
    SparsityTable,
    TrainRecipe,
    TuneTable,
    texts,
)
from yoloslim.recipes.sparsity import check_sparsity
from yoloslim.weights.checkpoint import load_checkpoint

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_RECIPE, _TRAIN_RECIPE = TypeAdapter(Recipe), TypeAdapter(TrainRecipe)

Checked = TypeVar("Checked")
AnyRecipe = TypeVar("AnyRecipe", Recipe, TrainRecipe)


def read_recipe(path: Path, changes: Sequence[str] = ()) -> Recipe:
    """Gives the recipe of a TOML file, with ``section.key=value`` changes made.

    ``${VAR}`` is expanded in every text; files are looked for beside the recipe first. ``[finetune]`` takes from
    ``[train]`` what it leaves out, and the seed of the recipe is everybody's. Pictures are fitted as a checkpoint that
    it starts from has them, where ``[data]`` does not say.

    Raises:
        RecipeError: the file is missing or no TOML, a key is unknown (the nearest known one is named), or a value is
            wrong.
        WeightsError: the checkpoint cannot be read.
    """
    tables = changed(read_tables(path), changes)
    return _fitted_as_before(_located(parse_recipe(tables, str(path), name=path.stem), path.parent), tables)


def read_tables(path: Path) -> dict[str, Any]:
    """Gives the tables of a TOML file.

    Raises:
        RecipeError: the file is missing or no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"{path}: cannot read this recipe: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: expected TOML: {error}") from error


def changed(tables: Mapping[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """Gives the tables with every ``section.key=value`` made; a value that is no TOML is taken as text.

    Raises:
        RecipeError: a change has another form.
    """
    made = copy.deepcopy(dict(tables))
    for change in changes:
        _apply(made, change)
    return made


def merged(tables: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Gives the tables with those of ``over`` laid over them, key by key."""
    both = {key: merged(tables[key], value) for key, value in over.items() if _is_section(tables.get(key), value)}
    return {**tables, **over, **both}


def _is_section(first: object, second: object) -> bool:
    return isinstance(first, Mapping) and isinstance(second, Mapping)


def _located(recipe: Recipe, folder: Path) -> Recipe:
    """Gives the recipe with its files found beside it, where they are; other paths are those of the working folder."""

    def found(name: str) -> str:
        return str(folder / name) if name and (folder / name).is_file() else name

    model = replace(recipe.model, cfg=found(recipe.model.cfg), weights=found(recipe.model.weights))
    data = recipe.data.data
    data = found(data) if isinstance(data, str) else tuple(map(found, data))
    distill = recipe.distill
    if distill is not None:
        pairs = [(found(weights), found(cfg)) for weights, cfg in distill.teachers]
        weights, cfgs = (tuple(side) for side in zip(*pairs, strict=True)) if pairs else ((), ())
        distill = replace(distill, teacher_weights=weights, teacher_cfg=cfgs if any(cfgs) else "")
    return replace(recipe, model=model, data=replace(recipe.data, data=data), distill=distill)


def _fitted_as_before(recipe: AnyRecipe, tables: Mapping[str, Any]) -> AnyRecipe:
    """Gives the recipe with pictures fitted as for the checkpoint that it starts from, if its tables do not say how."""
    path = Path(recipe.model.weights)
    if "resize" in tables["data"] or path.suffix != ".safetensors" or not path.is_file():
        return recipe
    resize = cast(ResizeMode, load_checkpoint(path).resize or recipe.data.resize)
    return replace(recipe, data=replace(recipe.data, resize=resize))


def parse_recipe(tables: Mapping[str, Any], where: str, name: str = "") -> Recipe:
    """Gives the recipe of parsed tables; ``where`` is for messages, ``name`` the recipe's where it has none."""
    tables = _with_target(_expanded({"name": name, **tables}, where))
    _check_keys(tables, Recipe, where, "")
    merged = {**tables, "finetune": {**tables.get("train", {}), **tables.get("finetune", {})}}
    recipe = _validated(_RECIPE, merged, where)
    with _at(where):
        recipe = replace(recipe, finetune=replace(recipe.finetune, seed=recipe.seed))
        check_table(recipe.prune)
        _check_rounds(recipe)
        is_trained_on = recipe.finetune.epochs or (recipe.quantize is not None and recipe.quantize.mode == "qat")
        if recipe.distill is not None and not is_trained_on:
            raise RecipeError("[distill] teaches the fine-tuning, of which there is none; set [finetune] epochs")
        if recipe.quantize is not None and recipe.quantize.mode == "qat":
            check_trained(recipe.quantize, following(recipe.train, recipe.quantize))
        elif recipe.quantize is not None:
            check_measured(recipe.quantize)
        if "fpga" in recipe.export.formats and (recipe.quantize is None or recipe.quantize.target != "fpga"):
            raise RecipeError('[export] formats: fpga needs integers made for it: set [quantize] for = "fpga"')
        replace(recipe.train, epochs=recipe.sparsity.epochs)
    return recipe


def parse_train_recipe(tables: Mapping[str, Any], where: str) -> TrainRecipe:
    """Gives the recipe of one training from its tables; ``where`` is for messages.

    Pictures are fitted as a checkpoint that it starts from has them, where ``[data]`` does not say.

    Raises:
        RecipeError: a key is unknown (the nearest known one is named), or a value is wrong.
        WeightsError: the checkpoint cannot be read.
    """
    expanded = _with_target(_expanded(dict(tables), where))
    _check_keys(expanded, TrainRecipe, where, "")
    recipe = _validated(_TRAIN_RECIPE, _with_method(expanded), where)
    with _at(where):
        if recipe.sparsity is not None:
            _check_sparse_training(recipe.sparsity, recipe.prune)
        if recipe.distill is not None and not recipe.distill.teachers:
            raise RecipeError("[distill] teacher_weights is missing: expected a checkpoint, weights or an ONNX file")
        if recipe.quantize is not None:
            check_trained(recipe.quantize, recipe.train)
    return _fitted_as_before(recipe, expanded)


def _with_method(tables: dict[str, Any]) -> dict[str, Any]:
    """The tables of a training whose ``[prune]``, where it names no method, takes that of the penalty."""
    penalty = tables.get("sparsity", {}).get("penalty")
    if penalty is None:
        return tables
    return {**tables, "prune": {"method": penalty, **tables.get("prune", {})}}


def parse_tune_table(tables: Mapping[str, Any], where: str) -> TuneTable:
    """Gives ``[tune]`` of a recipe's tables; its defaults where there is none.

    Raises:
        RecipeError: a key is unknown, or a value is wrong.
    """
    table = _expanded(tables.get("tune", {}), where)
    if not isinstance(table, dict):
        raise RecipeError(f"{where}: tune: expected a section, found {table!r}")
    _check_keys(table, TuneTable, where, "tune")
    with _at(where):
        found = _checked(TypeAdapter(TuneTable), table)
        if found.trials < 1 or found.startup < 0:
            raise RecipeError("[tune] trials and startup: expected 1 or more, and 0 or more")
    return found


@contextmanager
def _at(where: str) -> Iterator[None]:
    """Puts the file before what is wrong with it."""
    try:
        yield
    except (PlanError, RecipeError) as error:
        raise RecipeError(f"{where}: {error}") from error


def _checked(kind: TypeAdapter[Checked], tables: Mapping[str, Any]) -> Checked:
    try:
        return kind.validate_python(tables)
    except ValidationError as error:
        raise RecipeError(first_fault(error)) from error


def _validated(kind: TypeAdapter[AnyRecipe], tables: Mapping[str, Any], where: str) -> AnyRecipe:
    with _at(where):
        recipe = _checked(kind, tables)
        recipe = replace(recipe, train=replace(recipe.train, seed=recipe.seed))  # the recipe's seed is everybody's
        _check_start(recipe)
        loss_settings(recipe.loss)
        if recipe.distill is not None:
            _check_distill(recipe.distill)
    return recipe


def _check_distill(table: DistillTable) -> None:
    weights, cfgs = texts(table.teacher_weights), texts(table.teacher_cfg)
    if cfgs and len(cfgs) != len(weights):
        raise RecipeError(f"[distill] teacher_cfg: expected one for each of {len(weights)} weights, found {len(cfgs)}")
    if not all(weights):
        raise RecipeError("[distill] teacher_weights: expected files or names, found an empty one")
    weighted_terms(table.method, table.scale, table.weights, table.temperature)


def _check_start(recipe: Recipe | TrainRecipe) -> None:
    """What every recipe has: a name, a network, data at a size."""
    if not recipe.model.cfg and Path(recipe.model.weights).suffix != ".safetensors":
        raise RecipeError("[model] cfg is missing; only a .safetensors brings its own network")
    if not re.fullmatch(r"[\w.+-]*\w[\w.+-]*", recipe.name):
        raise RecipeError(f"name: expected a plain file name, found '{recipe.name}'")
    if not recipe.data.files or not all(recipe.data.files):
        raise RecipeError(f"[data] data: expected one or more data files, found {recipe.data.data!r}")
    sides = recipe.data.size if isinstance(recipe.data.size, tuple) else (recipe.data.size,)
    if min(sides) < 0 or (len(sides) == 2 and 0 in sides):
        raise RecipeError(f"[data] size: expected pixels above 0, found {recipe.data.size}")
    if recipe.sparsity is not None:
        check_sparsity(recipe.sparsity)


def _check_sparse_training(sparsity: SparsityTable, prune: PruneTable) -> None:
    for key in ("epochs", "learning_rate"):
        if getattr(sparsity, key):
            raise RecipeError(f"[sparsity] {key} is for a compression; a training has that of [train]: leave it out")
    if sparsity.schedule == "fade":
        check_table(prune)
        _check_faded(prune)


def _check_faded(prune: PruneTable) -> None:
    if reason := needs_pictures(prune):
        raise RecipeError(f"[sparsity] schedule: fade chooses what goes before training, [prune] {reason} after it")


def _check_rounds(recipe: Recipe) -> None:
    prune, fades = recipe.prune, recipe.sparsity.epochs and recipe.sparsity.schedule == "fade"
    if fades:
        _check_faded(prune)
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


def _with_target(tables: dict[str, Any]) -> dict[str, Any]:
    """The tables with ``[quantize] for`` under the name that Python can have for it."""
    quantize = tables.get("quantize")
    if not isinstance(quantize, dict) or "for" not in quantize:
        return tables
    return {**tables, "quantize": {"target" if key == "for" else key: value for key, value in quantize.items()}}


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
    """The dataclass in ``X | None``, or of a table that is kept as it is said; else the hint itself."""
    if hint == LossTable:
        return LossSettings
    inner = [part for part in get_args(hint) if is_dataclass(part)] if isinstance(hint, UnionType) else []
    return inner[0] if inner else hint
