"""The network that runs a graph: the right maps at the right time, under the right names."""

import weakref
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from yoloslim.errors import CfgError, WeightsError
from yoloslim.graph.from_cfg import parse_cfg, read_cfg
from yoloslim.graph.graph import IMAGE, Graph
from yoloslim.graph.ops import Yolo
from yoloslim.nn.build import build_module
from yoloslim.nn.network import Network, load_tensors
from yoloslim.weights.layout import tensor_shapes
from yoloslim.zoo.catalog import find, networks

NET = "[net]\nwidth=16\nheight=16\nchannels=3\n"
HEAD = "[convolutional]\nfilters=6\nactivation=linear\n[yolo]\nmask=0\nclasses=1\nanchors=4,4\n"
PUBLISHED = (
    "yolov3-tiny",
    "yolo-fastest-1.1",
    "yolo-fastest-1.1-xl",
    "MobileNetV2-YOLOv3-Nano-coco",
    "yoloface-500k",
)


def conv(filters: int, *more: str) -> str:
    return "\n".join(["[convolutional]", f"filters={filters}", "activation=leaky", *more, ""])


# Layer 0 is read by the next one, twice by a route, and last by a shortcut after the first head.
LATE = (
    NET
    + conv(4)
    + conv(4)
    + "[shortcut]\nfrom=0\n"
    + "[route]\nlayers=0,-1,0\n"
    + HEAD
    + "[route]\nlayers=1\n[shortcut]\nfrom=0,2\n"
    + HEAD
)


