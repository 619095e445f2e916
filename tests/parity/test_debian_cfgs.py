"""Every detector of Debian's darknet package: read, written, built, run, shrunk, and compared with OpenCV."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from yoloslim.compress.pruning.mask import mask
from yoloslim.compress.pruning.plan import PruningPlan
from yoloslim.compress.pruning.shrink import shrink
from yoloslim.graph.from_cfg import parse_cfg, read_cfg
from yoloslim.graph.graph import Graph
from yoloslim.graph.to_cfg import to_cfg
from yoloslim.nn.network import Network
from yoloslim.runtime.load import Model
from yoloslim.runtime.save import save_all

FOLDER = Path("/usr/share/darknet/cfg")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not FOLDER.is_dir(), reason="needs Debian's darknet package")]

DETECTORS = (
    "yolo9000",
    "yolov2",
    "yolov2-tiny",
    "yolov2-tiny-voc",
    "yolov2-voc",
    "yolov3",
    "yolov3-openimages",
    "yolov3-spp",
    "yolov3-tiny",
    "yolov3-voc",
)
MAX_ERROR = 1e-10
TOLERANCE = 1e-4


def test_these_are_all_of_them() -> None:
    texts = {path.stem: path.read_text() for path in FOLDER.glob("*.cfg")}

    assert {name for name, text in texts.items() if "[yolo]" in text or "[region]" in text} == set(DETECTORS)


@pytest.mark.parametrize("name", DETECTORS)
def test_a_cfg_is_read_and_written_back_as_the_same_network(name: str) -> None:
    graph = read_cfg(FOLDER / f"{name}.cfg")
    again = parse_cfg(to_cfg(graph))

    assert [(node.name, node.op, node.inputs) for node in again] == [(n.name, n.op, n.inputs) for n in graph]


@pytest.mark.parametrize("side", [64, 96])
@pytest.mark.parametrize("name", DETECTORS)
def test_a_network_runs_and_shrinks_exactly(
    name: str,
    side: int,
    with_random_weights: Callable[[Graph, int], Network],
    random_plan: Callable[[Graph, float, int], PruningPlan],
) -> None:
    graph = read_cfg(FOLDER / f"{name}.cfg").with_size(side, side)
    network = with_random_weights(graph, 0).double()
    plan = random_plan(graph, 0.5, 1)
    picture = torch.rand(1, 3, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

    small = shrink(network, plan)
    again = Network(parse_cfg(to_cfg(small.graph))).double().eval()
    again.load_state_dict(small.state_dict())

    with torch.inference_mode():
        for masked, found in zip(mask(network, plan)(picture), again(picture), strict=True):
            assert (masked - found).abs().max() <= MAX_ERROR * masked.abs().max()


@pytest.mark.parametrize("name", [name for name in DETECTORS if name != "yolo9000"])  # OpenCV has no class trees
def test_opencv_computes_the_same_head_maps(
    name: str,
    tmp_path: Path,
    pictures: list[np.ndarray],
    with_random_weights: Callable[[Graph, int], Network],
    our_head_maps: Callable,
    opencv_head_maps: Callable,
    difference: Callable,
) -> None:
    model = Model(with_random_weights(read_cfg(FOLDER / f"{name}.cfg").with_size(96, 96), 0))
    cfg, weights, _ = save_all(model, tmp_path, name)

    ours, theirs = our_head_maps(model.network, pictures[0]), opencv_head_maps(cfg, weights, pictures[0])

    assert difference(ours, theirs) <= TOLERANCE
