"""The law of every op: computing with masked channels and taking those kept is computing with those kept."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from yoloslim.cfg.schema import ACTIVATIONS, MIXING_ACTIVATIONS
from yoloslim.compress.pruning.balance import put_back
from yoloslim.compress.pruning.select import with_floor
from yoloslim.compress.pruning.shrink import slice_tensors
from yoloslim.graph.lanes import Lanes, LaneTable, lanes_of
from yoloslim.graph.ops import (
    AvgPool,
    Contrastive,
    Convolution,
    Crop,
    Depthwise,
    Dropout,
    Empty,
    LocalAvgPool,
    MaxPool,
    MaxPoolDepth,
    Op,
    Reorg,
    Reorg3d,
    Route,
    Sam,
    ScaleChannels,
    Shape,
    Shortcut,
    SqueezeExcite,
    Upsample,
    Yolo,
)
from yoloslim.graph.resize import resized
from yoloslim.graph.shapes import output_shape
from yoloslim.nn.build import build_module


@dataclass(frozen=True)
class Case:
    """An op and the shapes of what it reads."""

    op: Op
    shapes: tuple[Shape, ...]


channels = st.integers(1, 6)
sides = st.integers(4, 9)
strides = st.integers(1, 3)
activations = st.sampled_from(sorted(ACTIVATIONS))
blurs = st.sampled_from([0, 0, 2, 3])


@st.composite
def maps(draw: st.DrawFn, count: st.SearchStrategy[int] = channels) -> Shape:
    return Shape(draw(count), draw(sides), draw(sides))


@st.composite
def same_size_maps(draw: st.DrawFn, count: st.SearchStrategy[int], least: int = 1) -> tuple[Shape, ...]:
    height, width = draw(sides), draw(sides)
    return tuple(Shape(c, height, width) for c in draw(st.lists(count, min_size=least, max_size=4)))


@st.composite
def convolutions(draw: st.DrawFn, groups: int, inputs: int, outputs: int) -> Case:
    size = draw(st.integers(1, 4))
    op = Convolution(
        filters=outputs,
        size=size,
        stride_x=draw(strides),
        stride_y=draw(strides),
        pad=draw(st.integers(0, size)),
        dilation=draw(st.integers(1, 4 // size)),  # the kernel spans no more than the smallest side
        groups=groups,
        batch_norm=draw(st.booleans()),
        activation=draw(activations),
        blur=draw(blurs),
    )
    shapes = (draw(maps(st.just(inputs))),)
    assume(min(output_shape(op, shapes)) > 0)  # a cfg with an empty map is refused
    return Case(op, shapes)


dense = st.tuples(channels, channels).flatmap(lambda c: convolutions(1, *c))
grouped = st.tuples(st.integers(2, 3), st.integers(2, 3), st.integers(1, 3)).flatmap(
    lambda c: convolutions(c[0], c[0] * c[1], c[0] * c[2])
)
one_filter_a_channel = st.integers(2, 6).flatmap(lambda c: convolutions(c, c, c))
channel_multipliers = st.tuples(st.integers(2, 5), st.integers(2, 3)).flatmap(
    lambda c: convolutions(c[0], c[0], c[0] * c[1])
)


@st.composite
def depthwise(draw: st.DrawFn) -> Case:
    shape, size = draw(maps()), draw(st.integers(1, 4))
    pad = draw(st.sampled_from([0, size // 2]))
    return Case(Depthwise(shape.channels, size, draw(strides), pad, draw(st.booleans()), draw(activations)), (shape,))


@st.composite
def max_pools(draw: st.DrawFn) -> Case:
    size = draw(st.sampled_from([1, 2, 3, 5, 9, 13]))
    padding = draw(st.integers(0, size - 1)) if size <= 3 else size - 1  # as in spatial pyramid pooling
    op, shapes = MaxPool(size, draw(strides), draw(strides), padding, draw(blurs)), (draw(maps()),)
    assume(min(output_shape(op, shapes)) > 0)
    return Case(op, shapes)


@st.composite
def local_means(draw: st.DrawFn) -> Case:
    size = draw(st.integers(1, 4))
    return Case(LocalAvgPool(size, draw(strides), draw(strides), draw(st.integers(0, 2 * size - 2))), (draw(maps()),))


@st.composite
def pools_over_channels(draw: st.DrawFn) -> Case:
    shape = draw(maps())
    return Case(MaxPoolDepth(draw(st.integers(1, shape.channels))), (shape,))


@st.composite
def shortcuts(draw: st.DrawFn) -> Case:
    weights = draw(st.sampled_from(["none", "per_feature", "per_channel"]))
    normalization = draw(st.sampled_from(["none", "relu", "softmax"]))
    first, *others = draw(same_size_maps(channels, least=2))
    steps = [draw(st.sampled_from([1, 1, 2, 3])) for _ in others]
    sampled = (Shape(s.channels, k * s.height, k * s.width) for s, k in zip(others, steps, strict=True))
    return Case(Shortcut(draw(activations), weights, normalization), (first, *sampled))


@st.composite
def crops(draw: st.DrawFn) -> Case:
    shape = draw(maps())
    height, width = draw(st.integers(1, shape.height)), draw(st.integers(1, shape.width))
    return Case(Crop(height, width, draw(st.booleans())), (shape,))


@st.composite
def dropouts(draw: st.DrawFn) -> Case:
    cells, share = draw(st.sampled_from([(0, 0.0), (3, 0.0), (0, 0.5)]))
    return Case(Dropout(draw(st.floats(0, 1)), cells, share), (draw(maps()),))


@st.composite
def routes(draw: st.DrawFn) -> Case:
    groups = draw(st.integers(1, 3))
    op = Route(groups, draw(st.integers(0, groups - 1)))
    return Case(op, draw(same_size_maps(st.integers(1, 3).map(lambda c: c * groups))))


@st.composite
def scaled_channels(draw: st.DrawFn) -> Case:
    features, spatial = draw(maps()), draw(st.booleans())
    scales = Shape(1, *features[1:]) if spatial else Shape(features.channels, 1, 1)
    return Case(ScaleChannels(draw(activations), spatial), (scales, features))


@st.composite
def blocks(draw: st.DrawFn, kind: type[Reorg] | type[Reorg3d]) -> Case:
    stride = draw(st.integers(1, 2))
    across, down, count = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    channels = count * stride**2 if kind is Reorg else count
    return Case(kind(stride), (Shape(channels, down * stride, across * stride),))


@st.composite
def heads(draw: st.DrawFn) -> Case:
    mask, classes = tuple(range(draw(st.integers(1, 3)))), draw(st.integers(1, 3))
    op = Yolo(mask, ((1, 2), (3, 4), (5, 6)), classes, gaussian=draw(st.booleans()))
    return Case(op, (draw(maps(st.just(op.channels))),))


CASES: list[tuple[str, type[Op], st.SearchStrategy[Case]]] = [
    ("dense convolution", Convolution, dense),
    ("grouped convolution", Convolution, grouped),
    ("depthwise by groups", Convolution, one_filter_a_channel),
    ("channel multiplier", Convolution, channel_multipliers),
    ("depthwise section", Depthwise, depthwise()),
    ("squeeze and excite", SqueezeExcite, st.builds(lambda h, s: Case(SqueezeExcite(h), (s,)), channels, maps())),
    ("max-pool", MaxPool, max_pools()),
    ("max-pool over channels", MaxPoolDepth, pools_over_channels()),
    ("local mean", LocalAvgPool, local_means()),
    ("mean", AvgPool, st.builds(lambda s: Case(AvgPool(), (s,)), maps())),
    (
        "upsample",
        Upsample,
        st.builds(
            lambda k, scale, s: Case(Upsample(k, scale), (s,)), strides, st.sampled_from([1.0, 0.5, -2.0]), maps()
        ),
    ),
    ("cells to channels, old", Reorg, blocks(Reorg)),
    ("cells to channels", Reorg3d, blocks(Reorg3d)),
    ("route", Route, routes()),
    ("shortcut", Shortcut, shortcuts()),
    ("product", Sam, st.builds(lambda a, s: Case(Sam(a), (s, s)), activations, maps())),
    ("scaled channels", ScaleChannels, scaled_channels()),
    ("dropout", Dropout, dropouts()),
    ("crop", Crop, crops()),
    ("nothing", Empty, st.builds(lambda s: Case(Empty(), (s,)), maps())),
    ("tracked features", Contrastive, st.builds(lambda s: Case(Contrastive(), (s,)), maps())),
    ("head", Yolo, heads()),
]


def every_op(root: type[Op] = Op) -> Iterator[type[Op]]:
    """Yields the ops of the package; a dataclass with slots leaves a first class behind, which is passed over."""
    for op in root.__subclasses__():
        if op.__module__.startswith("yoloslim.") and getattr(sys.modules[op.__module__], op.__name__) is op:
            yield op
        yield from every_op(op)


def lanes_of_case(case: Case) -> tuple[Lanes, list[str]]:
    """Gives the lanes of an op's inputs and of its output, ``out``, and the names of the inputs."""
    table = LaneTable()
    of = {f"in{i}": table.new(shape.channels) for i, shape in enumerate(case.shapes)}
    names = list(of)
    of["out"] = lanes_of(case.op, list(of.values()), table)
    return table.finish(of), names


