"""Which tensors of a network are rounded for a target: a pass over its graph.

Every map that a convolution on integers reads becomes codes, and so does, towards the image, what the layers between
read: an op that only passes values on (pooling, concatenation, enlargement) runs on codes where all it reads and gives
has one scale. Maps that only heads read stay in float: the sums of their convolution are given as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import singledispatch

from yoloslim.compress.quantization.dorefa import dorefa_maps, dorefa_weights
from yoloslim.compress.quantization.legality import refusals
from yoloslim.compress.quantization.plan import QuantPlan
from yoloslim.compress.quantization.spec import MAX_BITS, MIN_BITS, QuantSpec
from yoloslim.compress.quantization.targets import TARGETS, Target, find_target
from yoloslim.errors import RecipeError, TargetError
from yoloslim.graph.graph import IMAGE, Graph, Node
from yoloslim.graph.ops import (
    AvgPool,
    Contrastive,
    Convolution,
    Crop,
    Depthwise,
    Dropout,
    Empty,
    LocalAvgPool,
    MaxPool,
    MaxPoolDepth,
    Op,
    Reorg,
    Reorg3d,
    Route,
    Sam,
    ScaleChannels,
    Shortcut,
    SqueezeExcite,
    Upsample,
    Yolo,
)


@dataclass(frozen=True, slots=True)
class Placement:
    """What is asked of a plan.

    Attributes:
        target: its name.
        scheme: what rounds weights and maps.
        weights: codes of weights; the target's where None.
        activations: codes of feature maps; the target's where None.
        keep_float: convolutions that are not rounded.
        weight_bits: bits of the weights of single convolutions.
        ends_at_8: whether the first layer, and the last before each head, have the bits of the target, for weights and
            for what they read.
    """

    target: str = "onnxruntime"
    scheme: str = "google"
    weights: QuantSpec | None = None
    activations: QuantSpec | None = None
    keep_float: Collection[str] = ()
    weight_bits: Mapping[str, int] = field(default_factory=dict)
    ends_at_8: bool = False


_KEEPS_SIGN = frozenset(
    {"linear", "relu", "relu6", "leaky", "elu", "selu", "gelu", "tanh", "swish", "mish", "hard_mish", "h_swish"}
)
"""Activations that give nothing above 0 for values below: where maps begin at 0, their sums may."""


def place(graph: Graph, asked: Placement) -> QuantPlan:
    """Gives the plan of a network for a target.

    Raises:
        RecipeError: no such target, a node to keep is no convolution, or nothing is left to quantize.
        TargetError: the target cannot run a layer, or has not these codes.
    """
    target = find_target(asked.target)
    weights, activations = asked.weights or target.weights, asked.activations or target.activations
    _check_codes(asked.target, target, weights, activations)
    if asked.scheme == "dorefa":
        _check_dorefa(asked.target, target, weights)
    _check_layers(graph, asked.target, target)
    names = _names(graph, asked)
    coded = _coded(graph, names)
    edges = _edges(graph, coded)
    ends = [node for node in graph if node.name in names and _is_end(node, coded)] if asked.ends_at_8 else []
    bits = {**{node.name: target.weights.bits for node in ends}, **asked.weight_bits}
    kernels = {name: replace(weights, bits=bits.get(name, weights.bits)) for name in names}
    wide = {edges[name]: target.activations.bits for node in ends for name in node.inputs}
    scales = {name: replace(activations, bits=wide.get(name, activations.bits)) for name in edges.values()}
    rounded = [node for node in graph if node.name in names and _is_rounded_before(node, target, coded)]
    before = {node.name: replace(activations, bits=target.activations.bits) for node in rounded}
    if IMAGE in edges:
        scales[edges[IMAGE]] = replace(target.image, scale=activations.scale, rounding=activations.rounding)
    plan = QuantPlan(asked.target, asked.scheme, scales, edges, before, kernels)
    return _on_dorefa_codes(plan, graph, target) if asked.scheme == "dorefa" else plan


@singledispatch
def passes_on(op: Op) -> bool:
    """Whether every value that an op gives is one that it read, in use."""
    raise TypeError(f"no placement rule for {type(op).__name__}")


@passes_on.register(Contrastive)
@passes_on.register(Dropout)
@passes_on.register(Empty)
@passes_on.register(MaxPoolDepth)
@passes_on.register(Reorg)
@passes_on.register(Reorg3d)
@passes_on.register(Route)
def _(op: Op) -> bool:
    return True


@passes_on.register(AvgPool)
@passes_on.register(Convolution)
@passes_on.register(Depthwise)
@passes_on.register(LocalAvgPool)
@passes_on.register(Sam)
@passes_on.register(ScaleChannels)
@passes_on.register(Shortcut)
@passes_on.register(SqueezeExcite)
@passes_on.register(Yolo)
def _(op: Op) -> bool:
    return False


@passes_on.register
def _(op: Upsample) -> bool:
    return op.scale == 1.0


@passes_on.register
def _(op: MaxPool) -> bool:
    return not op.blur


@passes_on.register
def _(op: Crop) -> bool:
    return not op.scaled


def convolutions(graph: Graph) -> dict[str, Convolution]:
    """Gives the convolutions that can compute on integers, depthwise ones too; those that share weights cannot."""
    sharing = {name for node in graph if node.weights_of for name in (node.name, node.weights_of)}
    found = {node.name: node.op for node in graph if node.name not in sharing}
    return {
        name: op.as_convolution() if isinstance(op, Depthwise) else op
        for name, op in found.items()
        if isinstance(op, Convolution | Depthwise)
    }


def _names(graph: Graph, asked: Placement) -> list[str]:
    """The convolutions on integers."""
    names = list(convolutions(graph))
    for option, given in (("keep-float", asked.keep_float), ("bits", asked.weight_bits)):
        unknown = sorted(set(given) - set(names))
        if unknown:
            near = ", ".join(names[:3])
            raise RecipeError(f"{option} {unknown[0]}: expected the name of a convolution, such as {near}")
    kept = [name for name in names if name not in set(asked.keep_float)]
    if not kept:
        raise RecipeError("nothing is left to quantize: no convolution of this network would compute on integers")
    return kept


def _coded(graph: Graph, kernels: Collection[str]) -> set[str]:
    """The nodes, and the image, whose output is codes: what convolutions on integers read, and the way there."""
    coded: set[str] = set()
    for node in reversed(graph.nodes):
        is_convolution = isinstance(node.op, Convolution | Depthwise)
        wants = node.name in kernels if is_convolution else node.name in coded and not isinstance(node.op, Yolo)
        if wants:
            coded.update(node.inputs)
    return coded


def _edges(graph: Graph, coded: Collection[str]) -> dict[str, str]:
    """The name of the scale of every coded node: that of the first of all nodes that share it."""
    roots = {IMAGE: IMAGE, **{node.name: node.name for node in graph}}

    def root(name: str) -> str:
        while roots[name] != name:
            name = roots[name]
        return name

    order = {name: index for index, name in enumerate(roots)}
    for node in graph:
        if node.name in coded and passes_on(node.op):
            for name in node.inputs:
                first, second = sorted((root(name), root(node.name)), key=order.__getitem__)
                roots[second] = first
    return {name: root(name) for name in roots if name in coded}


def _is_rounded_before(node: Node, target: Target, coded: Collection[str]) -> bool:
    assert isinstance(node.op, Convolution | Depthwise)
    is_blurred = isinstance(node.op, Convolution) and node.op.blur > 0
    return node.name in coded and (node.op.activation not in target.fused or is_blurred)


def _is_end(node: Node, coded: Collection[str]) -> bool:
    """Whether a convolution reads the image, or gives its sums in float, to a head."""
    return IMAGE in node.inputs or node.name not in coded


def _on_dorefa_codes(plan: QuantPlan, graph: Graph, target: Target) -> QuantPlan:
    """The plan with DoReFa's codes; sums have them too where the activation makes nothing of those below 0."""
    signs = {node.name for node in graph if getattr(node.op, "activation", "") in _KEEPS_SIGN}
    return replace(
        plan,
        kernels={name: dorefa_weights(spec, target.weights.bits) for name, spec in plan.kernels.items()},
        scales={name: dorefa_maps(spec) for name, spec in plan.scales.items()},
        before={name: dorefa_maps(spec) if name in signs else spec for name, spec in plan.before.items()},
    )


