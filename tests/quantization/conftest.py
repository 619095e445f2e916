"""Small graphs, networks with random tensors, and quantized forms of them."""

from collections.abc import Callable

import pytest
import torch

from yoloslim.compress.quantization.calibrate import calibrated
from yoloslim.compress.quantization.network import QuantizedNetwork
from yoloslim.compress.quantization.place import Placement, place
from yoloslim.engine.recalibrate import recalibrate
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.graph import Graph
from yoloslim.nn.network import Network

HEAD = "[convolutional]\nfilters=12\nactivation=linear\n[yolo]\nmask=0,1\nclasses=1\nanchors=4,4, 6,8"
CONVOLUTION = "[convolutional]\nfilters=8\nsize=3\npad=1\nbatch_normalize=1\nactivation={}"
LEAKY = CONVOLUTION.format("leaky")


@pytest.fixture(scope="session")
def tiny() -> Callable[..., Graph]:
    """Gives the network of some sections, with two anchors and one class behind them."""

    def graph(*sections: str, size: tuple[int, int] = (16, 16)) -> Graph:
        return parse_cfg("\n".join([f"[net]\nwidth={size[0]}\nheight={size[1]}", *sections, HEAD]))

    return graph


@pytest.fixture(scope="session")
def random_network() -> Callable[..., Network]:
    """Gives a network with random weights whose batch-norm statistics are those of its own maps."""

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
        return recalibrate(network, [pictures(graph)])

    return make


def pictures(graph: Graph, count: int = 4) -> torch.Tensor:
    """Gives pictures of noise of a network's size."""
    return torch.rand(count, *graph.input_shape, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="session")
def quantize(random_network: Callable[..., Network]) -> Callable[..., QuantizedNetwork]:
    """Gives a random network of a graph, placed and calibrated on noise."""

    def make(graph: Graph, asked: Placement | None = None, observer: str = "min-max") -> QuantizedNetwork:
        network = random_network(graph)
        return calibrated(network, place(graph, asked or Placement()), [pictures(graph)], observer)

    return make
