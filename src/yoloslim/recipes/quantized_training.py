"""Training with rounding: how a float network becomes one that is trained on integers, and what is frozen when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from yoloslim.compress.quantization.calibrate import calibrated
from yoloslim.compress.quantization.fold_norms import with_folded_norms
from yoloslim.compress.quantization.learned_step import SteadySteps
from yoloslim.compress.quantization.network import QuantizedNetwork
from yoloslim.compress.quantization.place import place
from yoloslim.compress.quantization.spec import MAX_BITS
from yoloslim.engine.settings import TrainSettings
from yoloslim.engine.task import Hooks
from yoloslim.errors import RecipeError
from yoloslim.nn.network import Network
from yoloslim.recipes.quantize import placement_of
from yoloslim.recipes.schema import QuantizeTable

RANGES_UNTIL = 0.6
"""Share of the steps in which the ranges of maps follow what they see."""

STATISTICS_UNTIL = 0.8
"""Share of the steps in which batch-norm folds the statistics of each batch (Krishnamoorthi, 2018)."""

_PICTURES = 64
"""Most pictures that the first ranges are measured on; training goes on from there."""


def trainable(network: Network, table: QuantizeTable, batches: Sequence[Tensor]) -> QuantizedNetwork:
    """Gives a network that is trained with rounding, its first ranges measured on pictures; a quantized one as it is.

    Raises:
        RecipeError: the table asks for what cannot be.
        TargetError: the target cannot run the network.
    """
    if isinstance(network, QuantizedNetwork):
        return network
    network = network if table.fold_bn else with_folded_norms(network)
    plan = place(network.graph, placement_of(table, network.graph))
    return calibrated(network, plan, batches, table.observer)


def first_pictures(table: QuantizeTable) -> int:
    """Gives how many pictures the first ranges are measured on."""
    return min(table.pictures, _PICTURES)


def check_start(network: Network, table: QuantizeTable) -> None:
    """Makes sure that training can begin with a network.

    Raises:
        RecipeError: it is quantized by another scheme already.
    """
    if isinstance(network, QuantizedNetwork) and network.plan.scheme != table.scheme:
        found = network.plan.scheme
        text = f"the weights are quantized by {found} already, asked for {table.scheme}"
        raise RecipeError(f"[quantize] scheme: {text}: give the float weights, or go on with {found}")


def check_trained(table: QuantizeTable, settings: TrainSettings) -> None:
    """Makes sure that a table can be trained with.

    Raises:
        RecipeError: it asks for what only quantization without training does, or settings do not go with it.
    """
    if table.keep_float == "auto":
        raise RecipeError("[quantize] keep_float: auto is for mode = ptq; name the convolutions, or leave it out")
    if settings.sync_batch_norm:
        raise RecipeError("[train] sync_batch_norm: batch-norm is folded where training rounds: leave one of them out")
    if settings.precision != "32-true":
        text = "16 bits have no room for the codes that training rounds to: leave it out"
        raise RecipeError(f"[train] precision: {settings.precision}: {text}")


def following(settings: TrainSettings, table: QuantizeTable) -> TrainSettings:
    """Gives the settings of the training with rounding that follows one in float: in 32 bits, batch by batch."""
    exact = replace(settings, precision="32-true", sync_batch_norm=False)
    return replace(exact, epochs=table.epochs, learning_rate=table.learning_rate)


def quantization_hooks(network: QuantizedNetwork, steps: int, watch: Hooks) -> Hooks:
    """Gives ``watch`` with ranges and statistics frozen when their share of the steps is over, and scales held steady.

    Args:
        steps: of the whole training.
    """
    scales = SteadySteps(network)
    followed = 0 if _has_narrow_ranges(network) else RANGES_UNTIL * steps

    def freeze(done: int) -> None:
        network.freeze_ranges(done >= followed)
        for conv in network.folded_convs().values():
            conv.has_frozen_statistics = done >= STATISTICS_UNTIL * steps

    def on_start(done: int) -> None:
        freeze(done)
        scales.remember()
        watch.on_start(done)

    def after_step(done: int, rate: float) -> None:
        freeze(done)
        scales.limit()
        watch.after_step(done, rate)

    return replace(watch, on_start=on_start, after_step=after_step)


def _has_narrow_ranges(network: QuantizedNetwork) -> bool:
    """Whether ranges were chosen narrower than what is seen, as few codes ask for: to follow it would undo that."""
    few = any(spec.bits < MAX_BITS for spec in network.plan.scales.values())
    return few and network.plan.scheme == "google"
