"""Taylor scores: what the loss does when a channel is scaled, measured on pictures."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from yoloslim.compress.pruning.taylor import taylor_scores
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.graph import Graph
from yoloslim.nn.network import Network

RandomNetwork = Callable[[Graph, int], Network]

HEAD = "[convolutional]\nfilters=6\nactivation=linear\n[yolo]\nmask=0\nclasses=1\nanchors=4,4\n"
TEXT = (
    "[net]\nwidth=8\nheight=8\nchannels=3\n[convolutional]\nbatch_normalize=1\nfilters=4\nsize=3\nactivation=mish\n"
    "[convolutional]\nfilters=3\nactivation=linear\n" + HEAD
)


def loss(head_maps: Sequence[Tensor], targets: Tensor) -> Tensor:
    return sum(((head - targets.mean()) ** 2).mean() for head in head_maps)  # type: ignore[return-value]


def batches(count: int) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    shape = (2, 3, 8, 8)
    return [(torch.rand(shape, dtype=torch.float64, generator=generator), torch.ones(2, 6)) for _ in range(count)]


def loss_with_scaled(network: Network, name: str, channel: int, factor: float) -> float:
    """Gives the loss when what a channel's layer gives before its activation is multiplied by a factor."""
    scaled = Network(network.graph).double().eval()
    scaled.load_state_dict(network.state_dict())
    keys = (
        ("norm.weight", "norm.bias") if f"{name}.norm.weight" in scaled.state_dict() else ("conv.weight", "conv.bias")
    )
    for key in keys:
        scaled.state_dict()[f"{name}.{key}"][channel] *= factor
    (images, targets), *_ = batches(1)
    with torch.no_grad():
        return float(loss(scaled(images), targets))


@pytest.mark.parametrize("name", ["000_convolutional", "001_convolutional"], ids=["batch-norm", "bias"])
def test_a_score_is_the_squared_slope_of_the_loss_by_a_gate_on_the_channel(
    name: str, random_network: RandomNetwork
) -> None:
    network = random_network(parse_cfg(TEXT), 0)

    found = taylor_scores(network, batches(1), loss)[name]

    step = 1e-5
    slopes = [
        (loss_with_scaled(network, name, c, 1 + step) - loss_with_scaled(network, name, c, 1 - step)) / (2 * step)
        for c in range(len(found))
    ]
    np.testing.assert_allclose(found, np.square(slopes), rtol=1e-5)


def test_scores_of_several_batches_are_their_mean(random_network: RandomNetwork) -> None:
    network = random_network(parse_cfg(TEXT), 0)
    each = [taylor_scores(network, [batch], loss) for batch in batches(2)]
    both = taylor_scores(network, batches(2), loss)
    for name, values in both.items():
        np.testing.assert_allclose(values, (each[0][name] + each[1][name]) / 2, rtol=1e-12)


def test_scoring_leaves_the_network_as_it_was(random_network: RandomNetwork) -> None:
    network = random_network(parse_cfg(TEXT), 0)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    taylor_scores(network, batches(1), loss)

    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_without_pictures_there_is_no_score(random_network: RandomNetwork) -> None:
    with pytest.raises(ValueError, match="at least one batch"):
        taylor_scores(random_network(parse_cfg(TEXT), 0), [], loss)