def _check_dorefa(name: str, target: Target, weights: QuantSpec) -> None:
    if weights.scale == "power_of_two":
        text = "has scales of its own, which are no powers of two"
        raise RecipeError(f"dorefa {text}: take google or lsq, or another --for, without power_of_two")
    if target.activations.signed:
        raise TargetError(f"dorefa gives codes from 0 on, {name} has codes around 0: take lsq, or another --for")


def _check_codes(name: str, target: Target, weights: QuantSpec, activations: QuantSpec) -> None:
    for kind, spec in (("weights", weights), ("activations", activations)):
        if spec.bits > MAX_BITS:
            raise RecipeError(f"bits: expected {MIN_BITS} to {MAX_BITS}, found {spec.bits}")
        if spec.scale not in target.scales:
            raise TargetError(f"{name} multiplies {kind} by {' or '.join(target.scales)} scales, not by {spec.scale}")
        if spec.rounding not in target.roundings:
            others = ", ".join(other for other, found in TARGETS.items() if spec.rounding in found.roundings)
            known = " or ".join(target.roundings)
            raise TargetError(
                f"{name} rounds {known}, asked for {spec.rounding}: leave it out, or choose another --for ({others})"
            )


def _check_layers(graph: Graph, name: str, target: Target) -> None:
    found = refusals(graph, target)
    if found:
        first, more = found[0], len(found) - 1
        others = f" ({more} more: yoloslim check --for {name})" if more else ""
        raise TargetError(f"{first.node.name}: {name} cannot run {first.problem}: {first.rewrite}{others}")
