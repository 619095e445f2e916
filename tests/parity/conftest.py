"""Head maps from OpenCV and from us in one layout, networks to compare, and their difference as one number."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from yoloslim.boxes.placement import place, to_batch
from yoloslim.compress.pruning.balance import put_back
from yoloslim.compress.pruning.plan import PruningPlan
from yoloslim.compress.pruning.select import with_floor
from yoloslim.graph.from_cfg import read_cfg
from yoloslim.graph.graph import Graph
from yoloslim.graph.lanes import trace_lanes
from yoloslim.nn.network import Network
from yoloslim.runtime.load import Model, load

HeadMaps = list[NDArray[np.floating]]
"""One a head, shape (anchors * (5 + classes), h, w): as the convolution before ``[yolo]`` gives them."""

MIN_KEEP = 0.01


@pytest.fixture(scope="session")
def pictures(data_dir: Path) -> list[NDArray[np.uint8]]:
    """Darknet's sample pictures, shape (H, W, 3), BGR."""
    found = [cv2.imread(str(path)) for path in sorted((data_dir / "images").glob("*.jpg"))]
    assert len(found) == 5
    return found


@pytest.fixture
def published(weights_dir: Path) -> Callable[[str], Model]:
    """Gives a published network with its weights."""
    return lambda name: load(weights_dir / f"{name}.weights", read_cfg(weights_dir / f"{name}.cfg"))


@pytest.fixture(scope="session")
def opencv_head_maps() -> Callable[[Path, Path, NDArray[np.uint8]], HeadMaps]:
    """Gives what OpenCV makes of a cfg, its weights and one picture, stretched to the cfg's size by OpenCV alone."""

    def run(cfg: Path, weights: Path, picture: NDArray[np.uint8]) -> HeadMaps:
        net = cv2.dnn.readNetFromDarknet(str(cfg), str(weights))
        net.setInput(cv2.dnn.blobFromImage(cv2.resize(picture, cfg_size(cfg)), 1 / 255, swapRB=True))
        return [head[0] for head in net.forward([f"conv_{index}" for index in head_indices(cfg)])]

    return run


@pytest.fixture(scope="session")
def our_head_maps() -> Callable[[Network, NDArray[np.uint8]], HeadMaps]:
    """Gives what our network makes of one picture, stretched to its size."""

    def run(network: Network, picture: NDArray[np.uint8]) -> HeadMaps:
        shape = network.graph.input_shape
        batch = to_batch([place(picture, (shape.width, shape.height), "stretch")[0]])
        with torch.inference_mode():
            return [as_convolution_output(head) for head in network(torch.from_numpy(batch))]

    return run


@pytest.fixture(scope="session")
def as_channels() -> Callable[[torch.Tensor], NDArray[np.floating]]:
    """Gives a head map, shape (1, anchors, h, w, numbers), in the layout of the convolution before it."""
    return as_convolution_output


@pytest.fixture(scope="session")
def difference() -> Callable[[Sequence[NDArray[np.floating]], Sequence[NDArray[np.floating]]], float]:
    """Gives the worst ``max |a - b| / max |b|`` over pairs of head maps, which must be of the same shapes."""

    def worst(found: Sequence[NDArray[np.floating]], expected: Sequence[NDArray[np.floating]]) -> float:
        assert [a.shape for a in found] == [b.shape for b in expected]
        assert expected
        assert all(np.isfinite(b).all() and np.abs(b).max() > 0.1 for b in expected)
        return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(found, expected, strict=True))

    return worst


@pytest.fixture(scope="session")
def random_plan() -> Callable[[Graph, float, int], PruningPlan]:
    """Gives a plan that removes about that share of all free lanes, whichever they are."""

    def plan(graph: Graph, ratio: float, seed: int) -> PruningPlan:
        lanes = trace_lanes(graph)
        scores = np.random.default_rng(seed).random(lanes.count)
        keep = with_floor((scores >= ratio) | lanes.fixed, scores, lanes, MIN_KEEP)
        return PruningPlan(put_back(keep, scores, lanes))

    return plan


@pytest.fixture(scope="session")
def with_random_weights() -> Callable[[Graph, int], Network]:
    """Gives a network whose random weights let a picture through: head maps neither vanish nor explode."""

    def network(graph: Graph, seed: int) -> Network:
        torch.manual_seed(seed)
        made = Network(graph).eval()
        for module in made.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.2)
                nn.init.normal_(module.bias, 0, 0.2)
                nn.init.normal_(module.running_mean, 0, 0.2)
                nn.init.uniform_(module.running_var, 0.7, 1.4)
        return made

    return network


def as_convolution_output(head: torch.Tensor) -> NDArray[np.floating]:
    _, anchors, height, width, numbers = head.shape
    return head.permute(0, 1, 4, 2, 3).reshape(anchors * numbers, height, width).numpy()


def cfg_size(cfg: Path) -> tuple[int, int]:
    """Width and height that the text of a cfg states."""
    text = cfg.read_text()
    width, height = (int(re.search(rf"(?m)^\s*{key}\s*=\s*(\d+)", text)[1]) for key in ("width", "height"))
    return width, height


def head_indices(cfg: Path) -> list[int]:
    """Layers before each ``[yolo]`` or ``[region]`` in the text of a cfg, counted from 0 behind ``[net]``."""
    kinds = re.findall(r"(?m)^\s*\[(\w+)\]", cfg.read_text())[1:]
    return [index - 1 for index, kind in enumerate(kinds) if kind in ("yolo", "region")]
