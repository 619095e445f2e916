"""Quantization without training as one workflow: fold, equalise, place, calibrate, correct."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from yoloslim.compress.quantization.adaround import with_learned_rounding
from yoloslim.compress.quantization.balance import balanced
from yoloslim.compress.quantization.calibrate import calibrated
from yoloslim.compress.quantization.codes import span
from yoloslim.compress.quantization.correct_bias import with_corrected_biases
from yoloslim.compress.quantization.equalize import equalized
from yoloslim.compress.quantization.errors import layer_sqnr
from yoloslim.compress.quantization.fold_norms import with_folded_norms
from yoloslim.compress.quantization.folded_conv import FoldedConv
from yoloslim.compress.quantization.mixed import bits_within
from yoloslim.compress.quantization.network import QuantizedNetwork
from yoloslim.compress.quantization.place import Placement, convolutions, place
from yoloslim.compress.quantization.sensitivity import fewest_in_float
from yoloslim.compress.quantization.spec import MAX_BITS, MIN_BITS, QuantSpec, Scale
from yoloslim.compress.quantization.targets import Target, find_target
from yoloslim.errors import DataError, RecipeError
from yoloslim.graph.graph import Graph
from yoloslim.graph.ops import is_depthwise
from yoloslim.nn.network import Network
from yoloslim.recipes.schema import QuantizeTable
from yoloslim.report.quantization_plots import Histogram, LayerPlot, histogram

_MOST_AT_ONCE = 16  # pictures that means are taken of, all maps of a layer in memory
_MEASURED = 4  # pictures that the error of layers is measured on

Accuracy = Callable[[Network], float]


@dataclass(frozen=True, slots=True)
class Quantized:
    """What quantization gives.

    Attributes:
        network: on integers.
        exact: the float network that it rounds.
        layers: error, size and values of each convolution on integers, all layers rounded.
        kept: convolutions that stay in float.
        sensitivity: AP50 with that one convolution in float, by name, where it was asked for.
    """

    network: QuantizedNetwork
    exact: Network
    layers: tuple[LayerPlot, ...]
    kept: tuple[str, ...]
    sensitivity: Mapping[str, float]


def quantize(
    network: Network, table: QuantizeTable, batches: Sequence[Tensor], accuracy: Accuracy | None = None
) -> Quantized:
    """Gives a float network on integers, without training.

    Args:
        batches: training pictures, prepared as for evaluation, shape (B, C, H, W), RGB in 0..1.
        accuracy: gives the AP50 of a network, for ``keep_float = "auto"``.

    Raises:
        RecipeError: the table asks for what cannot be.
        TargetError: the target cannot run the network.
        DataError: there is no picture.
    """
    check_measured(table)
    placement_of(table, network.graph)
    if not batches:
        raise DataError("quantize measures ranges on training pictures, found none: give --data with a training split")
    exact = with_folded_norms(network)
    exact = _equalized(exact, table, batches) if table.equalize else exact
    kept, sensitivity = kept_in_float(table, exact.graph), {}
    made = _rounded(exact, table, kept, batches)
    if table.keep_float == "auto":
        if accuracy is None:
            raise RecipeError("keep_float = auto compares AP50, found no pictures to measure it on: add --data FILE")
        chosen = fewest_in_float(
            made, exact, accuracy, table.map_drop, lambda names: _rounded(exact, table, names, batches)
        )
        made, kept, sensitivity = chosen.network, chosen.kept, dict(chosen.sensitivity)
    layers = layer_plots(made, exact, torch.cat(list(batches)))
    return Quantized(made, exact, tuple(layers), tuple(kept), sensitivity)


def _equalized(exact: Network, table: QuantizeTable, batches: Sequence[Tensor]) -> Network:
    """The network with channels of like ranges, of weights, and where layers are depthwise of what they are fed."""
    made = equalized(exact)
    if not any(is_depthwise(node.op) for node in exact.graph):
        return made
    return balanced(made, place(exact.graph, placement_of(table, exact.graph)).before, _some(batches))


def check_measured(table: QuantizeTable) -> None:
    """Makes sure that a table can be followed without training.

    Raises:
        RecipeError: its scheme is learned.
    """
    if table.scheme != "google":
        text = f"{table.scheme} is learned: train --quantize {table.scheme}, mode = qat in a recipe"
        raise RecipeError(f"[quantize] scheme: {text}; without training it is google")


def layer_plots(network: QuantizedNetwork, exact: Network, images: Tensor) -> list[LayerPlot]:
    """Gives error, size and values of every convolution on integers.

    Args:
        exact: the float network.
        images: shape (B, C, H, W), RGB in 0..1; the first few are looked at.
    """
    some = images[:_MEASURED]
    errors = layer_sqnr(network, exact, [some])
    values = _codes_and_outputs(network, exact, some)
    return [
        LayerPlot(name, errors[name], conv.bytes, _weight_histogram(conv), values[name])
        for name, conv in network.folded_convs().items()
    ]


def _codes_and_outputs(network: QuantizedNetwork, exact: Network, images: Tensor) -> dict[str, Histogram | None]:
    found: dict[str, Histogram | None] = dict.fromkeys(network.plan.kernels)

    def see(name: str, x: Tensor) -> Tensor:
        if name in found and name in network.plan.edges:
            quantizer = network.scale(network.plan.edges[name])
            found[name] = histogram(x.numpy(), *span(quantizer.grid(), quantizer.spec))
        return x

    with torch.inference_mode():
        exact(images, see)
    return found


def _weight_histogram(conv: FoldedConv) -> Histogram:
    weight, _ = conv.folded()
    return histogram(weight.detach().numpy(), *span(conv.kernel().weight.grid, conv.rounded_weight.spec))


def placement_of(table: QuantizeTable, graph: Graph, kept: Collection[str] = ()) -> Placement:
    """Gives what a table asks of the plan, whose target can run it.

    Raises:
        RecipeError: no such target or bits, or nothing is left to quantize.
        TargetError: the target cannot run the network.
    """
    target = find_target(table.target)
    for name, bits in (("weight_bits", table.weight_bits), ("activation_bits", table.activation_bits)):
        if bits and not MIN_BITS <= bits <= MAX_BITS:
            raise RecipeError(f"{name}: expected {MIN_BITS} to {MAX_BITS}, found {bits}")
    asked = Placement(
        table.target,
        table.scheme,
        replace(_spec(target.weights, table.weight_bits, table), axis=0 if table.per_channel else None),
        _spec(_maps(target, table), table.activation_bits, table),
        tuple(kept) or kept_in_float(table, graph),
        ends_at_8=table.ends_at_8,
    )
    place(graph, asked)
    return asked


def kept_in_float(table: QuantizeTable, graph: Graph) -> tuple[str, ...]:
    """Gives the convolutions that the patterns of a table name.

    Raises:
        RecipeError: a pattern names none.
    """
    if table.keep_float == "auto":
        return ()
    names = list(convolutions(graph))
    for pattern in table.keep_float:
        if not fnmatch.filter(names, pattern):
            raise RecipeError(f"keep_float: no convolution matches '{pattern}'; they are {names[0]} to {names[-1]}")
    return tuple(name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in table.keep_float))


def _maps(target: Target, table: QuantizeTable) -> QuantSpec:
    """The codes of values between layers, before their bits and scales are set."""
    return replace(target.activations, signed=True, symmetric=True) if table.symmetric else target.activations


def _spec(spec: QuantSpec, bits: int, table: QuantizeTable) -> QuantSpec:
    scale: Scale = "power_of_two" if table.power_of_two else spec.scale
    return replace(spec, bits=bits or spec.bits, scale=scale, rounding=table.rounding or spec.rounding)


def _within_size(asked: Placement, table: QuantizeTable, exact: Network) -> Placement:
    """The placement with fewer bits for some layers, where the weights are to fit a size."""
    if not table.size_share or asked.weights is None:
        return asked
    names = place(exact.graph, asked).kernels
    weights = {name: exact.state_dict()[f"{name}.conv.weight"] for name in names}
    return replace(asked, weight_bits=bits_within(weights, asked.weights, table.size_share))


def _rounded(
    exact: Network, table: QuantizeTable, kept: Collection[str], batches: Sequence[Tensor]
) -> QuantizedNetwork:
    plan = place(exact.graph, _within_size(placement_of(table, exact.graph, kept), table, exact))
    made = calibrated(exact, plan, batches, table.observer)
    if table.adaround:
        made = with_learned_rounding(made, exact, _some(batches), table.adaround)
    return with_corrected_biases(made, exact, _some(batches)) if table.correct_bias else made


def _some(batches: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(batches))[:_MOST_AT_ONCE]
