"""Distillation methods by name: which terms they have, and how much each counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from yoloslim.compress.distillation.term import Reduction, Term
from yoloslim.compress.distillation.terms.binary import BinaryClasses, BinaryObjectness
from yoloslim.compress.distillation.terms.box import BoxHint, Localisation, TruthBoxes
from yoloslim.compress.distillation.terms.feature import Attention, ChannelWise, NearAttention, NearFeatures
from yoloslim.compress.distillation.terms.soft import SoftOutputs, SoftScores
from yoloslim.errors import RecipeError

Method = Literal["auto", "kd1", "kd2", "kd3", "kd4", "kd5", "binary", "localisation", "channels", "masked"]

TERMS: Mapping[str, Term] = {
    "outputs": SoftOutputs(),
    "scores": SoftScores(),
    "truth_boxes": TruthBoxes(),
    "boxes": BoxHint(),
    "attention": Attention(),
    "near_attention": NearAttention(),
    "objectness": BinaryObjectness(),
    "classes": BinaryClasses(),
    "localisation": Localisation(),
    "channels": ChannelWise(),
    "near_features": NearFeatures(),
}
"""Every term by name."""

_NAMED: Mapping[Method, Mapping[str, float]] = {
    "kd1": {"outputs": 4.0},
    "kd2": {"scores": 4.0, "truth_boxes": 4.0},
    "kd3": {"scores": 4.0, "boxes": 4.0},
    "kd4": {"scores": 4.0, "boxes": 4.0, "attention": 4.0},
    "kd5": {"scores": 4.0, "boxes": 4.0, "near_attention": 4.0},
    "binary": {"objectness": 3.0, "classes": 12.0},
    "localisation": {"localisation": 8.0},
    "channels": {"channels": 4.0},
    "masked": {"near_features": 4.0},
}

METHODS: Mapping[Method, Mapping[str, float]] = {**_NAMED, "auto": _NAMED["kd3"]}
"""Weights of each method's terms, for means; ``auto`` is the best by the table of docs/distillation.md."""

ORIGINALS: Mapping[str, Mapping[str, float]] = {
    "kd1": {"outputs": 0.001},
    "kd2": {"scores": 0.0001, "truth_boxes": 0.001},
    "kd3": {"scores": 0.0001, "boxes": 0.001},
    "kd4": {"scores": 0.001, "boxes": 0.001, "attention": 0.001},
    "kd5": {"scores": 0.001, "boxes": 0.001, "near_attention": 0.001},
}
"""The same for the sums of the PyTorch port of 2020."""


@dataclass(frozen=True, slots=True)
class Weighted:
    """A term and how much it counts."""

    term: Term
    weight: float


def weighted_terms(
    method: Method, scale: Reduction, weights: Mapping[str, float], temperature: float
) -> dict[str, Weighted]:
    """Gives the terms of a method by name.

    Args:
        weights: by name of a term, in place of the method's; a term that the method lacks is added, 0 leaves one out.
        temperature: of every softened term; 0 for that of each.

    Raises:
        RecipeError: a name is unknown, a value out of its range, or the method has no such scale.
    """
    known = METHODS if scale == "mean" else ORIGINALS
    if method not in known:
        raise RecipeError(f"distill scale {scale}: expected one of {', '.join(known)}, found method {method}")
    unknown = [name for name in weights if name not in TERMS]
    if unknown:
        raise RecipeError(f"distill weights: expected terms ({', '.join(TERMS)}), found {unknown[0]}")
    for name, weight in weights.items():
        if not 0 <= weight < float("inf"):
            raise RecipeError(f"distill weights: expected 0 or more for {name}, found {weight:g}")
    if not 0 <= temperature <= 1000:
        raise RecipeError(f"distill temperature: expected 0 to 1000, found {temperature:g}")
    chosen = {**known[method], **weights}
    if not any(chosen.values()):
        raise RecipeError("distill weights: expected one above 0, found none")
    return {
        name: Weighted(_set(TERMS[name], scale, temperature), weight) for name, weight in chosen.items() if weight > 0
    }


def _set(term: Term, scale: Reduction, temperature: float) -> Term:
    """Gives the term with the settings that it has."""
    values: dict[str, Any] = {"reduction": scale} | ({"temperature": temperature} if temperature else {})
    own = {field.name for field in fields(term)}  # type: ignore[arg-type]
    return replace(term, **{name: value for name, value in values.items() if name in own})  # type: ignore[type-var]
