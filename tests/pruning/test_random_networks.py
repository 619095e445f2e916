"""The theorem, the round trip through text and the lanes, on networks nobody would design."""

from collections import defaultdict
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from yoloslim.cfg.schema import ACTIVATIONS
from yoloslim.compress.pruning.mask import mask
from yoloslim.compress.pruning.plan import PruningPlan
from yoloslim.compress.pruning.shrink import shrink
from yoloslim.graph import ops
from yoloslim.graph.backbone import backbone_of
from yoloslim.graph.blocks import lanes_without
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.graph import IMAGE, Graph, Node
from yoloslim.graph.lanes import trace_lanes
from yoloslim.graph.ops import (
    Convolution,
    MaxPoolDepth,
    Op,
    Reorg,
    Reorg3d,
    Route,
    Sam,
    ScaleChannels,
    Shape,
    Shortcut,
)
from yoloslim.graph.receptive_field import receptive_fields
from yoloslim.graph.shapes import infer_shapes
from yoloslim.graph.to_cfg import to_cfg
from yoloslim.nn.network import Network

Channel = tuple[str, int]
RandomNetwork = Callable[[Graph, int], Network]
RandomPlan = Callable[[Graph, float, int], PruningPlan]

NET = "[net]\nwidth=16\nheight=16\nchannels=3\n"
HEADS = {
    "[yolo]\nmask=0\nclasses=1\nanchors=4,4": 6,
    "[region]\nnum=1\nclasses=1\nanchors=1,1\nsoftmax=1": 6,
    "[Gaussian_yolo]\nmask=0\nclasses=1\nanchors=4,4": 10,
}
"""Heads, and the filters that each needs before it."""
MAX_LAYERS = 12
activations = st.sampled_from(sorted(ACTIVATIONS))


def section(kind: str, **options: object) -> str:
    return "\n".join([f"[{kind}]", *(f"{key}={value}" for key, value in options.items())])


