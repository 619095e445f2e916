"""Debian's darknet package: its detectors read, written, built, run, shrunk and compared with OpenCV; its classifiers
read as backbones; what else it has refused by name.
"""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from yoloslim.cfg.sections import write_sections
from yoloslim.compress.pruning.mask import mask
from yoloslim.compress.pruning.plan import PruningPlan
from yoloslim.compress.pruning.shrink import shrink
from yoloslim.errors import CfgError
from yoloslim.graph.from_cfg import parse_cfg, read_cfg
from yoloslim.graph.graph import Graph
from yoloslim.graph.lanes import trace_lanes
from yoloslim.graph.ops import Convolution
from yoloslim.graph.to_cfg import to_cfg
from yoloslim.nn.network import Network
from yoloslim.runtime.load import Model
from yoloslim.runtime.save import save_all
from yoloslim.weights.darknet import read_weights, write_weights

FOLDER = Path("/usr/share/darknet/cfg")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not FOLDER.is_dir(), reason="needs Debian's darknet package")]

REFUSED = {
    "go": "[reorg] extra=1: only the plain form is supported",
    "go.test": "[reorg] extra=1: only the plain form is supported",
    "gru": "[gru] layers that remember earlier pictures are not supported",
    "rnn": "[rnn] layers that remember earlier pictures are not supported",
    "rnn.train": "[rnn] layers that remember earlier pictures are not supported",
}
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
    assert (~plan.keep).sum() > 0.3 * (~trace_lanes(graph).fixed).sum()
    picture = torch.rand(1, 3, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

    small = shrink(network, plan)
    again = Network(parse_cfg(to_cfg(small.graph))).double().eval()
    again.load_state_dict(small.state_dict())

    with torch.inference_mode():
        for masked, found in zip(mask(network, plan)(picture), again(picture), strict=True):
            assert found.isfinite().all()
            assert (masked - found).abs().max() <= MAX_ERROR * masked.abs().max()


@pytest.mark.parametrize("name", [name for name in DETECTORS if name != "yolo9000"])  # OpenCV refuses class trees
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


def test_every_other_cfg_is_read_as_a_backbone_and_written_back_as_the_same() -> None:
    others = sorted({path.stem for path in FOLDER.glob("*.cfg")} - set(DETECTORS) - REFUSED.keys())
    assert len(others) > 25

    for name in others:
        graph = read_cfg(FOLDER / f"{name}.cfg")
        again = parse_cfg(to_cfg(graph))

        assert not graph.heads
        assert sum(isinstance(node.op, Convolution) for node in graph) >= 4
        assert write_sections(again.tail) == write_sections(graph.tail)
        assert [(node.op, node.inputs) for node in again] == [(node.op, node.inputs) for node in graph]


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_honoured_is_refused_by_name_and_line(name: str) -> None:
    path = FOLDER / f"{name}.cfg"
    with pytest.raises(CfgError, match=rf"^{re.escape(str(path))}:\d+: {re.escape(REFUSED[name])}"):
        read_cfg(path)


@pytest.mark.parametrize(
    ("classifier", "detector", "layers"),
    [("darknet53", "yolov3", 74), ("darknet53", "yolov3-spp", 74), ("darknet19", "yolov2", 23)],
)
def test_the_weights_of_a_classifier_load_into_the_detector_with_its_backbone(
    classifier: str, detector: str, layers: int, tmp_path: Path, with_random_weights: Callable[[Graph, int], Network]
) -> None:
    network = with_random_weights(read_cfg(FOLDER / f"{classifier}.cfg"), 0)
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    write_weights(tmp_path / "classifier.weights", network.graph, tensors)

    found = read_weights(tmp_path / "classifier.weights", read_cfg(FOLDER / f"{detector}.cfg"))

    backbone = {name for name in tensors if int(name[:3]) < layers}
    assert found.tensors.keys() == backbone
    assert all(np.array_equal(found.tensors[name], tensors[name]) for name in backbone)
    assert found.covered in (layers, layers - 1)  # a shortcut at its end has no weights
