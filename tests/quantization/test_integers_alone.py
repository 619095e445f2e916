"""A network in whole numbers computes what the one that rounds does, bit for bit."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from yoloslim.boxes.placement import place as placed
from yoloslim.boxes.placement import to_batch
from yoloslim.compress.quantization.calibrate import calibrated
from yoloslim.compress.quantization.legality import findings
from yoloslim.compress.quantization.network import QuantizedNetwork
from yoloslim.compress.quantization.place import Placement, place
from yoloslim.compress.quantization.shifts import CodeRange, ShiftedKernel, ShiftedNetwork, nearest_codes
from yoloslim.compress.quantization.spec import QuantSpec
from yoloslim.compress.quantization.to_shifts import shifted
from yoloslim.data.pictures import read_picture
from yoloslim.errors import TargetError
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.graph import IMAGE, Graph
from yoloslim.graph.lint import fixed
from yoloslim.nn.network import Network
from yoloslim.runtime.integers import IntegerBackend, exact_head_maps, integer_maps
from yoloslim.runtime.load import load
from yoloslim.zoo.catalog import find

CONVOLUTION = "[convolutional]\nfilters=8\nsize=3\npad=1\nbatch_normalize=1\nactivation={}"
LEAKY, RELU6, LINEAR = (CONVOLUTION.format(name) for name in ("leaky", "relu6", "linear"))
FPGA = Placement("fpga")
SHIFTS = QuantSpec(symmetric=True, scale="power_of_two", rounding="half_away")


def rounded_in_float64(network: QuantizedNetwork, batch: np.ndarray) -> list[np.ndarray]:
    with torch.inference_mode():
        heads = copy.deepcopy(network).double()(torch.from_numpy(batch).double())
    return [head.numpy() for head in heads]


def assert_equal_heads(network: QuantizedNetwork, batch: np.ndarray) -> None:
    found, expected = exact_head_maps(shifted(network), batch), rounded_in_float64(network, batch)
    assert len(found) == len(expected) > 0
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert len(np.unique(ours)) > 20  # not all 0, nor saturated


def noise(graph: Graph, count: int = 2) -> np.ndarray:
    return np.random.default_rng(5).random((count, *graph.input_shape), dtype=np.float32)


@pytest.mark.parametrize(
    "sections",
    [
        (LEAKY, LEAKY),
        (RELU6, LINEAR),
        (LEAKY + "\nstride=2", LEAKY + "\ngroups=4", "[upsample]\nstride=2"),
        (LEAKY, CONVOLUTION.format("leaky").replace("pad=1", "padding=2\ndilation=2"), LEAKY),
        (LEAKY, "[depthwise]\nfilters=8\nsize=3\nstride=2\npad=1\nbatch_normalize=1\nactivation=relu", LEAKY),
        (
            LEAKY,
            "[maxpool]\nsize=2\nstride=1",
            LEAKY,
            "[maxpool]\nsize=2\nstride=2",
            "[dropout]\nprobability=.5",
            LEAKY,
        ),
        ("[maxpool]\nsize=3\nstride=2", LEAKY),
        (
            LEAKY,
            "[maxpool]\nsize=5\nstride=1",
            "[route]\nlayers=-2",
            "[maxpool]\nsize=7\nstride=1",
            "[route]\nlayers=-1,-3",
        ),
        (LEAKY, "[route]\nlayers=-1\ngroups=2\ngroup_id=1", LEAKY, "[route]\nlayers=-1,-3", LEAKY),
        (LEAKY, LEAKY, "[shortcut]\nfrom=-2\nactivation=linear", LEAKY),
        (LEAKY, RELU6.replace("filters=8", "filters=4"), "[shortcut]\nfrom=-2\nactivation=relu6", LEAKY),
        (LEAKY, LEAKY + "\nstride=2", "[shortcut]\nfrom=-2\nactivation=relu", LEAKY),
    ],
)
def test_head_maps_are_those_of_the_network_that_rounds(
    tiny: Callable[..., Graph], quantize: Callable[..., QuantizedNetwork], sections: tuple[str, ...]
) -> None:
    network = quantize(tiny(*sections), FPGA)

    assert_equal_heads(network, noise(network.graph))


@pytest.mark.parametrize(
    "asked",
    [
        Placement("fpga", weights=replace(SHIFTS, axis=0, bits=4), activations=replace(SHIFTS, bits=5)),
        Placement("fpga", weights=SHIFTS, activations=replace(SHIFTS, rounding="half_even")),
        Placement("fpga", activations=replace(SHIFTS, signed=False)),
    ],
)
def test_other_bits_and_roundings_are_computed_too(
    tiny: Callable[..., Graph], quantize: Callable[..., QuantizedNetwork], asked: Placement
) -> None:
    network = quantize(tiny(LEAKY, RELU6, "[shortcut]\nfrom=-2", LEAKY), asked)

    assert_equal_heads(network, noise(network.graph))


def test_every_map_on_the_way_is_equal_too(
    tiny: Callable[..., Graph], quantize: Callable[..., QuantizedNetwork]
) -> None:
    network = quantize(tiny(LEAKY, "[maxpool]\nsize=2\nstride=2", LEAKY), FPGA)
    batch = noise(network.graph)
    expected: dict[str, torch.Tensor] = {}
    whole = shifted(network)

    with torch.inference_mode():
        copy.deepcopy(network).double()(torch.from_numpy(batch).double(), lambda name, x: expected.setdefault(name, x))
    maps = dict(integer_maps(whole, whole.image_codes(batch)))

    assert [IMAGE, *expected] == list(maps)
    for name, codes in whole.ranges.items():
        if name != IMAGE:
            np.testing.assert_array_equal(maps[name] * 2.0**codes.exponent, expected[name].numpy())


@pytest.mark.parametrize("rounding", ["half_even", "half_away"])
def test_quotients_are_rounded_to_codes_exactly(rounding: str) -> None:
    codes = CodeRange(0, -128, 127, rounding)
    sums = np.array([*range(-40, 41), 2**31 - 1, -(2**31) + 1])

    for shift in (0, 1, 3, 31, 40):
        found = nearest_codes(np.ldexp(sums.astype(np.float64), -shift), codes)
        halves = [2 * int(value) + (2**shift if value > 0 else -(2**shift)) for value in sums]
        away = [half // 2 ** (shift + 1) if half > 0 else -(-half // 2 ** (shift + 1)) for half in halves]
        ties = [shift > 0 and int(value) % 2**shift == 2 ** (shift - 1) for value in sums]
        even = [
            code - (code > 0) + (code < 0) if tie and code % 2 else code for code, tie in zip(away, ties, strict=True)
        ]
        assert found.tolist() == np.clip(even if rounding == "half_even" else away, -128, 127).tolist()


def test_a_sum_that_may_leave_32_bits_is_refused(tiny: Callable[..., Graph]) -> None:
    graph = tiny(size=(8, 8))
    weight, shift = np.full((12, 3, 1, 1), 127, np.int8), np.zeros(12, np.int8)
    ranges = {IMAGE: CodeRange(-8, 0, 255)}
    most = 2**31 - 1 - 3 * 127 * 255

    def network(bias: int) -> ShiftedNetwork:
        return ShiftedNetwork(
            graph, ranges, {"000_convolutional": ShiftedKernel(weight, np.full(12, bias), shift, None)}
        )

    (whole,) = exact_head_maps(network(most), np.ones((1, 3, 8, 8), np.float32))
    assert whole.max() == 2**31 - 1
    with pytest.raises(TargetError, match="000_convolutional: its sums may come to 2,147,483,648, 32 bits hold less"):
        network(most + 1)


def test_a_backend_gives_the_nearest_float32(
    tiny: Callable[..., Graph], quantize: Callable[..., QuantizedNetwork]
) -> None:
    whole = shifted(quantize(tiny(LEAKY), FPGA))
    batch = noise(whole.graph)

    for ours, exact in zip(IntegerBackend(whole)(batch), exact_head_maps(whole, batch), strict=True):
        np.testing.assert_array_equal(ours, exact.astype(np.float32))


def test_maps_of_several_pictures_are_those_of_each(
    tiny: Callable[..., Graph], quantize: Callable[..., QuantizedNetwork]
) -> None:
    whole = shifted(quantize(tiny(LEAKY, "[maxpool]\nsize=2\nstride=2", LEAKY), FPGA))
    batch = noise(whole.graph, 3)

    together, alone = exact_head_maps(whole, batch), [exact_head_maps(whole, picture[None]) for picture in batch]

    np.testing.assert_array_equal(together[0], np.concatenate([heads[0] for heads in alone]))


def published(weights_dir: Path, name: str) -> Network:
    """The network of published files, rewritten for an FPGA where that changes no value."""
    text = (weights_dir / f"{name}.cfg").read_text()
    graph = parse_cfg(fixed(text, list(findings(parse_cfg(text), "fpga"))))
    return load(weights_dir / f"{name}.weights", graph).network


@pytest.mark.medium
@pytest.mark.parametrize("name", ["yolov3-tiny", "yolov4-tiny", "MobileNetV2-YOLOv3-Nano-coco"])
def test_head_maps_of_every_picture_are_those_of_the_network_that_rounds(
    random_network: Callable[..., Network], data_dir: Path, weights_dir: Path, name: str
) -> None:
    network = random_network(find(name)) if name == "yolov4-tiny" else published(weights_dir, name)
    size = network.graph.input_shape[2:0:-1]
    paths = sorted((data_dir / "images").glob("*.jpg"))
    pictures = [to_batch([placed(read_picture(path), size, "letterbox")[0]]) for path in paths]
    made = calibrated(network, place(network.graph, FPGA), [torch.from_numpy(pictures[0])], "min-max")

    assert len(pictures) == 5
    for batch in pictures:
        assert_equal_heads(made, batch)


def test_windows_that_are_rewritten_give_the_same_values(random_network: Callable[..., Network]) -> None:
    pools = "".join(
        f"[route]\nlayers={-1 - 2 * index}\n[maxpool]\nsize={size}\nstride=1\n" for index, size in enumerate((5, 9, 13))
    )
    head = "[convolutional]\nfilters=12\nactivation=linear\n[yolo]\nmask=0,1\nclasses=1\nanchors=4,4, 6,8\n"
    text = f"[net]\nwidth=16\nheight=16\n{LEAKY}\n{pools}[route]\nlayers=-1,-3,-5,-6\n{head}"

    rewritten = fixed(text, list(findings(parse_cfg(text), "fpga")))

    assert rewritten.count("size=5") == 3
    before, after = random_network(parse_cfg(text)), random_network(parse_cfg(rewritten))
    images = torch.from_numpy(noise(before.graph))
    assert torch.equal(before(images)[0], after(images)[0])
