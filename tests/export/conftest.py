"""Graphs from text, networks with random tensors, and what onnxruntime makes of them."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from yoloslim.export.onnx import export_onnx
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.graph import Graph
from yoloslim.nn.network import Network
from yoloslim.runtime.artefact import Artefact, open_artefact
from yoloslim.weights.description import Description

HEAD = "[convolutional]\nfilters=12\nactivation=linear\n[yolo]\nmask=0,1\nclasses=1\nanchors=4,4, 6,8"


@pytest.fixture(scope="session")
def tiny() -> Callable[..., Graph]:
    """Gives the network of some sections, with two anchors and one class behind them."""

    def graph(*sections: str, size: tuple[int, int] = (16, 16), channels: int = 3) -> Graph:
        net = f"[net]\nwidth={size[0]}\nheight={size[1]}\nchannels={channels}"
        return parse_cfg("\n".join([net, *sections, HEAD]))

    return graph


@pytest.fixture(scope="session")
def random_network() -> Callable[..., Network]:
    """Gives a network whose random weights neither kill nor blow up a picture."""

    def make(graph: Graph, seed: int = 0) -> Network:
        network = Network(graph).eval()
        generator = torch.Generator().manual_seed(seed)
        for name, tensor in network.state_dict().items():
            if tensor.ndim == 4:
                tensor.normal_(std=(2 / tensor[0].numel()) ** 0.5, generator=generator)
            elif name.endswith(("norm.weight", "norm.running_var")):
                tensor.uniform_(0.5, 1.5, generator=generator)
            else:
                tensor.normal_(std=0.5, generator=generator)
        return network

    return make


@pytest.fixture
def exported(tmp_path: Path) -> Callable[..., Artefact]:
    """Gives the network of a file that was just written."""

    def write(network: Network, *names: str, resize: str = "stretch") -> Artefact:
        path = tmp_path / "network.onnx"
        tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
        export_onnx(path, Description(network.graph, names, resize), tensors)
        return open_artefact(path, threads=1)

    return write


@pytest.fixture
def difference(exported: Callable[..., Artefact]) -> Callable[..., float]:
    """Gives the worst ``max |a - b| / max |b|`` over the head maps of onnxruntime, a, and torch, b."""

    def worst(network: Network, batch: NDArray[np.float32]) -> float:
        found = exported(network).backend(batch)
        with torch.inference_mode():
            expected = [head.numpy() for head in network(torch.from_numpy(batch))]
        return relative_difference(found, expected)

    return worst


def relative_difference(found: Sequence[NDArray[np.float32]], expected: Sequence[NDArray[np.float32]]) -> float:
    assert [a.shape for a in found] == [b.shape for b in expected]
    assert expected
    assert all(np.isfinite(b).all() and np.abs(b).max() > 0 for b in expected)
    return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(found, expected, strict=True))


@pytest.fixture(scope="session")
def noise() -> Callable[..., NDArray[np.float32]]:
    """Gives pictures of noise, shape (B, C, H, W), 0..1."""
    return lambda *shape: np.random.default_rng(0).random(shape, dtype=np.float32)