class Draft:
    """Sections so far, with the shape of each layer; heads give boxes and are read by nothing."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.sections: list[str] = []

    def add(self, *sections: str) -> None:
        self.sections.extend(sections)
        self.shapes = list(infer_shapes(parse_cfg(self.text)).values())[1:]

    @property
    def text(self) -> str:
        return NET + "\n".join(self.sections) + "\n"

    @property
    def last(self) -> Shape:
        return self.shapes[-1]

    def readable(self, like: Shape | None = None) -> list[int]:
        """Gives the layers that can be read: all but heads, of the same size as ``like`` where given."""
        layers = (i for i, text in enumerate(self.sections) if text not in HEADS)
        return [i for i in layers if like is None or self.shapes[i][1:] == like[1:]]


def add_convolution(d: Draft) -> None:
    divisors = [g for g in range(1, d.last.channels + 1) if d.last.channels % g == 0]
    groups = d.draw(st.sampled_from(divisors))
    size = d.draw(st.sampled_from([1, 3]))
    filters, stride = groups * d.draw(st.integers(1, max(1, 8 // groups))), d.draw(st.sampled_from([1, 1, 2]))
    norm = int(d.draw(st.booleans()))
    options = {"filters": filters, "size": size, "stride": stride, "pad": 1, "groups": groups}
    blur = d.draw(st.sampled_from([0, 0, 1, 2])) if min(d.last[1:]) > 1 else 0
    d.add(section("convolutional", batch_normalize=norm, **options, activation=d.draw(activations), antialiasing=blur))


def add_shared_convolution(d: Draft) -> None:
    """Adds a convolution with the weights of an earlier one, behind one that gives it as many channels."""
    graph = parse_cfg(d.text)
    places = [i for i, node in enumerate(graph) if isinstance(node.op, Convolution)]
    owner = graph.nodes[d.draw(st.sampled_from(places))]
    op, channels = owner.op, infer_shapes(graph)[owner.inputs[0]].channels
    norm, index = int(op.batch_norm), list(graph).index(owner)
    share = d.draw(st.sampled_from([index, index - len(graph) - 1]))
    same = {"filters": op.filters, "size": op.size, "groups": op.groups, "batch_normalize": norm, "share_index": share}
    d.add(
        section("convolutional", filters=channels, activation="leaky"),
        section("convolutional", **same, pad=1, stride=d.draw(st.sampled_from([1, 2])), activation=d.draw(activations)),
    )


def add_depthwise(d: Draft) -> None:
    d.add(section("depthwise", size=3, pad=1, batch_normalize=1, activation=d.draw(activations)))


def add_shortcut(d: Draft) -> None:
    _, height, width = d.last
    larger = [i for i in d.readable() if d.shapes[i][1:] in ((2 * height, 2 * width), (4 * height, 4 * width))]
    layers = d.draw(st.lists(st.sampled_from(d.readable(d.last) + larger), min_size=1, max_size=2))
    weights = d.draw(st.sampled_from(["none", "per_feature", "per_channel"]))
    options = {"weights_type": weights, "weights_normalization": d.draw(st.sampled_from(["none", "relu", "softmax"]))}
    d.add(section("shortcut", **{"from": ",".join(map(str, layers))}, activation=d.draw(activations), **options))


def add_product(d: Draft) -> None:
    other = d.draw(st.sampled_from([i for i in d.readable() if d.shapes[i] == d.last]))
    d.add(section("sam", **{"from": other}, activation=d.draw(activations)))


def add_residual(d: Draft) -> None:
    """A branch of one or two convolutions, added to the layer that it reads, or to one before that."""
    skip = len(d.sections) - 1
    if d.draw(st.booleans()):
        d.add(section("convolutional", filters=d.draw(st.integers(1, 6)), batch_normalize=1, activation="leaky"))
    filters = d.shapes[skip].channels
    d.add(section("convolutional", filters=filters, size=3, pad=1, batch_normalize=1, activation=d.draw(activations)))
    if d.draw(st.booleans()):
        d.add(section("route", layers=d.draw(st.sampled_from(d.readable(d.last)))))
        d.add(section("convolutional", filters=filters, batch_normalize=1, activation="linear"))
    d.add(section("shortcut", **{"from": skip}, activation="linear"))


def add_route(d: Draft) -> None:
    size = d.shapes[d.draw(st.sampled_from(d.readable()))]
    layers = d.draw(st.lists(st.sampled_from(d.readable(size)), min_size=1, max_size=3))
    groups = d.draw(st.sampled_from([g for g in (1, 2, 3) if all(d.shapes[i].channels % g == 0 for i in layers)]))
    group_id = d.draw(st.integers(0, groups - 1))
    d.add(section("route", layers=",".join(map(str, layers)), groups=groups, group_id=group_id))


def add_pool(d: Draft) -> None:
    stride = 2 if min(d.last[1:]) > 1 and d.draw(st.booleans()) else 1
    kind = d.draw(st.sampled_from(["maxpool", "local_avgpool"]))
    blur = {"antialiasing": d.draw(st.sampled_from([0, 1]))} if kind == "maxpool" else {}
    d.add(section(kind, size=d.draw(st.sampled_from([2, 3, 5])), stride=stride, **blur))


def add_pool_over_channels(d: Draft) -> None:
    d.add(section("maxpool", maxpool_depth=1, out_channels=d.draw(st.integers(1, d.last.channels))))


def add_crop(d: Draft) -> None:
    if min(d.last[1:]) > 3:
        sides = {"crop_height": d.last.height - 2, "crop_width": d.last.width - 2}
        d.add(section("crop", **sides, noadjust=d.draw(st.sampled_from([0, 1]))))


def add_upsample(d: Draft) -> None:
    if d.last.height <= 16:
        d.add(section("upsample", stride=2, scale=d.draw(st.sampled_from([1, 0.5]))))


def add_reorg(d: Draft) -> None:
    if d.last.height % 2 == 0 and d.last.width % 2 == 0 and d.last.channels <= 16:
        kinds = ["reorg", "reorg3d"] if d.last.channels % 4 == 0 else ["reorg3d"]
        d.add(section(d.draw(st.sampled_from(kinds)), stride=2))


def add_scaled_channels(d: Draft) -> None:
    target = d.draw(st.sampled_from(d.readable()))
    scales = section("convolutional", filters=d.shapes[target].channels, activation=d.draw(activations))
    d.add("[avgpool]", scales, section("scale_channels", **{"from": target}, activation=d.draw(activations)))


def add_scaled_cells(d: Draft) -> None:
    target = d.draw(st.sampled_from(d.readable(d.last)))
    d.add(section("convolutional", filters=1), section("scale_channels", **{"from": target}, scale_wh=1))


def add_squeeze(d: Draft) -> None:
    d.add(section("se", reduction=d.draw(st.integers(1, 4))))


def add_dropout(d: Draft) -> None:
    d.add(section("dropout", probability=0.5, dropblock=d.draw(st.sampled_from([0, 1]))))


def add_what_does_nothing(d: Draft) -> None:
    d.add(section(d.draw(st.sampled_from(["empty", "contrastive"]))))


def add_head(d: Draft) -> None:
    head = d.draw(st.sampled_from(sorted(HEADS)))
    d.add(section("convolutional", filters=HEADS[head], activation="linear"), head)


STEPS = (
    add_convolution,
    add_convolution,
    add_shared_convolution,
    add_depthwise,
    add_shortcut,
    add_residual,
    add_residual,
    add_product,
    add_route,
    add_route,
    add_pool,
    add_pool_over_channels,
    add_crop,
    add_upsample,
    add_reorg,
    add_scaled_channels,
    add_scaled_cells,
    add_squeeze,
    add_dropout,
    add_what_does_nothing,
)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Networks of up to a dozen layers under one or two heads."""
    draft = Draft(draw)
    draft.add(
        section("convolutional", filters=draw(st.integers(2, 8)), batch_normalize=1, activation=draw(activations))
    )
    for step in draw(st.lists(st.sampled_from(STEPS), max_size=MAX_LAYERS)):
        if len(draft.sections) < MAX_LAYERS:
            step(draft)
    add_head(draft)
    if draw(st.booleans()):
        draft.add(section("route", layers=draw(st.sampled_from(draft.readable()))))
        add_head(draft)
    return parse_cfg(draft.text)


