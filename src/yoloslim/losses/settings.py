"""How a detector's loss is made up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from yoloslim.errors import RecipeError
from yoloslim.losses.iou import IouKind

Assignment = Literal["threshold", "best", "dynamic"]

BALANCED: Literal["balanced"] = "balanced"

_RANGES: Mapping[str, tuple[float, float]] = {
    "box": (0, 1e6),
    "objectness": (0, 1e6),
    "classes": (0, 1e6),
    "anchor_threshold": (0, 1),
    "ignore_threshold": (0.01, 1),
    "truth_threshold": (0.01, 1),
    "objectness_ratio": (0, 1),
    "ratio_ramp": (0, 1),
    "objectness_gamma": (0, 10),
    "class_gamma": (0, 10),
    "focal_alpha": (0, 1),
    "label_smoothing": (0, 1),
    "unjudged": (0, 1),
}


@dataclass(frozen=True, slots=True)
class LossSettings:
    """Weights and choices of the detection loss.

    Attributes:
        box: weight of the box term, a mean over matches.
        objectness: weight of the objectness term, a sum over the cells of one picture.
        classes: weight of the class term, a sum over classes, mean over matches.
        iou: box loss.
        assignment: who answers for an object. ``threshold``: of the cells with its centre, every anchor of a similar
            shape; ``best``: the most similar anchor of all heads alone; ``dynamic``: those near its centre that
            already find it best, as many as find it well.
        anchor_threshold: of ``threshold``: shapes are similar that overlap by more; the best one always is.
        ignore_threshold: background whose box overlaps an object by more is not told that nothing is there; 1: all is.
        truth_threshold: background whose box overlaps an object by more answers for it too; 1: none does.
        objectness_ratio: objectness is trained towards ``1 - r + r * overlap`` of the predicted box and its object.
        ratio_ramp: share of the training over which this ratio rises from 0.
        objectness_gamma: focal loss of the objectness; 0 is plain cross-entropy.
        class_gamma: likewise, of the classes.
        focal_alpha: weight of what is there in a focal loss; what is not has the rest to 1.
        label_smoothing: class targets are ``1 - s / 2`` and ``s / 2``.
        class_weights: of the objects of each class in the class term; ``balanced``: the rarer, the heavier, 1 in the
            mean over all objects. Empty for equal ones.
        unjudged: where a picture's labels leave a class out, a cell that sees an object of it with a higher score is
            not told that it is wrong, 0..1.

    Raises:
        RecipeError: a value is out of its range.
    """

    box: float = 3.5
    objectness: float = 0.05
    classes: float = 2.0
    iou: IouKind = "ciou"
    assignment: Assignment = "dynamic"
    anchor_threshold: float = 0.213
    ignore_threshold: float = 1.0
    truth_threshold: float = 1.0
    objectness_ratio: float = 1.0
    ratio_ramp: float = 0.0
    objectness_gamma: float = 0.0
    class_gamma: float = 0.0
    focal_alpha: float = 0.25
    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] | Literal["balanced"] = ()
    unjudged: float = 0.02

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            found = getattr(self, name)
            if not low <= found <= high:
                raise RecipeError(f"loss {name}: expected {low:g} to {high:g}, found {found:g}")
        weights = () if self.class_weights == BALANCED else self.class_weights
        if not all(0 <= weight < math.inf for weight in weights) or (weights and not any(weights)):
            raise RecipeError(f"loss class_weights: expected 0 or more, and one above 0, found {weights}")

    def ratio_at(self, progress: float) -> float:
        """Gives the objectness ratio after a share of the training, 0..1: it rises by half a cosine."""
        if progress >= self.ratio_ramp:
            return self.objectness_ratio
        return self.objectness_ratio * (1 - math.cos(math.pi * progress / self.ratio_ramp)) / 2
