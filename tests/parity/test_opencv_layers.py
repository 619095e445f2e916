"""Layers that OpenCV knows too: the same head maps from random weights.

It reads weighted shortcuts, shared weights, ``antialiasing`` and ``maxpool_depth`` as if these words were not there and
refuses ``[local_avgpool]`` and ``[Gaussian_yolo]``: those are compared with Darknet's loops, in ``tests/nn``.
"""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from yoloslim.compress.pruning.shrink import shrink
from yoloslim.graph.from_cfg import parse_cfg, read_cfg
from yoloslim.nn.network import Network
from yoloslim.runtime.load import Model
from yoloslim.runtime.save import save_all
from yoloslim.weights.darknet import write_weights

TOLERANCE = 1e-4

CONV = "[convolutional]\nbatch_normalize=1\nfilters={}\nsize=3\npad=1\nstride={}\nactivation=leaky\n"
GATE = "[convolutional]\nbatch_normalize=1\nfilters=16\nsize=1\nactivation=logistic\n"
LAST = "[convolutional]\nfilters=18\nsize=1\nactivation=linear\n"
HEAD = f"{LAST}[yolo]\nmask=0,1,2\nanchors=4,4, 8,8, 16,16\nnum=3\nclasses=1\n"
NET = "[net]\nwidth=64\nheight=96\nchannels=3\n"
NETWORKS = {
    "product": CONV.format(16, 2) + GATE + "[sam]\nfrom=-2\n" + CONV.format(8, 2) + HEAD,
    "activated product": CONV.format(16, 2) + CONV.format(16, 1) + "[sam]\nfrom=-2\nactivation=leaky\n" + HEAD,
    "product with an earlier map": CONV.format(16, 2) + CONV.format(24, 1) + GATE + "[sam]\nfrom=0\n" + HEAD,
}


@pytest.mark.parametrize("pruned", [False, True], ids=["whole", "half of its lanes"])
@pytest.mark.parametrize("name", NETWORKS)
def test_opencv_computes_the_same_head_maps(
    name: str,
    pruned: bool,
    tmp_path: Path,
    pictures: list[np.ndarray],
    with_random_weights: Callable,
    random_plan: Callable,
    our_head_maps: Callable,
    opencv_head_maps: Callable,
    difference: Callable,
) -> None:
    network = with_random_weights(parse_cfg(NET + NETWORKS[name]), 0)
    if pruned:
        network = shrink(network, random_plan(network.graph, 0.5, 1))
    cfg, weights, _ = save_all(Model(network), tmp_path, "written")

    ours, theirs = our_head_maps(network, pictures[0]), opencv_head_maps(cfg, weights, pictures[0])

    assert difference(ours, theirs) <= TOLERANCE


@pytest.mark.parametrize("noadjust", [0, 1])
def test_opencv_cuts_the_same_middle(noadjust: int, tmp_path: Path, pictures: list[np.ndarray]) -> None:
    cfg = tmp_path / "crop.cfg"
    cfg.write_text(f"{NET}[crop]\ncrop_width=31\ncrop_height=64\nnoadjust={noadjust}\n")
    write_weights(tmp_path / "crop.weights", read_cfg(cfg), {})
    picture = cv2.dnn.blobFromImage(cv2.resize(pictures[0], (64, 96)), 1 / 255, swapRB=True)

    net = cv2.dnn.readNetFromDarknet(str(cfg), str(tmp_path / "crop.weights"))
    net.setInput(picture)
    with torch.inference_mode():
        ours = Network(read_cfg(cfg)).get_submodule("000_crop")(torch.from_numpy(picture))

    np.testing.assert_allclose(ours.numpy(), net.forward(), atol=1e-6)