def network_of(graph: Graph, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return Network(graph).double().eval()


def picture(side: int = 16, batch: int = 2) -> Tensor:
    return torch.rand(batch, 3, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def run_plainly(network: Network, images: Tensor) -> list[Tensor]:
    """Runs the graph node by node and keeps every map."""
    maps = {IMAGE: images}
    for node in network.graph:
        maps[node.name] = network.get_submodule(node.name)(*(maps[name] for name in node.inputs))
    return [maps[node.name] for node, _ in network.graph.heads]


@pytest.mark.parametrize("graph", [parse_cfg(LATE), find("yolov4-tiny", width=0.25)], ids=["late", "yolov4-tiny"])
def test_layers_read_late_and_by_several_give_the_right_heads(graph: Graph) -> None:
    network, images = network_of(graph), picture(side=64)
    with torch.inference_mode():
        for found, expected in zip(network(images), run_plainly(network, images), strict=True):
            assert torch.equal(found, expected)


def test_a_map_is_freed_as_soon_as_nothing_reads_it_any_more() -> None:
    alive: list[weakref.ref[Tensor]] = []
    counts = []

    def watch(name: str, output: Tensor) -> Tensor:
        copied = output.clone()
        alive.append(weakref.ref(copied))
        counts.append(sum(reference() is not None for reference in alive))
        return copied

    with torch.inference_mode():
        network_of(parse_cfg(NET + conv(4) * 6 + HEAD))(picture(), tap=watch)

    assert counts == [1, 2, 2, 2, 2, 2, 2, 2]


def test_a_tap_sees_every_node_in_order_and_replaces_its_output() -> None:
    network, seen = network_of(parse_cfg(LATE)), []

    def silence_second(name: str, output: Tensor) -> Tensor:
        seen.append(name)
        return torch.zeros_like(output) if name == "001_convolutional" else output

    with torch.inference_mode():
        found = network(picture(), tap=silence_second)
        network.get_submodule("001_convolutional").conv.weight.zero_()  # type: ignore[union-attr, operator]
        network.get_submodule("001_convolutional").conv.bias.zero_()  # type: ignore[union-attr, operator]
        expected = network(picture())

    assert seen == [node.name for node in network.graph]
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_a_head_map_has_an_axis_for_anchors_and_one_for_what_they_say() -> None:
    head = "[yolo]\nmask=1,2\nclasses=3\nanchors=1,1,2,2,3,3\n"
    network = network_of(parse_cfg(NET + conv(16, "stride=2") + head))
    maps: dict[str, Tensor] = {}
    with torch.inference_mode():
        (found,) = network(picture(), tap=lambda name, output: maps.setdefault(name, output))

    assert found.shape == (2, 2, 8, 8, 8)
    for anchor, value in [(0, 0), (0, 7), (1, 4)]:
        assert torch.equal(found[:, anchor, :, :, value], maps["000_convolutional"][:, 8 * anchor + value])


@pytest.mark.parametrize("name", sorted(networks()))
def test_tensors_of_a_zoo_network_are_named_and_shaped_as_its_files_expect(name: str) -> None:
    graph = find(name, width=0.25)
    assert {key: tuple(t.shape) for key, t in Network(graph).state_dict().items()} == tensor_shapes(graph)


@pytest.mark.parametrize("name", PUBLISHED)
def test_tensors_of_a_published_network_are_named_and_shaped_as_its_files_expect(name: str, weights_dir: Path) -> None:
    graph = read_cfg(weights_dir / f"{name}.cfg")
    assert {key: tuple(t.shape) for key, t in Network(graph).state_dict().items()} == tensor_shapes(graph)


def test_tensors_of_ops_of_other_dialects_are_named_as_their_files_expect() -> None:
    graph = parse_cfg(
        NET + conv(8) + "[depthwise]\nsize=3\npad=1\nbatch_normalize=1\n[se]\n" + conv(4, "groups=2") + HEAD
    )
    assert {key: tuple(t.shape) for key, t in Network(graph).state_dict().items()} == tensor_shapes(graph)


def test_tensors_are_loaded_by_name_and_others_keep_their_values() -> None:
    network = network_of(parse_cfg(NET + conv(4) + HEAD))
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}

    load_tensors(network, {"000_convolutional.conv.bias": torch.tensor([1.0, 2, 3, 4])})

    after = network.state_dict()
    assert after.pop("000_convolutional.conv.bias").tolist() == [1, 2, 3, 4]
    assert all(torch.equal(tensor, before[key]) for key, tensor in after.items())
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        (
            "009_convolutional.conv.bias",
            (4,),
            "tensor 009_convolutional.conv.bias has no place in this network; do cfg",
        ),
        ("000_convolutional.conv.bias", (5,), r"conv.bias has shape \(5,\), the network expects \(4,\)"),
        (
            "000_convolutional.conv.weight",
            (4, 3),
            r"conv.weight has shape \(4, 3\), the network expects \(4, 3, 1, 1\)",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_refused(name: str, shape: tuple[int, ...], message: str) -> None:
    network = network_of(parse_cfg(NET + conv(4) + HEAD))
    with pytest.raises(WeightsError, match=message):
        load_tensors(network, {name: torch.zeros(shape)})


def test_more_weights_than_memory_could_hold_are_refused_before_they_are_made() -> None:
    graph = parse_cfg(NET + conv(65536) * 2, "huge.cfg")
    with pytest.raises(
        CfgError, match=r"huge\.cfg:1: \[net\].* ask for 4,295,\d{3},\d{3} weights; at most 2,147,483,648"
    ):
        Network(graph)


def test_batch_norm_adds_darknets_epsilon_inside_the_root() -> None:
    network = network_of(parse_cfg(NET + conv(1, "batch_normalize=1").replace("leaky", "linear")))
    block = network.get_submodule("000_convolutional")
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    with torch.inference_mode():
        block.norm.running_var.fill_(3e-6)  # type: ignore[union-attr, operator]
        plain = block.conv(picture())  # type: ignore[operator, union-attr]
        found = block(picture())

    assert [norm.eps for norm in norms] == [1e-6]
    torch.testing.assert_close(found, plain / 2e-3, rtol=1e-12, atol=0)


def test_a_module_for_an_unknown_op_is_an_error() -> None:
    with pytest.raises(TypeError, match="no module for object"):
        build_module(object(), [])  # type: ignore[arg-type]


def test_heads_come_in_the_order_of_the_cfg() -> None:
    network = network_of(find("yolov3-tiny", width=0.25))
    with torch.inference_mode():
        found = network(picture(side=64))
    assert [tuple(head.shape[2:4]) for head in found] == [(2, 2), (4, 4)]
    assert sum(isinstance(node.op, Yolo) for node in network.graph) == 2


def test_no_gradient_passes_a_layer_that_only_runs_forward() -> None:
    """The head reads layer 1 directly, and layer 0 through a route that no gradient passes."""
    text = NET + conv(4) + "[route]\nlayers=0\nonlyforward=1\n" + conv(4) + "[route]\nlayers=1,2\n" + HEAD
    network = network_of(parse_cfg(text))

    (head_map,) = network(picture())
    head_map.sum().backward()

    learned = {name.partition("_")[0] for name, p in network.named_parameters() if p.grad is not None}
    assert learned == {"002", "004"}
