"""What a cell is said to see is what changes it."""

import math

import pytest
import torch

from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.graph import Graph
from yoloslim.graph.receptive_field import receptive_fields
from yoloslim.nn.network import Network
from yoloslim.zoo.catalog import find

SIDE = 96
NET = f"[net]\nwidth={SIDE}\nheight={SIDE}\nchannels=1\n"
HEAD = "[convolutional]\nfilters=18\nactivation=linear\n[yolo]\nmask=0,1,2\nanchors=4,4,8,8,16,16\nclasses=1\n"
CONVOLUTION = "[convolutional]\nfilters=2\nsize={}\nstride={}\npad=1\nactivation=linear\n"


def span_of_read_columns(graph: Graph) -> int:
    """Gives how far apart the columns of the picture lie on which a cell in the middle of the head map depends.

    A column of NaN makes every cell NaN that reads it, whatever the weights.
    """
    pictures = torch.zeros(SIDE, 1, SIDE, SIDE)
    pictures[range(SIDE), :, :, range(SIDE)] = math.nan
    with torch.inference_mode():
        (head,) = Network(graph).eval()(pictures)
    poisoned = head.isnan()[:, 0, :, :, 0].any(1)  # pictures, columns of the head map
    columns = poisoned[:, poisoned.shape[1] // 2].nonzero()
    return int(columns[-1] - columns[0]) + 1


@pytest.mark.parametrize(
    ("layers", "width"),
    [
        ("", 1),
        (CONVOLUTION.format(3, 1), 3),
        (CONVOLUTION.format(3, 2) + CONVOLUTION.format(5, 1), 3 + 4 * 2),
        ("[convolutional]\nfilters=2\nsize=3\npad=1\ndilation=3\nactivation=linear\n", 7),
        ("[depthwise]\nsize=5\nstride=2\npad=1\nactivation=linear\n", 5),
        ("[maxpool]\nsize=2\nstride=2\n[maxpool]\nsize=2\nstride=1\n", 2 + 2),
        (CONVOLUTION.format(3, 2) + "[upsample]\nstride=2\n" + CONVOLUTION.format(3, 1), 3 + 2),
        (CONVOLUTION.format(7, 1) + CONVOLUTION.format(3, 1) + "[route]\nlayers=-1,-2\n", 9),
        (CONVOLUTION.format(7, 1) + CONVOLUTION.format(3, 1) + "[shortcut]\nfrom=-2\nactivation=linear\n", 9),
        ("[reorg3d]\nstride=2\n" + CONVOLUTION.format(3, 1), 2 + 2 * 2),
        ("[convolutional]\nfilters=2\nsize=3\npad=1\nstride_x=2\nstride_y=1\n" + CONVOLUTION.format(3, 1), 3 + 4),
    ],
)
def test_a_cell_depends_on_columns_as_far_apart_as_it_is_said_to_see(layers: str, width: int) -> None:
    graph = parse_cfg(NET + layers + HEAD)

    assert receptive_fields(graph)[graph.heads[0][0].name].width == width == span_of_read_columns(graph)


def test_strides_of_two_kinds_see_a_rectangle() -> None:
    graph = parse_cfg(
        NET + "[convolutional]\nsize=3\nstride_x=4\nstride_y=2\npad=1\n" + CONVOLUTION.format(3, 1) + HEAD
    )

    field = receptive_fields(graph)["001_convolutional"]

    assert (field.width, field.height) == (11, 7)


def test_the_mean_of_a_map_sees_everything_and_a_scale_by_it_nothing_new() -> None:
    graph = find("yolov3tiny-efficientnet-b0")
    fields = receptive_fields(graph)
    means = next(node for node in graph if "avgpool" in node.name)
    scaled = next(node for node in graph if "scale_channels" in node.name)

    assert fields[means.name].width == math.inf
    assert fields[scaled.name] == fields[means.inputs[0]]


def test_steps_are_strides() -> None:
    graph = find("yolov3")
    fields = receptive_fields(graph)

    assert [fields[node.name].step_x for node, _ in graph.heads] == [32, 16, 8]
