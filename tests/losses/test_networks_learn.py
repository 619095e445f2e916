"""Networks of Darknet's layers learn where one square lies: gradients reach every weight they have."""

import pytest
import torch
from torch import Tensor

from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.losses.detection import LossSettings, detection_loss
from yoloslim.nn.network import Network

CONV = "[convolutional]\nbatch_normalize=1\nfilters=16\nsize=3\npad=1\nactivation=leaky\n"
BACKBONE = "[net]\nwidth=32\nheight=32\n" + f"{CONV}stride=2\nantialiasing=1\n" + f"{CONV}stride=2\n"
YOLO = "[convolutional]\nfilters=7\nactivation=linear\n[yolo]\nmask=0\nanchors=10,10\nclasses=2\n"
NETWORKS = {
    "weighted and shared": BACKBONE
    + CONV
    + f"{CONV}share_index=-1\n"
    + "[shortcut]\nfrom=-2\nweights_type=per_channel\nweights_normalization=softmax\n[sam]\nfrom=-1\n"
    + "[dropout]\nprobability=.1\ndropblock=1\ndropblock_size_abs=2\n"
    + YOLO,
    "pooled": BACKBONE
    + "[local_avgpool]\nsize=3\nstride=1\n[maxpool]\nmaxpool_depth=1\nout_channels=8\n"
    + "[shortcut]\nfrom=0\nweights_type=per_feature\n"
    + YOLO,
    "with a Gaussian head": BACKBONE + YOLO.replace("filters=7", "filters=11").replace("[yolo]", "[Gaussian_yolo]"),
}


def squares(seed: int) -> tuple[Tensor, Tensor]:
    """Four pictures with one white square each, and where it is."""
    corners = torch.randint(0, 22, (4, 2), generator=torch.Generator().manual_seed(seed)).tolist()
    images = torch.zeros(4, 3, 32, 32)
    for index, (x, y) in enumerate(corners):
        images[index, :, y : y + 10, x : x + 10] = 1
    rows = [[i, i % 2, (x + 5) / 32, (y + 5) / 32, 10 / 32, 10 / 32] for i, (x, y) in enumerate(corners)]
    return images, torch.tensor(rows)


@pytest.mark.parametrize("name", NETWORKS)
def test_boxes_come_to_fit(name: str) -> None:
    torch.manual_seed(0)
    network = Network(parse_cfg(NETWORKS[name])).train()
    yolos = [yolo for _, yolo in network.graph.heads]
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    settings, boxes = LossSettings(assignment="threshold"), []  # the same cells answer all along

    for step in range(80):
        images, targets = squares(step)
        terms = detection_loss(network(images), targets, yolos, (32, 32), settings)
        optimizer.zero_grad()
        terms.total.backward()
        assert all(parameter.grad is not None for parameter in network.parameters())
        torch.nn.utils.clip_grad_norm_(network.parameters(), 10, error_if_nonfinite=True)
        optimizer.step()
        boxes.append(terms.box.item())

    assert sum(boxes[-10:]) < 0.75 * sum(boxes[:10])
