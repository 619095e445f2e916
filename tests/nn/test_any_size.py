"""Networks take any size that is a multiple of the stride, as rectangular batches and multi-scale need."""

from __future__ import annotations

import pytest
import torch

from yoloslim.graph.shapes import infer_shapes, largest_stride
from yoloslim.nn.network import Network
from yoloslim.zoo.catalog import find

NAMES = (
    "yolov2",
    "yolov2-tiny",
    "yolov3-spp",
    "yolov3-tiny-3l",
    "yolov4",
    "yolov4-csp",
    "yolov4-tiny",
    "yolov7-tiny",
    "yolov3-mobilenetv3",
    "ghostnet+yolov4-tiny",
    "efficientnet-b0+yolov3-tiny",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_network_gives_the_head_maps_of_one_made_for_that_size(name: str) -> None:
    graph = find(name, size=(96, 96), width=0.25)
    stride = largest_stride(graph)
    width, height = 5 * stride, 2 * stride
    torch.manual_seed(0)
    network = Network(graph).eval()
    own = Network(graph.with_size(width, height)).eval()
    own.load_state_dict(network.state_dict())
    images = torch.rand(1, 3, height, width)

    with torch.inference_mode():
        found, expected = network(images), own(images)

    shapes = infer_shapes(own.graph)
    for head, other, (node, _) in zip(found, expected, graph.heads, strict=True):
        assert head.shape[2:4] == shapes[node.name][1:]
        torch.testing.assert_close(head, other, rtol=0, atol=0)
