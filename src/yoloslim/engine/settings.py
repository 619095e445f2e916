"""How a network is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]

NOMINAL_BATCH = 64
"""Batch that ``learning_rate`` is meant for; others scale it in proportion (Goyal et al., 2017)."""


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
