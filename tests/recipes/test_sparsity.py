"""Which gammas each penalty shrinks, and how the strength follows what was measured."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from yoloslim.engine.settings import TrainSettings
from yoloslim.errors import RecipeError
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.graph import Graph
from yoloslim.nn.network import Network
from yoloslim.recipes.gamma_history import PLOT, TABLE, GammaHistory
from yoloslim.recipes.schema import PruneTable
from yoloslim.recipes.sparse_progress import LOSSES, Pace, pace_of, prunable, strength_after
from yoloslim.recipes.sparsity import learning_channels, penalised_channels

CONV = "[convolutional]\nbatch_normalize=1\nfilters={}\nsize=1\nactivation=leaky\n{}"
RESIDUAL = (
    "[net]\nwidth=32\nheight=32\n"
    + CONV.format(8, "stride=8\n")
    + CONV.format(4, "")
    + CONV.format(8, "")
    + "[shortcut]\nfrom=-3\nactivation=linear\n"
    + CONV.format(6, "")
    + "[convolutional]\nfilters=8\nsize=1\nactivation=linear\n[yolo]\nmask=0\nanchors=10,10\nclasses=3\n"
)
STEM, INSIDE, LAST, TAIL = "000_convolutional", "001_convolutional", "002_convolutional", "004_convolutional"


def graph() -> Graph:
    return parse_cfg(RESIDUAL)


def shrunk(penalty: str) -> set[str]:
    """Layers with every channel shrunk; no layer is shrunk in part here."""
    channels = penalised_channels(graph(), penalty)
    assert all(chosen.all() or not chosen.any() for chosen in channels.values())
    return {name for name, chosen in channels.items() if chosen.any()}


def test_each_penalty_shrinks_what_its_pruning_may_remove() -> None:
    assert shrunk("normal") == {INSIDE, TAIL}
    assert shrunk("shortcut") == {STEM, INSIDE, LAST, TAIL}
    assert shrunk("layer") == {LAST}


def test_layers_that_do_not_learn_are_not_shrunk() -> None:
    channels = learning_channels(graph(), "normal", TrainSettings(1, freeze=("001_*",)))
    assert {name for name, chosen in channels.items() if chosen.any()} == {TAIL}

    with pytest.raises(RecipeError, match="penalty layer: all layers that it shrinks are frozen"):
        learning_channels(graph(), "layer", TrainSettings(1, freeze=("002_*",)))


def test_a_network_without_batch_norm_is_refused() -> None:
    bare = parse_cfg(RESIDUAL.replace("batch_normalize=1\n", ""))

    with pytest.raises(RecipeError, match="penalty shortcut: this network has no batch-norm"):
        learning_channels(bare, "shortcut", TrainSettings(1))
    with pytest.raises(RecipeError, match=r"no convolution of its branch has batch-norm\); choose normal or shortcut"):
        learning_channels(bare, "layer", TrainSettings(1))


def row(map50: float) -> dict[str, float]:
    return {"start_map50": 0.8, "subset_map50": map50}


def test_an_automatic_strength_rises_while_the_guard_holds_and_falls_when_it_is_missed_by_far() -> None:
    rows = [row(0.795), {"loss": 1.0}, row(0.82), row(0.805), row(0.79)]

    found = [strength_after(rows[:count], 1.0, guard=0.01) for count in range(6)]

    assert found == [1.0, 1.5, 1.5, 2.25, 2.25, 1.125]


def test_a_strength_is_left_alone_while_there_is_no_accuracy_to_guard() -> None:
    assert strength_after([{"start_map50": 0.0, "subset_map50": 0.0}] * 9, 1.0, guard=0.01) == 1.0


@pytest.mark.parametrize(
    ("pictures", "training", "every", "expected"),
    [(64, 292, 0, Pace(6, 2)), (64, 292, 1, Pace(1, 2)), (64, 10**5, 0, Pace(1, 1))],
)
def test_measurements_take_about_a_tenth_of_a_training(
    pictures: int, training: int, every: int, expected: Pace
) -> None:
    assert pace_of(pictures, training, every) == expected


def sparse_network(zeros: int) -> Network:
    """A network whose tail has so many gammas of 0, of 6; all other gammas are 1."""
    network = Network(graph())
    with torch.no_grad():
        network.get_parameter(f"{TAIL}.norm.weight")[:zeros] = 0
    return network


def test_what_can_be_pruned_is_measured_on_networks_without_it() -> None:
    seen = []

    def accuracy(network: Network) -> float:
        """Falls with every channel that was worth something."""
        filters = {node.name: node.op.filters for node in network.graph if hasattr(node.op, "filters")}
        seen.append(filters)
        return 0.8 - 0.01 * max(0, 3 - filters[TAIL]) - 0.01 * (4 - filters[INSIDE])

    found = prunable(sparse_network(3), PruneTable(), accuracy, 0.8)

    assert len(seen) == 6
    assert 0.25 < found["prunable_0"] <= 0.4  # 3 of the 10 that normal pruning may remove
    assert found["prunable_0"] <= found["prunable_0.5"] < found["prunable_1"] < found["prunable_2"] <= 0.6
    assert 0 < found["prunable_params_0"] < found["prunable_params_2"] < 1
    assert {key for key in found if key.startswith("prunable_params_")} == {f"prunable_params_{p}" for p in LOSSES}


def test_of_method_layer_it_is_the_share_of_blocks() -> None:
    found = prunable(Network(graph()), PruneTable(method="layer"), lambda network: 0.5, 0.5)

    assert found["prunable_0"] == pytest.approx(1, abs=0.05)
    assert np.isclose(found["prunable_params_0"], 0.0)  # the only block goes at 1 alone


def test_the_spread_of_gammas_is_kept_epoch_by_epoch_whatever_was_interrupted(tmp_path: Path) -> None:
    start = np.array([0.5, 1.0, 1.0, 2.0])
    history = GammaHistory(tmp_path, start)
    for epoch in (1, 2, 3):
        history.add(epoch, start / (epoch + 1), {})

    GammaHistory(tmp_path, start).add(2, np.array([0.0, 0.0, 0.0, 9.0]), {"0.5": [(2, 0.3)]})

    header, *rows = (tmp_path / TABLE).read_text().splitlines()
    assert header.split(",")[-1] == "2.5"
    assert [row.split(",")[0] for row in rows] == ["0", "1", "2"]
    last = [float(share) for share in rows[-1].split(",")[1:]]
    assert (last[0], last[-1], sum(last)) == (0.75, 0.25, 1.0)
    assert cv2.imread(str(tmp_path / PLOT)).std() > 0


def test_gammas_of_another_training_are_not_mixed_in(tmp_path: Path) -> None:
    GammaHistory(tmp_path, np.ones(4)).add(1, np.ones(4), {})

    GammaHistory(tmp_path, np.full(4, 3.0)).add(2, np.ones(4), {})

    assert [line.split(",")[0] for line in (tmp_path / TABLE).read_text().splitlines()] == ["epoch", "0", "2"]
