"""Batch-norm statistics measured anew: those of the batches, and nothing else changes."""

import pytest
import torch
from torch import Tensor, nn

from yoloslim.engine.recalibrate import recalibrate
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.nn.network import Network

CFG = """[net]
width=8
height=8
channels=3
[convolutional]
batch_normalize=1
filters=4
size=3
pad=1
activation=leaky
[dropout]
probability=0.5
[convolutional]
batch_normalize=1
filters=5
activation=mish
[convolutional]
filters=6
activation=linear
[yolo]
mask=0
classes=1
anchors=4,4
"""
STATISTICS = ("running_mean", "running_var")


def make_network() -> Network:
    torch.manual_seed(0)
    return Network(parse_cfg(CFG)).double().eval()


def make_batches() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(n, 3, 8, 8, dtype=torch.float64, generator=generator) for n in (4, 4, 2)]


def batch_statistics(network: Network, images: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Means and variances over (B, H, W) before each batch-norm, each layer's input normalised by the batch itself."""
    found, x = {}, images
    for name in ("000_convolutional", "002_convolutional"):
        block = network.get_submodule(name)
        x = block.conv(x)  # type: ignore[operator, union-attr]
        mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
        found[name] = mean, var * (n := x.numel() // x.shape[1]) / (n - 1)  # kept without the bias of small batches
        scaled = (x - mean.view(1, -1, 1, 1)) / (var.view(1, -1, 1, 1) + 1e-6).sqrt()
        x = block.activation(scaled)  # type: ignore[operator, union-attr]
    return found


def norms(network: Network) -> list[nn.BatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def test_statistics_are_the_average_of_those_of_the_batches() -> None:
    network, batches = make_network(), make_batches()
    each = [batch_statistics(network, images) for images in batches]

    after = recalibrate(network, batches).state_dict()

    for name in each[0]:
        for key, values in zip(STATISTICS, zip(*(found[name] for found in each), strict=True), strict=True):
            torch.testing.assert_close(after[f"{name}.norm.{key}"], torch.stack(values).mean(0), rtol=1e-12, atol=1e-12)


def test_what_the_statistics_were_before_does_not_matter() -> None:
    network, other = make_network(), make_network()
    for norm in norms(other):
        norm.running_mean.fill_(7)  # type: ignore[union-attr]
        norm.running_var.fill_(0.1)  # type: ignore[union-attr]

    first, second = (recalibrate(n, make_batches()).state_dict() for n in (network, other))

    for name, tensor in first.items():  # 7 is taken from 7 once: equal to rounding, not to the last bit
        torch.testing.assert_close(tensor, second[name], rtol=1e-12, atol=1e-12)


def test_only_statistics_change() -> None:
    network = make_network()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    after = recalibrate(network, make_batches()).state_dict()

    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if name.endswith(STATISTICS)}


@pytest.mark.parametrize("training", [False, True])
def test_the_network_it_was_given_stays_as_it_was(training: bool) -> None:
    network = make_network().train(training)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    fresh = recalibrate(network, make_batches())

    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(module.training == training for module in network.modules())
    assert not any(module.training for module in fresh.modules())


def test_momentum_is_what_it_was() -> None:
    network = make_network()
    norms(network)[0].momentum = 0.03
    fresh = recalibrate(network, make_batches())
    assert [norm.momentum for norm in norms(fresh)] == [0.03, 0.1]
    assert [norm.momentum for norm in norms(network)] == [0.03, 0.1]


def test_the_same_batches_give_the_same_network() -> None:
    first, second = (recalibrate(make_network(), make_batches()).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_no_batch_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one batch"):
        recalibrate(make_network(), [])


def test_every_use_of_a_shared_batch_norm_counts_the_same() -> None:
    conv = "[convolutional]\nbatch_normalize=1\nfilters=3\nactivation=linear\n"
    torch.manual_seed(0)
    network = Network(parse_cfg(f"[net]\nwidth=8\nheight=8\n{conv}{conv}share_index=0\n")).double()
    block = network.get_submodule("000_convolutional")
    seen: list[Tensor] = []

    def see(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.append(inputs[0].mean((0, 2, 3)))

    after = recalibrate(network, make_batches())
    measured = after.get_submodule("000_convolutional").norm.running_mean  # type: ignore[union-attr]
    block.norm.register_forward_pre_hook(see)  # type: ignore[operator, union-attr]
    network.train()
    for images in make_batches():
        network(images)

    assert len(seen) == 6
    torch.testing.assert_close(measured, torch.stack(seen).mean(0), rtol=1e-12, atol=1e-12)
