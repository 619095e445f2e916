"""Networks of the originals' dialect in Darknet's own layers compute the same."""

from pathlib import Path

import pytest
import torch

from yoloslim.errors import TargetError
from yoloslim.export.darknet import darknet_form
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.graph import Graph
from yoloslim.graph.ops import Depthwise, SqueezeExcite
from yoloslim.graph.to_cfg import to_cfg
from yoloslim.nn.network import Network, load_tensors
from yoloslim.recipes.export import export_darknet, random_batch
from yoloslim.runtime.load import Model, load
from yoloslim.zoo.catalog import find

HEAD = "[convolutional]\nfilters=21\nactivation=linear\n[yolo]\nmask=0,1,2\nanchors=4,4,8,8,16,16\nclasses=2\n"
CFG = (
    "[net]\nwidth=64\nheight=64\n[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\nstride=2\npad=1\nactivation=relu\n"
    "[depthwise]\nbatch_normalize=1\nsize=3\npad=1\nactivation=relu\n[se]\n[convolutional]\nfilters=8\nactivation=linear\n"
    "[shortcut]\nfrom=0\nactivation=linear\n[route]\nlayers=-1,1\n[depthwise]\nsize=3\nstride=2\npad=1\nactivation=leaky\n"
    "[se]\nreduction=2\n" + HEAD
)


def in_darknets_layers(network: Network) -> Network:
    """The other form, read again from its text."""
    graph, tensors = darknet_form(network.graph, {k: v.numpy() for k, v in network.state_dict().items()})
    made = Network(parse_cfg(to_cfg(graph))).eval()
    load_tensors(made, tensors)
    return made


def largest_difference(first: Network, second: Network, side: int = 64) -> float:
    images = torch.from_numpy(random_batch((3, side, side), 0)).double()
    with torch.inference_mode():
        pairs = zip(first.double()(images), second.double()(images), strict=True)
        return max(float((a - b).abs().max() / a.abs().max()) for a, b in pairs)


@pytest.mark.parametrize(
    "graph",
    [
        pytest.param(parse_cfg(CFG), id="both in one"),
        pytest.param(find("ghostnet+yolov3-tiny", size=(64, 64), width=0.25), id="ghostnet"),
        pytest.param(find("efficientnet-b0+yolov3-tiny", size=(64, 64), width=0.25), id="efficientnet"),
    ],
)
def test_the_form_of_darknet_computes_the_same(graph: Graph, random_network) -> None:
    network = random_network(graph)

    other = in_darknets_layers(network)

    assert not any(isinstance(node.op, Depthwise | SqueezeExcite) for node in other.graph)
    assert largest_difference(network, other) <= 1e-6


def test_activations_that_darknet_has_not_are_named() -> None:
    network = Network(find("yolov3tiny-mobilenetv3-small", size=(64, 64), width=0.25))

    with pytest.raises(
        TargetError, match=r"activation=h_swish in 000_convolutional, .* and \d+ more is none of Darknet's"
    ):
        darknet_form(network.graph, {})


def test_files_are_written_that_load_by_themselves(tmp_path: Path, random_network) -> None:
    model = Model(random_network(parse_cfg(CFG)))

    parity = export_darknet(model, tmp_path / "my.cfg", [random_batch((3, 64, 64), 0)])

    again = load(tmp_path / "my.weights", parse_cfg((tmp_path / "my.cfg").read_text()))
    assert parity.max_rel_diff <= 1e-5
    assert "[se]" not in (tmp_path / "my.cfg").read_text()
    assert largest_difference(model.network, again.network) <= 1e-5


def test_references_to_weights_follow_the_layers_that_are_put_in(random_network) -> None:
    conv = "[convolutional]\nbatch_normalize=1\nfilters=3\nactivation=leaky\n"
    network = random_network(parse_cfg(f"[net]\nwidth=64\nheight=64\n{conv}[se]\n{conv}{conv}share_index=2\n{HEAD}"))

    other = in_darknets_layers(network)

    assert [(node.name, node.weights_of) for node in other.graph if node.weights_of] == [
        ("007_convolutional", "006_convolutional")
    ]
    assert largest_difference(network, other) <= 1e-6


def test_layers_of_darknet_stay_as_they_are(random_network) -> None:
    layers = (
        "[convolutional]\nfilters=8\nactivation=leaky\nantialiasing=1\nstride=2\n[local_avgpool]\nsize=3\n"
        "[shortcut]\nfrom=0\nweights_type=per_channel\nweights_normalization=relu\n[sam]\nfrom=0\n"
    )
    network = random_network(parse_cfg(f"[net]\nwidth=64\nheight=64\n{layers}{HEAD}"))

    other = in_darknets_layers(network)

    assert [(node.op, node.inputs) for node in other.graph] == [(node.op, node.inputs) for node in network.graph]
    assert largest_difference(network, other) == 0
