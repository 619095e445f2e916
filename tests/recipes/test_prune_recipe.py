"""Pruning as one workflow."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from yoloslim.compress.pruning.fold import fold
from yoloslim.compress.pruning.methods import PruneSettings, plan_pruning
from yoloslim.compress.pruning.plan import PruningPlan
from yoloslim.compress.pruning.scores import l1_scores
from yoloslim.compress.pruning.search import parse_target
from yoloslim.compress.pruning.shrink import shrink
from yoloslim.engine.recalibrate import recalibrate
from yoloslim.errors import PlanError, RecipeError
from yoloslim.graph.blocks import branch_nodes
from yoloslim.graph.cost import total_cost
from yoloslim.graph.graph import Graph
from yoloslim.nn.network import Network
from yoloslim.recipes import prune as recipe
from yoloslim.recipes.prune import Evidence, needs_pictures, plan_of, prune, round_table
from yoloslim.recipes.schema import PruneTable
from yoloslim.recipes.sparsity import doomed_channels
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


def table(**changes: object) -> PruneTable:
    return replace(PruneTable(percent=0.5), **changes)  # type: ignore[arg-type]


def rounds_of(whole: PruneTable) -> list[PruneTable]:
    """Gives the tables of all rounds, each for what the one before left; the last network's cost is checked."""
    network, _ = network_and_plan()
    dense, tables = total_cost(network.graph), list[PruneTable]()
    for number in range(whole.rounds):
        tables.append(round_table(whole, number, network.graph, dense))
        network = shrink(network, plan_of(network, tables[-1]).plan)
    if whole.target:
        assert total_cost(network.graph).params / dense.params == pytest.approx(0.25, rel=0.01)
    return tables


def test_every_round_takes_the_same_percent_of_what_is_left() -> None:
    assert rounds_of(table(percent=0.75, rounds=2)) == [table(percent=0.5)] * 2
    assert rounds_of(table()) == [table()]


def test_rounds_meet_their_target_together() -> None:
    shares = [
        parse_target(each.target).value
        for each in rounds_of(table(method="slim", percent=None, target="params=0.25", rounds=2, min_keep=0))
    ]
    assert shares[0] == 0.5
    assert shares[1] == pytest.approx(0.5, rel=0.01)


def test_blocks_are_shared_out_over_the_rounds() -> None:
    network, _ = network_and_plan()
    whole, dense = table(method="layer_channel", blocks=7, rounds=3), total_cost(network.graph)
    assert [round_table(whole, number, network.graph, dense).blocks for number in range(3)] == [2, 2, 3]


def test_pruning_without_folding_has_no_gap() -> None:
    network, plan = network_and_plan()
    with_gap, without = prune(network, plan), prune(network, plan, folding=False)
    assert without.fold_gap is None
    assert with_gap.fold_gap is not None
    assert 0 < with_gap.fold_gap.mean < with_gap.fold_gap.largest


def test_new_statistics_leave_the_old_ones_to_compare_with() -> None:
    network, plan = network_and_plan()
    pruned = prune(network, plan, batches=batches())
    assert same_tensors(pruned.kept_statistics, prune(network, plan).network)
    assert not same_tensors(pruned.kept_statistics, pruned.network)


class CountingEvidence:
    """Evidence that counts the pictures it is asked for; the accuracy is the share of weights of one node."""

    def __init__(self) -> None:
        self.networks: list[Network] = []

    def accuracy(self, network: Network) -> float:
        self.networks.append(network)
        return float(network.get_submodule("012_convolutional").conv.out_channels)  # type: ignore[union-attr]

    def evidence(self) -> Evidence:
        return Evidence(self.accuracy, self.accuracy, batches, l1_scores)


def test_eagleeye_takes_the_most_accurate_of_its_candidates() -> None:
    network, _ = network_and_plan()
    counting = CountingEvidence()
    chosen = plan_of(network, table(method="eagleeye", candidates=5), evidence=counting.evidence()).plan
    kept = [small.get_submodule("012_convolutional").conv.out_channels for small in counting.networks]
    assert len(set(kept)) > 1
    assert shrink(network, chosen).get_submodule("012_convolutional").conv.out_channels == max(kept)
    again = plan_of(network, table(method="eagleeye", candidates=5), evidence=CountingEvidence().evidence()).plan
    assert (again.keep == chosen.keep).all()


def test_eagleeye_keeps_to_a_budget() -> None:
    network, _ = network_and_plan()
    settings = table(method="eagleeye", percent=None, target="macs=0.4", candidates=2)
    plan = plan_of(network, settings, evidence=CountingEvidence().evidence()).plan
    left = total_cost(shrink(network, plan).graph).macs / total_cost(network.graph).macs
    assert 0.39 < left <= 0.4


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"score": "taylor"}, "score taylor"),
        ({"method": "eagleeye"}, "method eagleeye"),
        ({"percent": None, "target": "map_drop=0.1"}, "target map_drop=0.1"),
    ],
)
def test_what_needs_pictures_is_refused_without(changes: dict[str, object], reason: str) -> None:
    network, _ = network_and_plan()
    assert needs_pictures(table(**changes)) == reason
    with pytest.raises(RecipeError, match=f"{reason} needs pictures"):
        plan_of(network, table(**changes))


def test_scores_that_need_pictures_come_from_the_evidence() -> None:
    network, _ = network_and_plan()
    evidence = CountingEvidence().evidence()
    by_taylor, by_l1 = (plan_of(network, table(score=score), evidence=evidence).plan for score in ("taylor", "l1"))
    assert (by_taylor.keep == by_l1.keep).all()


def test_random_scores_follow_the_seed() -> None:
    network, _ = network_and_plan()
    plans = [plan_of(network, table(score="random"), seed=seed).plan.keep for seed in (0, 0, 1)]
    assert (plans[0] == plans[1]).all()
    assert (plans[0] != plans[2]).any()


def test_a_latency_is_searched_by_prediction_and_checked_by_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    network, _ = network_and_plan()

    def macs(graph: Graph) -> float:
        return total_cost(graph).macs / 1e6

    monkeypatch.setattr(recipe, "predicted_ms", lambda network, backend: macs)
    monkeypatch.setattr(recipe, "network_ms", lambda network, backend: 2 * macs(network.graph))
    limit = macs(network.graph)
    found = plan_of(network, table(method="slim", percent=None, target=f"latency_ms={limit}@torch"))
    assert found.note == ""
    assert 2 * macs(shrink(network, found.plan).graph) == pytest.approx(limit, rel=0.01)


def test_fading_takes_whole_branches_that_will_be_dropped() -> None:
    network, _ = network_and_plan("yolov3")
    settings = PruneTable(method="layer", blocks=3)
    branches = branch_nodes(network.graph, plan_of(network, settings).plan.dropped)

    doomed = doomed_channels(network, settings)

    assert len(branches) == 6
    assert all(doomed[name].all() for name in branches)
    assert not any(channels.any() for name, channels in doomed.items() if name not in branches)
