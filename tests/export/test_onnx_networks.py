"""Whole networks give the same head maps in onnxruntime and in torch."""

import copy
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from yoloslim.boxes.placement import place, to_batch
from yoloslim.cfg.schema import ACTIVATIONS
from yoloslim.engine.recalibrate import recalibrate
from yoloslim.export.onnx import written_nodes
from yoloslim.graph.from_cfg import parse_cfg, read_cfg
from yoloslim.graph.graph import Graph
from yoloslim.graph.ops import Convolution
from yoloslim.nn.network import Network
from yoloslim.recipes.export import MAX_REL_DIFF
from yoloslim.runtime.load import load
from yoloslim.zoo.catalog import find, networks

PUBLISHED = ["yolov3-tiny", "MobileNetV2-YOLOv3-Nano-coco", "yolo-fastest-1.1", "yolo-fastest-1.1-xl", "yoloface-500k"]

# Each reads a map of 8 channels and gives one of the same size and channels, so that any row of them is a network.
CONVOLUTION = "[convolutional]\nfilters=8\nsize=3\npad=1\nbatch_normalize=1\nactivation={}"
BLOCKS = [
    CONVOLUTION,
    f"{CONVOLUTION}\ngroups=4",
    "[depthwise]\nsize=3\npad=1\nbatch_normalize=1\nactivation={}",
    f"{CONVOLUTION}\n[shortcut]\nfrom=-2\nactivation=leaky",
    f"[convolutional]\nfilters=5\nactivation={{}}\n[shortcut]\nfrom=-2\n{CONVOLUTION}",
    f"[convolutional]\nfilters=11\nactivation={{}}\n[shortcut]\nfrom=-2,-2\n{CONVOLUTION}",
    f"{CONVOLUTION}\n[route]\nlayers=-1,-2\n[convolutional]\nfilters=8",
    "[route]\nlayers=-1\ngroups=2\ngroup_id=1\n[convolutional]\nfilters=4\nactivation={}\n[route]\nlayers=-1,-2",
    "[maxpool]\nsize=2\nstride=1",
    "[maxpool]\nsize=5\nstride=1",
    "[maxpool]\nsize=2\nstride=2\n[upsample]\nstride=2\nscale=0.5",
    "[avgpool]\n[convolutional]\nfilters=8\nactivation={}\n[scale_channels]\nfrom=-3\nactivation=relu",
    "[convolutional]\nfilters=1\n[scale_channels]\nfrom=-2\nscale_wh=1\nactivation={}",
    "[se]\nreduction=2",
    "[dropout]\nprobability=0.5",
    f"{CONVOLUTION}\nantialiasing=1",
    f"{CONVOLUTION}\n{CONVOLUTION}\nshare_index=-1",
    f"{CONVOLUTION}\n[shortcut]\nfrom=-2\nweights_type=per_channel\nweights_normalization=softmax",
    "[convolutional]\nfilters=8\nactivation=logistic\n[sam]\nfrom=-2\nactivation={}",
    "[local_avgpool]\nsize=3\nstride=1",
    "[maxpool]\nsize=2\nstride=1\nantialiasing=1",
    "[maxpool]\nmaxpool_depth=1\nout_channels=3\n[convolutional]\nfilters=8",
    "[empty]",
    "[route]\nlayers=-1",
]
blocks = st.builds(str.replace, st.sampled_from(BLOCKS), st.just("{}"), st.sampled_from(sorted(ACTIVATIONS)))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(sections=st.lists(blocks, min_size=1, max_size=6), seed=st.integers(0, 99))
def test_any_network_gives_what_torch_gives(
    tiny: Callable[..., Graph], random_network, difference, noise, sections: list[str], seed: int
) -> None:
    network = random_network(tiny(CONVOLUTION.format("leaky"), *sections, size=(12, 16)), seed)
    batch = noise(2, 3, 16, 12)

    assert difference(network, batch) <= max(MAX_REL_DIFF, 10 * rounding(network, batch))


def rounding(network: Network, batch: NDArray[np.float32]) -> float:
    """How far torch in float32 is from torch in float64: far, where shares of sums near 0 are taken (normalize_*)."""
    pictures = torch.from_numpy(batch)
    with torch.inference_mode():
        pairs = zip(network(pictures), copy.deepcopy(network).double()(pictures.double()), strict=True)
        return max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)


@pytest.mark.parametrize("name", networks())
def test_a_narrow_network_of_the_zoo_gives_what_torch_gives(name: str, random_network, difference, noise) -> None:
    graph = find(name, classes=3, size=(96, 64), width=0.25)

    assert difference(random_network(graph), noise(2, 3, 64, 96)) <= MAX_REL_DIFF


@pytest.mark.slow
@pytest.mark.parametrize("name", networks())
def test_a_network_of_the_zoo_gives_what_torch_gives(name: str, random_network, difference, noise) -> None:
    graph = find(name)
    batch = noise(1, *graph.input_shape)
    network = random_network(graph)
    if any(isinstance(node.op, Convolution) and node.op.activation == "logistic" for node in graph):
        # A deep random network gives huge values, and a logistic makes 0 or 1 of their last bits: torch in float32
        # differs from torch in float64 then. With the statistics of its own maps values stay small.
        network = recalibrate(network, [torch.from_numpy(batch)])

    found = difference(network, batch)
    assert found <= MAX_REL_DIFF or found <= 10 * rounding(network, batch)


@pytest.mark.medium
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_weights_give_what_torch_gives(name: str, weights_dir: Path, data_dir: Path, difference) -> None:
    network = load(weights_dir / f"{name}.weights", read_cfg(weights_dir / f"{name}.cfg")).network
    _, height, width = network.graph.input_shape
    pictures = [cv2.imread(str(path)) for path in sorted((data_dir / "images").glob("*.jpg"))]

    batch = to_batch([place(picture, (width, height), "letterbox")[0] for picture in pictures])

    assert len(batch) == 5
    assert difference(network, batch) <= MAX_REL_DIFF


def test_a_file_takes_batches_of_any_length(tiny, random_network, exported, noise) -> None:
    backend = exported(random_network(tiny(CONVOLUTION.format("mish")))).backend
    batch = noise(5, 3, 16, 16)

    whole = backend(batch)[0]

    assert whole.shape == (5, 2, 16, 16, 6)
    one_by_one = np.concatenate([backend(batch[i : i + 1])[0] for i in range(5)])
    np.testing.assert_allclose(one_by_one, whole, rtol=0, atol=1e-5)


def test_the_weights_that_layers_share_are_stored_once(tiny, random_network, exported, difference, noise) -> None:
    shared = CONVOLUTION.format("leaky") + "\nshare_index=-1"
    network = random_network(tiny(CONVOLUTION.format("leaky"), CONVOLUTION.format("leaky"), shared))
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}

    nodes, constants = written_nodes(network.graph, tensors)

    assert [node.inputs[1] for node in nodes if node.kind == "Conv"][1:3] == ["001_convolutional.weight"] * 2
    assert sum(name.endswith(".weight") for name in constants) == 3
    assert difference(network, noise(2, 3, 16, 16)) <= MAX_REL_DIFF


def test_a_gaussian_head_gives_what_torch_gives(random_network, difference, noise) -> None:
    head = "[convolutional]\nfilters=20\nactivation=linear\n[Gaussian_yolo]\nmask=0,1\nclasses=1\nanchors=4,4, 6,8"
    graph = parse_cfg(f"[net]\nwidth=16\nheight=16\n{CONVOLUTION.format('leaky')}\n{head}")

    assert difference(random_network(graph), noise(2, 3, 16, 16)) <= MAX_REL_DIFF
