"""How a network is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from yoloslim.errors import RecipeError

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]

NOMINAL_BATCH = 64
"""Batch that ``learning_rate`` is meant for; others scale it in proportion (Goyal et al., 2017)."""


_RANGES: Mapping[str, tuple[float, float]] = {
    "epochs": (0, 1_000_000),
    "batch": (1, 65536),
    "learning_rate": (0, 1e12),
    "final_rate": (0, 1),
    "warmup": (0, 1),
    "momentum": (0, 0.9999),
    "weight_decay": (0, 1),
    "ema": (0, 0.99999),
    "gradient_clip": (0, 1e12),
    "workers": (0, 256),
    "eval_every": (1, 1_000_000),
    "seed": (0, 2**32 - 1),
}


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """What the training loop is told.

    Attributes:
        epochs: passes over the training pictures.
        batch: pictures in a step.
        learning_rate: highest rate for a batch of ``NOMINAL_BATCH``.
        final_rate: share of the highest rate that the cosine ends at.
        warmup: share of all steps over which the rate rises from 0.
        momentum: of SGD with Nesterov's correction.
        weight_decay: of convolution weights; batch-norms and biases have none.
        ema: decay of the weights' moving average, reached after a while; 0 switches it off.
        gradient_clip: largest norm of the gradient; 0 switches it off.
        precision: as Lightning Fabric names it.
        workers: processes that load pictures.
        eval_every: epochs between evaluations; the last epoch is always evaluated.
        seed: of the order of pictures, augmentation and fresh weights.

    Raises:
        RecipeError: a value is out of its range.
    """

    epochs: int
    batch: int = 16
    learning_rate: float = 0.01
    final_rate: float = 0.05
    warmup: float = 0.05
    momentum: float = 0.937
    weight_decay: float = 5e-4
    ema: float = 0.998
    gradient_clip: float = 10.0
    precision: Precision = "32-true"
    workers: int = 2
    eval_every: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            found = getattr(self, name)
            if not low <= found <= high:
                raise RecipeError(f"{name}: expected {low:g} to {high:g}, found {found:g}")