def drawn_keep(lanes: Lanes, data: st.DataObject) -> np.ndarray:
    """Any choice of lanes that a plan may hold: fixed ones stay, no map is empty, balanced parts are equal."""
    wanted = data.draw(st.lists(st.booleans(), min_size=lanes.count, max_size=lanes.count), label="keep")
    scores = np.random.default_rng(0).random(lanes.count)
    return put_back(with_floor(np.array(wanted) | lanes.fixed, scores, lanes, min_keep=0), scores, lanes)


def random_module(op: Op, shapes: Sequence[Shape]) -> torch.nn.Module:
    module = build_module(op, shapes).double().eval()
    generator = torch.Generator().manual_seed(1)
    for name, tensor in module.state_dict().items():
        if name.endswith(("norm.weight", "norm.running_var")):
            tensor.uniform_(0.5, 1.5, generator=generator)
        else:
            tensor.normal_(std=0.5, generator=generator)
    return module


def sliced_module(case: Case, whole: torch.nn.Module, inputs: Sequence[Tensor], output: Tensor) -> torch.nn.Module:
    """Gives the op in its smaller shape, with the whole one's tensors sliced."""
    counts = [(len(kept), int(kept.sum())) for kept in inputs]
    shapes = [Shape(after, *shape[1:]) for (_, after), shape in zip(counts, case.shapes, strict=True)]
    small = build_module(resized(case.op, counts, int(output.sum())), shapes).double().eval()
    sliced, own = slice_tensors(case.op, whole.state_dict(), inputs, output), small.state_dict()
    assert sliced.keys() == own.keys()
    for name, tensor in own.items():
        assert tensor.shape == sliced[name].shape
        tensor.copy_(sliced[name])
    return small


