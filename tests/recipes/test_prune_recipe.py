"""Pruning as one workflow."""

import pytest
import torch
from torch import Tensor

from yoloslim.compress.pruning.fold import fold
from yoloslim.compress.pruning.methods import PruneSettings, plan_pruning
from yoloslim.compress.pruning.plan import PruningPlan
from yoloslim.compress.pruning.shrink import shrink
from yoloslim.engine.recalibrate import recalibrate
from yoloslim.errors import PlanError
from yoloslim.nn.network import Network
from yoloslim.recipes.prune import prune
from yoloslim.zoo.catalog import find


def network_and_plan(name: str = "yolov4-tiny") -> tuple[Network, PruningPlan]:
    torch.manual_seed(0)
    network = Network(find(name, width=0.25)).eval()
    for key, tensor in network.state_dict().items():
        if ".norm." in key:
            tensor.uniform_(0.5, 1.5)
    return network, plan_pruning(network, "normal", PruneSettings(0.5))


def batches() -> list[Tensor]:
    return [torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)]


def same_tensors(a: Network, b: Network) -> bool:
    others = b.state_dict()
    return all(torch.equal(tensor, others[name]) for name, tensor in a.state_dict().items())


@pytest.mark.parametrize("folding", [True, False])
@pytest.mark.parametrize("name", ["yolov3-tiny", "yolov4-tiny"])
def test_a_pruned_network_comes_with_proof_that_it_is_exact(name: str, folding: bool) -> None:
    network, plan = network_and_plan(name)
    assert prune(network, plan, folding=folding).max_abs_diff < 1e-12


def test_without_folding_it_is_the_shrunk_network() -> None:
    network, plan = network_and_plan()
    assert same_tensors(prune(network, plan, folding=False).network, shrink(network, plan))


def test_with_folding_it_is_the_folded_and_shrunk_network() -> None:
    network, plan = network_and_plan()
    pruned = prune(network, plan).network
    assert same_tensors(pruned, shrink(fold(network, plan), plan))
    assert not same_tensors(pruned, shrink(network, plan))


def test_pictures_measure_its_statistics_anew() -> None:
    network, plan = network_and_plan()
    expected = recalibrate(shrink(fold(network, plan), plan), batches())
    pruned = prune(network, plan, batches=iter(batches()))
    assert same_tensors(pruned.network, expected)
    assert pruned.max_abs_diff < 1e-12


def test_no_pictures_keep_its_statistics() -> None:
    network, plan = network_and_plan()
    assert same_tensors(prune(network, plan, batches=iter([])).network, prune(network, plan).network)


def test_the_network_it_was_given_stays_as_it_was() -> None:
    network, plan = network_and_plan()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    prune(network, plan, batches=batches())

    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_a_plan_that_does_not_fit_is_refused() -> None:
    network, _ = network_and_plan("yolov3-tiny")
    _, plan = network_and_plan("yolov4-tiny")
    with pytest.raises(PlanError, match="it was made for another cfg"):
        prune(network, plan)
