"""Activations against Darknet's formulas (activations.c), written here one number at a time."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from yoloslim.cfg.schema import ACTIVATIONS, MIXING_ACTIVATIONS
from yoloslim.nn.layers.activation import FUNCTIONS, Activation

# Every kind of point: far out, bends of each formula, whole numbers, both zeros, and between.
POINTS = np.concatenate([np.arange(-8, 8.25, 0.25), np.array([-30.0, 30.0, -0.0, 1e-9, -1e-9, 3.999, 4.001])])


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def _elu(x: float) -> float:
    return x if x >= 0 else math.exp(x) - 1


def _plse(x: float) -> float:
    if x < -4:
        return 0.01 * (x + 4)
    return 0.01 * (x - 4) + 1 if x > 4 else 0.125 * x + 0.5


def _stair(x: float) -> float:
    below = math.floor(x)
    return math.floor(x / 2) if below % 2 == 0 else (x - below) + math.floor(x / 2)


def _lhtan(x: float) -> float:
    if x < 0:
        return 0.001 * x
    return 0.001 * (x - 1) + 1 if x > 1 else x


def _hard_mish(x: float) -> float:
    if x > 0:
        return x
    return x * x / 2 + x if x > -2 else 0


FORMULAS: dict[str, Callable[[float], float]] = {
    "linear": lambda x: x,
    "logistic": _logistic,
    "loggy": lambda x: 2 / (1 + math.exp(-x)) - 1,
    "relu": lambda x: x if x > 0 else 0,
    "relu6": lambda x: min(max(x, 0), 6),
    "elu": _elu,
    "selu": lambda x: 1.0507 * x if x >= 0 else 1.0507 * 1.6732 * (math.exp(x) - 1),
    "relie": lambda x: x if x > 0 else 0.01 * x,
    "ramp": lambda x: x * (x > 0) + 0.1 * x,
    "leaky": lambda x: x if x > 0 else 0.1 * x,
    "revleaky": lambda x: x if x > 0 else 0.1 * x,
    "tanh": lambda x: (math.exp(2 * x) - 1) / (math.exp(2 * x) + 1),
    "gelu": lambda x: 0.5 * x * (1 + math.tanh(0.797885 * x + 0.035677 * x**3)),
    "plse": _plse,
    "stair": _stair,
    "hardtan": lambda x: min(max(x, -1), 1),
    "lhtan": _lhtan,
    "swish": lambda x: x * _logistic(x),
    "mish": lambda x: x * math.tanh(math.log(1 + math.exp(x))),
    "hard_mish": _hard_mish,
    "h_swish": lambda x: x * min(max(x + 3, 0), 6) / 6,
}


def _channel_sums(x: np.ndarray) -> np.ndarray:
    """Sum over the channels at each position, with Darknet's .0001 added; x of shape (C, H, W)."""
    sums = np.full(x.shape[1:], 1e-4)
    for channel in x:
        sums += channel
    return sums


def _normalize_channels(x: np.ndarray) -> np.ndarray:
    positive = np.where(x > 0, x, 0)
    return positive / _channel_sums(positive)


def _softmax(x: np.ndarray) -> np.ndarray:
    return np.exp(x) / _channel_sums(np.exp(x))


MIXING_FORMULAS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "normalize_channels": _normalize_channels,
    "normalize_channels_softmax": _softmax,
    "normalize_channels_softmax_maxval": lambda x: _softmax(x - x.max(0)),
}


def test_every_activation_of_the_schema_has_a_function() -> None:
    assert set(FUNCTIONS) == ACTIVATIONS
    assert set(FORMULAS) | set(MIXING_FORMULAS) == ACTIVATIONS
    assert set(MIXING_FORMULAS) == MIXING_ACTIVATIONS


@pytest.mark.parametrize("name", FORMULAS)
def test_an_activation_follows_darknets_formula(name: str) -> None:
    expected = np.array([FORMULAS[name](float(x)) for x in POINTS])

    found = Activation(name)(torch.from_numpy(POINTS).view(1, -1, 1, 1)).flatten()

    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", MIXING_FORMULAS)
def test_an_activation_over_channels_follows_darknets_formula(name: str) -> None:
    x = np.random.default_rng(0).normal(size=(2, 5, 3, 4)) * 3
    x[0, :, 1, 2] = -1  # a position where no channel is positive

    found = Activation(name)(torch.from_numpy(x)).numpy()

    for picture, expected in zip(found, map(MIXING_FORMULAS[name], x), strict=True):
        np.testing.assert_allclose(picture, expected, rtol=1e-12)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_an_activation_depends_on_other_channels_only_where_it_is_said_to(name: str) -> None:
    x = torch.randn(1, 3, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).abs()
    other = x.clone()
    other[:, 1] += 1
    same = torch.equal(FUNCTIONS[name](x)[:, 0], FUNCTIONS[name](other)[:, 0])
    assert same == (name not in MIXING_ACTIVATIONS)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_an_activation_leaves_its_input_as_it_was(name: str) -> None:
    x = torch.linspace(-5, 5, 24).view(1, 6, 2, 2)
    before = x.clone()
    FUNCTIONS[name](x)
    assert torch.equal(x, before)


def test_an_activation_prints_its_name() -> None:
    assert "leaky" in repr(Activation("leaky"))