@pytest.mark.parametrize(("kind", "cases"), [(kind, cases) for _, kind, cases in CASES], ids=[c[0] for c in CASES])
@given(data=st.data())
def test_an_op_on_masked_channels_gives_those_kept_as_the_sliced_op_does(
    kind: type[Op], cases: st.SearchStrategy[Case], data: st.DataObject
) -> None:
    case = data.draw(cases)
    assert type(case.op) is kind
    lanes, names = lanes_of_case(case)
    keep = torch.from_numpy(drawn_keep(lanes, data))
    inputs, output = [keep[lanes.of[name]] for name in names], keep[lanes.of["out"]]
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 9)))
    x = [torch.randn(2, *shape, dtype=torch.float64, generator=generator) for shape in case.shapes]
    whole = random_module(case.op, case.shapes)

    masked = whole(*(a * kept.view(-1, 1, 1) for a, kept in zip(x, inputs, strict=True)))
    sliced = sliced_module(case, whole, inputs, output)(*(a[:, kept] for a, kept in zip(x, inputs, strict=True)))

    torch.testing.assert_close(sliced, masked if output.all() else masked[:, output], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("cases", [cases for _, kind, cases in CASES if kind is not Yolo])
@settings(max_examples=20)
@given(data=st.data())
def test_an_op_gives_the_shape_that_was_derived_and_a_lane_for_each_of_its_channels(
    cases: st.SearchStrategy[Case], data: st.DataObject
) -> None:
    case = data.draw(cases)
    x = [torch.zeros(1, *shape, dtype=torch.float64) for shape in case.shapes]

    found = random_module(case.op, case.shapes)(*x).shape[1:]

    assert tuple(found) == output_shape(case.op, case.shapes)
    assert len(lanes_of_case(case)[0].of["out"]) == found[0]


@given(data=st.data(), kind=st.sampled_from([c for c in CASES if c[1] in (Convolution, Depthwise, Sam, Shortcut)]))
def test_only_outputs_that_mix_channels_are_fixed(data: st.DataObject, kind) -> None:
    case = data.draw(kind[2])
    lanes, _ = lanes_of_case(case)
    assert lanes.fixed[lanes.of["out"]].any() == (case.op.activation in MIXING_ACTIVATIONS)  # type: ignore[attr-defined]


@given(heads())
def test_a_head_fixes_all_of_its_lanes(case: Case) -> None:
    assert lanes_of_case(case)[0].fixed.all()


def test_every_op_has_its_law_tested() -> None:
    assert {kind for _, kind, _ in CASES} == set(every_op())