def pairs_that_must_live_together(graph: Graph) -> Iterator[tuple[Channel, Channel]]:
    """Yields pairs of channels, written down layer by layer without the code under test."""
    shapes = infer_shapes(graph)
    for node in graph:
        counts = [shapes[name].channels for name in node.inputs]
        yield from (((node.name, i), channel) for i, channel in enumerate(sources_of(node, counts)) if channel)
        if isinstance(node.op, Sam | Shortcut) or (isinstance(node.op, ScaleChannels) and not node.op.spatial):
            first, *others = node.inputs
            yield from (
                ((first, i), (name, i)) for name in others for i in range(min(counts[0], shapes[name].channels))
            )
        if node.weights_of:
            read = graph[node.weights_of].inputs[0]
            yield from (((node.name, i), (node.weights_of, i)) for i in range(shapes[node.name].channels))
            yield from (((node.inputs[0], i), (read, i)) for i in range(counts[0]))


def sources_of(node: Node, counts: list[int]) -> list[Channel | None]:
    """Gives, for each output channel, the input channel that it is, or None for a new one."""
    op, names = node.op, node.inputs
    if isinstance(op, Convolution):
        each = op.filters // counts[0]
        depthwise = op.groups == counts[0] > 1
        return [(names[0], i // each) if depthwise else None for i in range(op.filters)]
    if isinstance(op, Route):
        parts = [(name, count // op.groups) for name, count in zip(names, counts, strict=True)]
        return [(name, op.group_id * part + i) for name, part in parts for i in range(part)]
    if isinstance(op, MaxPoolDepth):
        return [None] * op.out_channels
    if isinstance(op, Reorg | Reorg3d):
        count = counts[0] * op.stride**2
        return [None if isinstance(op, Reorg) else (names[0], i % counts[0]) for i in range(count)]
    place = 1 if isinstance(op, ScaleChannels) else 0
    return [(names[place], i) for i in range(counts[place])]


def components(pairs: Iterator[tuple[Channel, Channel]], channels: list[Channel]) -> set[frozenset[Channel]]:
    """Gives the sets of channels that the pairs connect."""
    near = defaultdict(set)
    for a, b in pairs:
        near[a].add(b)
        near[b].add(a)
    found = set()
    for channel in channels:
        reached, waiting = {channel}, [channel]
        while waiting:
            new = near[waiting.pop()] - reached
            reached |= new
            waiting.extend(new)
        found.add(frozenset(reached))
    return found


@given(graphs())
def test_the_written_cfg_of_any_network_reads_as_the_same(graph: Graph) -> None:
    text = to_cfg(graph)
    again = parse_cfg(text)

    assert [(n.name, n.op, n.inputs, n.weights_of) for n in again] == [
        (n.name, n.op, n.inputs, n.weights_of) for n in graph
    ]
    assert to_cfg(again) == text


@given(graphs())
def test_channels_share_a_lane_where_a_chain_of_layers_connects_them_and_only_there(graph: Graph) -> None:
    lanes = trace_lanes(graph)
    expected = components(
        pairs_that_must_live_together(graph), [(name, i) for name, lane in lanes.of.items() for i in range(len(lane))]
    )

    found = defaultdict(set)
    for name, lane in lanes.of.items():
        for i, number in enumerate(lane.tolist()):
            found[number].add((name, i))

    assert {frozenset(channels) for channels in found.values()} == expected
    assert lanes.fixed[lanes.of[IMAGE]].all()
    assert all(lanes.fixed[lanes.of[node.name]].all() for node, _ in graph.heads)


@given(graphs())
def test_any_network_has_a_backbone_that_needs_nothing_of_its_head(graph: Graph) -> None:
    backbone = backbone_of(graph)

    assert all(set(graph[name].inputs) <= backbone | {IMAGE} for name in backbone)
    assert backbone.isdisjoint(node.name for node, _ in graph.heads)
    assert all(field.width >= 1 for field in receptive_fields(graph).values())


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(graph=graphs(), removed=st.sampled_from([0.2, 0.5, 0.9]), seed=st.integers(0, 99))
def test_any_network_shrinks_exactly(
    random_network: RandomNetwork, random_plan_with_blocks: RandomPlan, graph: Graph, removed: float, seed: int
) -> None:
    check_shrink(random_network, random_plan_with_blocks, graph, removed, seed)


@pytest.mark.slow
@settings(max_examples=1000, suppress_health_check=[HealthCheck.too_slow])
@given(graph=graphs(), removed=st.sampled_from([0.2, 0.5, 0.9]), seed=st.integers(0, 99))
def test_a_thousand_networks_shrink_exactly(
    random_network: RandomNetwork, random_plan_with_blocks: RandomPlan, graph: Graph, removed: float, seed: int
) -> None:
    check_shrink(random_network, random_plan_with_blocks, graph, removed, seed)


def check_shrink(
    random_network: RandomNetwork, random_plan_with_blocks: RandomPlan, graph: Graph, removed: float, seed: int
) -> None:
    network, plan = random_network(graph, seed), random_plan_with_blocks(graph, removed, seed)
    picture = torch.rand(2, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))

    small = shrink(network, plan)
    again = Network(parse_cfg(to_cfg(small.graph))).double().eval()
    again.load_state_dict(small.state_dict())

    with torch.inference_mode():
        for masked, shrunk in zip(mask(network, plan)(picture), again(picture), strict=True):
            assert float((masked - shrunk).abs().max() / masked.abs().max()) <= 1e-10
    assert sum(shape.channels for shape in infer_shapes(small.graph).values()) == sum(
        int(np.sum(plan.keep[lane])) for lane in lanes_without(graph, plan.dropped).of.values()
    )


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(graph=graphs(), seed=st.integers(0, 99))
def test_any_shrunk_network_can_be_shrunk_again(
    random_network: RandomNetwork, random_plan_with_blocks: RandomPlan, graph: Graph, seed: int
) -> None:
    once = shrink(random_network(graph, seed), random_plan_with_blocks(graph, 0.5, seed))
    plan = random_plan_with_blocks(once.graph, 0.5, seed)
    picture = torch.rand(1, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))

    with torch.inference_mode():
        for masked, shrunk in zip(mask(once, plan)(picture), shrink(once, plan)(picture), strict=True):
            assert float((masked - shrunk).abs().max() / masked.abs().max()) <= 1e-10


def test_these_networks_have_every_op() -> None:
    """What is drawn here is what the op laws draw: neither leaves an op out."""
    found: set[type[Op]] = set()

    @settings(max_examples=400, database=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
    @given(graphs())
    def collect(graph: Graph) -> None:
        found.update(type(node.op) for node in graph)

    collect()

    assert found == {op for op in Op.__subclasses__() if getattr(ops, op.__name__) is op}
