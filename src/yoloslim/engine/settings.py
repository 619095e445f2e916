"""How a network is trained."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from yoloslim.errors import RecipeError

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]
Optimizer = Literal["sgd", "adam", "adamw"]
Schedule = Literal["cosine", "linear", "step"]

NOMINAL_BATCH = 64
"""Batch that ``learning_rate`` is meant for; others scale it in proportion (Goyal et al., 2017)."""

RATES: Mapping[Optimizer, float] = {"sgd": 0.08, "adam": 0.004, "adamw": 0.004}
"""Highest rate where none is asked for."""

_RANGES: Mapping[str, tuple[float, float]] = {
    "epochs": (0, 1_000_000),
    "batch": (1, 65536),
    "accumulate_to": (0, 1_000_000),
    "learning_rate": (0, 1e12),
    "final_rate": (0, 1),
    "warmup": (0, 1),
    "momentum": (0, 0.9999),
    "weight_decay": (0, 1),
    "ema": (0, 0.99999),
    "gradient_clip": (0, 1e12),
    "workers": (0, 256),
    "eval_every": (1, 1_000_000),
    "save_every": (0, 1_000_000_000),
    "patience": (0, 1_000_000),
    "seed": (0, 2**32 - 1),
}


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """What the training loop is told.

    Attributes:
        epochs: passes over the training pictures.
        batch: pictures that go through the network at once, in each process.
        accumulate_to: the optimiser moves when the gradients of about this many pictures are added up; 0: at each
            batch.
        optimizer: SGD with Nesterov's correction, Adam, or AdamW, whose weight decay is not scaled by the gradients.
        learning_rate: highest rate where the optimiser moves every ``NOMINAL_BATCH`` pictures; None: the optimiser's of
            ``RATES``.
        schedule: how the rate falls after the warm-up: half a cosine or a line to ``final_rate``, or to a tenth at
            each of ``milestones``.
        final_rate: share of the highest rate that cosine and line end at.
        milestones: of the step schedule, shares of all steps.
        warmup: share of all steps over which the rate rises from 0.
        momentum: of SGD; Adam's beta 1.
        weight_decay: of convolution weights; batch-norms and biases have none.
        ema: decay of the weights' moving average, reached after a while; 0 switches it off.
        gradient_clip: largest norm of the gradient; 0 switches it off.
        freeze: nodes that do not learn, by patterns of their names (``00?_*``); their batch-norm statistics stay too.
        precision: as Lightning Fabric names it.
        compile: let torch compile the network first; minutes at the start, faster steps on a GPU.
        sync_batch_norm: batch-norm statistics over all processes; on CUDA alone.
        workers: processes that load pictures.
        eval_every: epochs between evaluations; the last epoch is always evaluated.
        save_every: steps between two saves of the training's state inside an epoch; 0 saves after each epoch alone.
        patience: stop after this many epochs without a better AP50; 0 never does.
        seed: of the order of pictures, augmentation and fresh weights.

    Raises:
        RecipeError: a value is out of its range.
    """

    epochs: int
    batch: int = 16
    accumulate_to: int = 0
    optimizer: Optimizer = "sgd"
    learning_rate: float | None = None
    schedule: Schedule = "cosine"
    final_rate: float = 0.05
    milestones: tuple[float, ...] = (0.8, 0.9)
    warmup: float = 0.05
    momentum: float = 0.937
    weight_decay: float = 5e-4
    ema: float = 0.998
    gradient_clip: float = 10.0
    freeze: tuple[str, ...] = ()
    precision: Precision = "32-true"
    compile: bool = False
    sync_batch_norm: bool = False
    workers: int = 2
    eval_every: int = 1
    save_every: int = 0
    patience: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            found = getattr(self, name)
            if found is not None and not low <= found <= high:
                raise RecipeError(f"{name}: expected {low:g} to {high:g}, found {found:g}")
        if not all(0 < share < 1 for share in self.milestones):
            raise RecipeError(f"milestones: expected shares of the training between 0 and 1, found {self.milestones}")

    @property
    def highest_rate(self) -> float:
        """The highest rate, where the optimiser moves every ``NOMINAL_BATCH`` pictures."""
        return RATES[self.optimizer] if self.learning_rate is None else self.learning_rate

    @property
    def batches_per_step(self) -> int:
        """How many batches of one process the optimiser moves once for."""
        return max(1, round(self.accumulate_to / self.batch))

    @property
    def step_size(self) -> float:
        """How far a gradient that stays the same moves a weight in the long run, for each unit of the rate."""
        return 1 / (1 - self.momentum) if self.optimizer == "sgd" else 1.0

    def steps_per_epoch(self, batches: int) -> int:
        """Gives how often the optimiser moves in an epoch of so many batches."""
        return math.ceil(batches / self.batches_per_step)
