"""What we write OpenCV reads, and computes the same head maps from it: whole networks and pruned ones."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from yoloslim.compress.pruning.fold import fold
from yoloslim.compress.pruning.methods import METHODS, PruneSettings, plan_pruning
from yoloslim.compress.pruning.plan import PruningPlan
from yoloslim.compress.pruning.shrink import shrink
from yoloslim.graph.cost import total_cost
from yoloslim.graph.graph import Graph
from yoloslim.nn.network import Network
from yoloslim.runtime.load import Model
from yoloslim.runtime.save import save_all
from yoloslim.zoo.catalog import find

TOLERANCE = 1e-4
SIZE = (128, 96)

PUBLISHED = ["yolov3-tiny", "yolo-fastest-1.1-xl", "yolo-fastest-1.1", "MobileNetV2-YOLOv3-Nano-coco", "yoloface-500k"]
ZOO = [
    pytest.param("yolov3-tiny", 1.0, id="yolov3-tiny"),
    pytest.param("yolov4-tiny", 1.0, id="yolov4-tiny"),
    pytest.param("yolov3", 0.25, id="yolov3-quarter"),
    pytest.param("yolov4", 0.25, id="yolov4-quarter"),
    pytest.param("yolov3", 1.0, id="yolov3", marks=pytest.mark.slow),
    pytest.param("yolov4", 1.0, id="yolov4", marks=pytest.mark.slow),
]
PLANS = ["normal at 20 %", "half of all lanes, seed 0", "half of all lanes, seed 1"]
WITHOUT_BLOCKS = ["yolov3-tiny"]
APPLICABLE = [(n, m) for n in PUBLISHED for m in METHODS if not (METHODS[m].blocks and n in WITHOUT_BLOCKS)]

Difference = Callable[[Model], float]


@pytest.fixture
def difference_from_opencv(
    tmp_path: Path,
    pictures: list[np.ndarray],
    our_head_maps: Callable,
    opencv_head_maps: Callable,
    difference: Callable,
) -> Difference:
    """Writes a model and gives how far its head maps in memory are from OpenCV's on the written files."""

    def compare(model: Model) -> float:
        cfg, weights, _ = save_all(model, tmp_path, "written")
        return difference(our_head_maps(model.network, pictures[1]), opencv_head_maps(cfg, weights, pictures[1]))

    return compare


@pytest.fixture
def plan_for(random_plan: Callable[[Graph, float, int], PruningPlan]) -> Callable[[Network, str], PruningPlan]:
    def plan(network: Network, description: str) -> PruningPlan:
        if description == "normal at 20 %":
            return plan_pruning(network, "normal", PruneSettings(0.2))
        return random_plan(network.graph, 0.5, int(description[-1]))

    return plan


def pruned(model: Model, plan: PruningPlan) -> Model:
    return replace(model, network=shrink(fold(model.network, plan), plan))


def is_smaller(small: Model, large: Model) -> bool:
    return total_cost(small.graph).params < 0.9 * total_cost(large.graph).params


@pytest.mark.parametrize("name", PUBLISHED)
def test_opencv_computes_our_head_maps_from_a_published_network_that_we_wrote_again(
    name: str, published: Callable[[str], Model], difference_from_opencv: Difference
) -> None:
    assert difference_from_opencv(published(name)) <= TOLERANCE


@pytest.mark.parametrize("description", PLANS)
@pytest.mark.parametrize("name", PUBLISHED)
def test_opencv_computes_our_head_maps_from_a_pruned_published_network(
    name: str,
    description: str,
    published: Callable[[str], Model],
    plan_for: Callable,
    difference_from_opencv: Difference,
) -> None:
    model = published(name)

    small = pruned(model, plan_for(model.network, description))

    assert is_smaller(small, model)
    assert difference_from_opencv(small) <= TOLERANCE


@pytest.mark.parametrize(("name", "method"), APPLICABLE)
def test_opencv_computes_our_head_maps_after_every_method(
    name: str, method: str, published: Callable[[str], Model], difference_from_opencv: Difference
) -> None:
    model = published(name)
    percent = 0.0 if method == "layer" else 0.3

    small = pruned(model, plan_pruning(model.network, method, PruneSettings(percent, normalize="layer")))

    assert total_cost(small.graph).params < total_cost(model.graph).params
    assert difference_from_opencv(small) <= TOLERANCE


@pytest.mark.parametrize(("name", "width"), ZOO)
def test_opencv_computes_our_head_maps_from_a_zoo_network_with_random_weights(
    name: str, width: float, with_random_weights: Callable, difference_from_opencv: Difference
) -> None:
    network = with_random_weights(find(name, size=SIZE, width=width), 0)

    assert difference_from_opencv(Model(network)) <= TOLERANCE


@pytest.mark.parametrize("description", PLANS)
@pytest.mark.parametrize(("name", "width"), ZOO)
def test_opencv_computes_our_head_maps_from_a_pruned_zoo_network(
    name: str,
    width: float,
    description: str,
    with_random_weights: Callable,
    plan_for: Callable,
    difference_from_opencv: Difference,
) -> None:
    model = Model(with_random_weights(find(name, size=SIZE, width=width), 0))

    small = pruned(model, plan_for(model.network, description))

    assert is_smaller(small, model)
    assert difference_from_opencv(small) <= TOLERANCE


@pytest.mark.parametrize(("name", "width"), ZOO)
def test_random_weights_give_head_maps_that_depend_on_the_picture(
    name: str,
    width: float,
    pictures: list[np.ndarray],
    with_random_weights: Callable,
    our_head_maps: Callable,
    difference: Callable,
) -> None:
    network = with_random_weights(find(name, size=SIZE, width=width), 0)

    first, second = (our_head_maps(network, picture) for picture in pictures[:2])

    assert difference(first, second) > 100 * TOLERANCE
    assert max(np.abs(head).max() for head in first) < 1e5
