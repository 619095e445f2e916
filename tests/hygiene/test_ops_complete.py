"""Every pass knows every op."""

import sys
from collections.abc import Callable, Iterator
from functools import singledispatch
from importlib import import_module
from typing import Any

import pytest

from yoloslim.graph.ops import Convolution, Op, Route

PASSES = [
    "yoloslim.graph.shapes.output_shape",
    "yoloslim.graph.lanes.lanes_of",
    "yoloslim.graph.cost.cost_of",
    "yoloslim.graph.receptive_field.window_of",
    "yoloslim.graph.to_cfg.options_of",
    "yoloslim.graph.resize.resized",
    "yoloslim.nn.build.build_module",
    "yoloslim.weights.darknet.blobs_of",
    "yoloslim.compress.pruning.shrink.slice_tensors",
    "yoloslim.compress.pruning.fold.constant_of",
    "yoloslim.compress.quantization.equalize.passes_factors",
    "yoloslim.compress.quantization.place.passes_on",
    "yoloslim.export.onnx_ops.to_onnx",
    "yoloslim.export.fpga_ops.to_fpga",
    "yoloslim.runtime.integer_ops.on_codes",
]


def all_ops(root: type[Op] = Op) -> Iterator[type[Op]]:
    """Yields the ops of the package.

    A dataclass with slots is a second class: the first one lingers among the subclasses until it is collected.
    """
    for op in root.__subclasses__():
        if op.__module__.startswith("yoloslim.") and getattr(sys.modules[op.__module__], op.__name__) is op:
            yield op
        yield from all_ops(op)


def missing_ops(rules: Any, ops: list[type[Op]]) -> list[str]:
    """Lists the ops for which a singledispatch function only has what it has for any op."""
    return [op.__name__ for op in ops if rules.dispatch(op) is rules.dispatch(Op)]


def find_pass(path: str) -> Callable[..., object]:
    """Gives the function of that dotted name."""
    module, _, name = path.rpartition(".")
    found: Callable[..., object] = getattr(import_module(module), name)
    return found


def test_an_op_without_a_rule_is_found() -> None:
    @singledispatch
    def weigh(op: object) -> int:
        raise TypeError

    @weigh.register
    def _(op: Op) -> int:
        return 0

    @weigh.register
    def _(op: Convolution) -> int:
        return 1

    assert missing_ops(weigh, [Convolution, Route]) == ["Route"]


def test_all_ops_are_found_once() -> None:
    names = [op.__name__ for op in all_ops()]

    assert len(names) == len(set(names))
    assert {"Convolution", "Route", "Shortcut", "Yolo"} <= set(names)


@pytest.mark.parametrize("path", PASSES)
def test_a_pass_has_a_rule_for_every_op(path: str) -> None:
    missing = missing_ops(find_pass(path), list(all_ops()))
    assert not missing, f"{path} has no rule for {', '.join(missing)}"
