"""A network that rounds where its plan says: it computes in float what integers would."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from torch import Tensor, nn

from yoloslim.compress.quantization.fake_quantizer import Quantizer, Rounding, WeightQuantizer
from yoloslim.compress.quantization.folded_conv import FoldedConv
from yoloslim.compress.quantization.place import passes_on
from yoloslim.compress.quantization.plan import QuantPlan
from yoloslim.compress.quantization.schemes import image_quantizer, map_quantizer
from yoloslim.errors import WeightsError
from yoloslim.graph.graph import IMAGE, Graph
from yoloslim.nn.layers.conv_block import ConvBlock
from yoloslim.nn.network import Network, Tap, load_tensors

SCALES = "scales"
"""Under this name, in the state dict, are the ranges of feature maps."""


class QuantizedNetwork(Network):
    """A network with the tensors of a float one, and ranges beside them; it is used and trained like one.

    Attributes:
        plan: where it is rounded.
    """

    def __init__(self, graph: Graph, plan: QuantPlan) -> None:
        super().__init__(graph)
        self.plan = plan
        self._members = members(graph, plan)
        scales = {
            name: image_quantizer(spec) if name == IMAGE else map_quantizer(plan.scheme, spec, len(self._members[name]))
            for name, spec in plan.scales.items()
        }
        self.add_module(SCALES, nn.ModuleDict(scales))
        for name, weights in plan.kernels.items():
            block = cast(ConvBlock, self.get_submodule(name))
            source = scales[plan.edges[graph[name].inputs[0]]]
            setattr(self, name, FoldedConv(block, plan.scheme, weights, plan.before.get(name), source))
        self._member_of = {
            writer: (scale, index) for scale, names in self._members.items() for index, writer in enumerate(names)
        }

    def forward(self, images: Tensor, tap: Tap | None = None) -> list[Tensor]:
        """Gives the head maps, as ``Network`` does; ``tap`` sees rounded outputs."""

        def rounded(name: str, x: Tensor) -> Tensor:
            x = self.rounded(name, x)
            return x if tap is None else tap(name, x)

        return super().forward(self.rounded(IMAGE, images), rounded)

    def rounded(self, name: str, x: Tensor) -> Tensor:
        """Gives the output of a node, or the image, on its codes; as it is where it has none or is on them already."""
        if not self.is_rounded(name):
            return x
        scale, member = self._member_of[name]
        return self.scale(scale)(x, member)  # type: ignore[no-any-return]

    def is_rounded(self, name: str) -> bool:
        """Whether a node, or the image, gives new values that are rounded."""
        return name in self._member_of

    def scale(self, name: str) -> Quantizer:
        """Gives the quantizer of that name in the plan."""
        return cast(Quantizer, self.get_submodule(f"{SCALES}.{name}"))

    def freeze_ranges(self, frozen: bool) -> None:
        """Says whether the ranges of maps stay in training too."""
        for _, quantizer in self.quantizers():
            if not isinstance(quantizer, WeightQuantizer):
                quantizer.is_frozen = frozen

    def folded_convs(self) -> dict[str, FoldedConv]:
        """Gives the convolutions on integers by node."""
        return {name: cast(FoldedConv, self.get_submodule(name)) for name in self.plan.kernels}

    def quantizers(self) -> Iterator[tuple[str, Rounding]]:
        """Gives every quantizer with its name in the state dict."""
        for name, module in self.named_modules():
            if isinstance(module, Rounding):
                yield name, module


def members(graph: Graph, plan: QuantPlan) -> dict[str, Sequence[str]]:
    """Gives, for every scale, the nodes whose new values are rounded to it."""
    ops = {node.name: node.op for node in graph}
    found: dict[str, list[str]] = {name: [] for name in plan.scales}
    for node, scale in plan.edges.items():
        if node == IMAGE or not passes_on(ops[node]):
            found[scale].append(node)
    return dict(found)


def quantized(network: Network, plan: QuantPlan) -> QuantizedNetwork:
    """Gives a copy of a float network that rounds by a plan; its ranges are not known yet."""
    made = QuantizedNetwork(network.graph, plan)
    load_tensors(made, network.state_dict())
    return made.train(network.training)


def float_network(network: QuantizedNetwork) -> Network:
    """Gives the float network that a quantized one rounds."""
    plain = Network(network.graph)
    state = network.state_dict()
    load_tensors(plain, {name: state[name] for name in plain.state_dict()})
    return plain.train(network.training)


def check_calibrated(network: QuantizedNetwork, where: object) -> None:
    """Makes sure that the network can be used.

    Raises:
        WeightsError: a range is not known.
    """
    missing = [name for name, quantizer in network.quantizers() if not quantizer.is_calibrated]
    if missing:
        text = f"{len(missing)} ranges are not known ({missing[0]} ...): expected a calibrated network"
        raise WeightsError(f"{where}: {text}; run yoloslim quantize --data FILE on the float weights")
