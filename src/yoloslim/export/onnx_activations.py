"""Darknet's activations (activations.c) in standard ONNX operators, without branches where clipping does the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from yoloslim.export.onnx_writer import NodeWriter

Activation = Callable[[NodeWriter, str], str]

_SOFTMAX_EPS = 1e-4  # activations.c: keeps a position where every channel is small from dividing by zero


def activated(writer: NodeWriter, x: str, activation: str) -> str:
    """Writes an activation by its cfg name and gives the name of its output."""
    return ACTIVATIONS[activation](writer, x)


def _loggy(w: NodeWriter, x: str) -> str:
    return w.add("Sub", _times(w, w.add("Sigmoid", x), 2), w.number(1))


def _ramp(w: NodeWriter, x: str) -> str:
    return w.add("Add", w.add("Relu", x), _times(w, x, 0.1))


def _gelu(w: NodeWriter, x: str) -> str:
    cube = w.add("Mul", w.add("Mul", x, x), x)
    inside = w.add("Add", _times(w, x, 0.797885), _times(w, cube, 0.035677))
    return w.add("Mul", _times(w, x, 0.5), w.add("Add", w.add("Tanh", inside), w.number(1)))


def _plse(w: NodeWriter, x: str) -> str:
    inside = _clip(w, x, -4, 4)
    line = w.add("Add", _times(w, inside, 0.125), w.number(0.5))
    return w.add("Add", line, _times(w, w.add("Sub", x, inside), 0.01))


def _stair(w: NodeWriter, x: str) -> str:
    """Flat where the floor of ``x`` is even, rising by its fraction where it is odd."""
    floor = w.add("Floor", x)
    stairs = w.add("Floor", _times(w, x, 0.5))
    is_odd = w.add("Sub", floor, _times(w, stairs, 2))
    return w.add("Add", w.add("Mul", is_odd, w.add("Sub", x, floor)), stairs)


def _lhtan(w: NodeWriter, x: str) -> str:
    inside = _clip(w, x, 0, 1)
    return w.add("Add", _times(w, w.add("Sub", x, inside), 0.001), inside)


def _swish(w: NodeWriter, x: str) -> str:
    return w.add("Mul", x, w.add("Sigmoid", x))


def _mish(w: NodeWriter, x: str) -> str:
    return w.add("Mul", x, w.add("Tanh", w.add("Softplus", x)))


def _hard_mish(w: NodeWriter, x: str) -> str:
    """``x * clip(x + 2, 0, 2) / 2``: 0 below -2, ``x`` above 0."""
    return w.add("Mul", _times(w, x, 0.5), _clip(w, w.add("Add", x, w.number(2)), 0, 2))


def _normalize_channels(w: NodeWriter, x: str) -> str:
    return _share_of_sum(w, w.add("Relu", x))


def _softmax_channels(w: NodeWriter, x: str) -> str:
    return _share_of_sum(w, w.add("Exp", x))


def _softmax_channels_maxval(w: NodeWriter, x: str) -> str:
    return _softmax_channels(w, w.add("Sub", x, w.add("ReduceMax", x, axes=(1,), keepdims=1)))


def _share_of_sum(w: NodeWriter, x: str) -> str:
    total = w.add("ReduceSum", x, w.integers(1), keepdims=1)
    return w.add("Div", x, w.add("Add", total, w.number(_SOFTMAX_EPS)))


def _clip(w: NodeWriter, x: str, low: float, high: float) -> str:
    return w.add("Clip", x, w.number(low), w.number(high))


def _times(w: NodeWriter, x: str, factor: float) -> str:
    return w.add("Mul", x, w.number(factor))


ACTIVATIONS: Mapping[str, Activation] = {
    "linear": lambda w, x: x,
    "logistic": lambda w, x: w.add("Sigmoid", x),
    "loggy": _loggy,
    "relu": lambda w, x: w.add("Relu", x),
    "relu6": lambda w, x: _clip(w, x, 0, 6),
    "elu": lambda w, x: w.add("Elu", x),
    "selu": lambda w, x: w.add("Selu", x, alpha=1.6732, gamma=1.0507),
    "relie": lambda w, x: w.add("LeakyRelu", x, alpha=0.01),
    "ramp": _ramp,
    "leaky": lambda w, x: w.add("LeakyRelu", x, alpha=0.1),
    "revleaky": lambda w, x: w.add("LeakyRelu", x, alpha=0.1),
    "tanh": lambda w, x: w.add("Tanh", x),
    "gelu": _gelu,
    "plse": _plse,
    "stair": _stair,
    "hardtan": lambda w, x: _clip(w, x, -1, 1),
    "lhtan": _lhtan,
    "swish": _swish,
    "mish": _mish,
    "hard_mish": _hard_mish,
    "h_swish": lambda w, x: w.add("HardSwish", x),
    "normalize_channels": _normalize_channels,
    "normalize_channels_softmax": _softmax_channels,
    "normalize_channels_softmax_maxval": _softmax_channels_maxval,
}
"""Writes an activation behind a tensor of that name, by its cfg name."""
