"""Which tensors are rounded, for which target, and what is refused."""

import json
from collections.abc import Callable

import pytest

from yoloslim.compress.quantization.legality import findings, refusals
from yoloslim.compress.quantization.place import Placement, place
from yoloslim.compress.quantization.plan import from_metadata, to_metadata
from yoloslim.compress.quantization.spec import QuantSpec
from yoloslim.compress.quantization.targets import TARGETS
from yoloslim.errors import RecipeError, TargetError, WeightsError
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.graph import IMAGE, Graph
from yoloslim.graph.lint import fixed
from yoloslim.graph.to_cfg import to_cfg
from yoloslim.zoo.catalog import find, networks

CONVOLUTION = "[convolutional]\nfilters=8\nsize=3\npad=1\nbatch_normalize=1\nactivation={}"
LEAKY, RELU, MISH = (CONVOLUTION.format(name) for name in ("leaky", "relu", "mish"))


def test_maps_that_convolutions_read_are_codes_and_those_of_heads_are_not(tiny: Callable[..., Graph]) -> None:
    plan = place(tiny(LEAKY, RELU), Placement())

    assert plan.edges == {
        IMAGE: IMAGE,
        "000_convolutional": "000_convolutional",
        "001_convolutional": "001_convolutional",
    }
    assert list(plan.kernels) == ["000_convolutional", "001_convolutional", "002_convolutional"]


@pytest.mark.parametrize(
    ("target", "before"),
    [
        ("onnxruntime", ["000_convolutional", "002_convolutional"]),
        ("openvino", []),
        ("tensorrt", ["000_convolutional", "002_convolutional"]),
    ],
)
def test_sums_are_rounded_before_activations_that_a_target_does_not_fuse(
    tiny: Callable[..., Graph], target: str, before: list[str]
) -> None:
    assert list(place(tiny(LEAKY, RELU, MISH), Placement(target)).before) == before


def test_what_is_concatenated_pooled_and_enlarged_shares_a_scale(tiny: Callable[..., Graph]) -> None:
    down = "[maxpool]\nsize=2\nstride=2"
    graph = tiny(LEAKY, down, LEAKY, "[upsample]\nstride=2", "[route]\nlayers=-1,-4", RELU)

    plan = place(graph, Placement())

    shared = {node for node, scale in plan.edges.items() if scale == "000_convolutional"}
    assert shared == {"000_convolutional", "001_maxpool", "002_convolutional", "003_upsample", "004_route"}


def test_a_shortcut_has_a_scale_of_its_own(tiny: Callable[..., Graph]) -> None:
    plan = place(tiny(LEAKY, RELU, "[shortcut]\nfrom=-2", RELU), Placement())

    assert len({plan.edges[name] for name in ("000_convolutional", "001_convolutional", "002_shortcut")}) == 3


def test_a_convolution_that_is_kept_in_float_has_no_codes_and_asks_for_none(tiny: Callable[..., Graph]) -> None:
    plan = place(tiny(LEAKY, RELU), Placement(keep_float=["001_convolutional"]))

    assert list(plan.kernels) == ["000_convolutional", "002_convolutional"]
    assert "000_convolutional" not in plan.edges
    assert plan.edges["001_convolutional"] == "001_convolutional"


def test_layers_that_share_their_weights_stay_in_float(tiny: Callable[..., Graph]) -> None:
    plan = place(tiny(LEAKY, RELU, RELU + "\nshare_index=-1"), Placement())

    assert list(plan.kernels) == ["000_convolutional", "003_convolutional"]


@pytest.mark.parametrize("target", ["onnxruntime", "onnxruntime-avx2", "openvino", "tensorrt"])
@pytest.mark.parametrize("name", networks())
def test_every_convolution_of_the_zoo_reads_codes(name: str, target: str) -> None:
    graph = find(name)

    plan = place(graph, Placement(target))

    reads = {node.inputs[0] for node in graph if node.name in plan.kernels}
    assert len(plan.kernels) == sum("conv" in node.name or "depthwise" in node.name for node in graph)
    assert reads <= plan.edges.keys()


def test_bits_of_single_layers_go_before_those_of_all(tiny: Callable[..., Graph]) -> None:
    asked = Placement(weights=QuantSpec(6, symmetric=True), weight_bits={"001_convolutional": 4})

    bits = [spec.bits for spec in place(tiny(LEAKY, RELU), asked).kernels.values()]

    assert bits == [6, 4, 6]


def test_the_avx2_target_has_weights_of_seven_bits(tiny: Callable[..., Graph]) -> None:
    plan = place(tiny(LEAKY), Placement("onnxruntime-avx2"))

    assert {spec.bits for spec in plan.kernels.values()} == {7}


@pytest.mark.parametrize(
    ("sections", "asked", "message"),
    [
        ([LEAKY], Placement("toaster"), "--for toaster: expected one of onnxruntime, onnxruntime-avx2, openvino"),
        (
            [LEAKY],
            Placement(keep_float=["007_x"]),
            "keep-float 007_x: expected the name of a convolution, such as 000_c",
        ),
        ([LEAKY], Placement(weight_bits={"9": 4}), "bits 9: expected the name of a convolution"),
        ([], Placement(keep_float=["000_convolutional"]), "nothing is left to quantize"),
    ],
)
def test_what_cannot_be_asked_is_told(
    tiny: Callable[..., Graph], sections: list[str], asked: Placement, message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        place(tiny(*sections), asked)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (MISH, "000_convolutional: fpga cannot run activation=mish .it has leaky, linear, relu, relu6."),
        ("[maxpool]\nsize=9\nstride=1", "000_maxpool: fpga cannot run pooling windows of 9, above 8"),
        ("[se]\nreduction=3", "000_se: fpga cannot run SqueezeExcite layers: leave it out and fine-tune"),
        ("[upsample]\nstride=2\nscale=.5", "000_upsample: fpga cannot run scale=0.5: write scale=1 and fine-tune"),
        (LEAKY + "\nantialiasing=1\nstride=2", "000_convolutional: fpga cannot run antialiasing: leave it out"),
        (
            f"{LEAKY}\n{LEAKY}\n[shortcut]\nfrom=-2\nactivation=leaky",
            "002_shortcut: .* activation=leaky .it has linear",
        ),
        (
            f"{LEAKY}\n{LEAKY}\n[shortcut]\nfrom=-2\nweights_type=per_feature",
            "002_shortcut: .* weights_type=per_feature",
        ),
        (f"{LEAKY}\n{LEAKY}\n{LEAKY}\nshare_index=1", "002_convolutional: fpga cannot run convolutions that share"),
        (f"{MISH}\n{MISH}", "write activation=leaky and fine-tune .1 more: yoloslim check --for fpga."),
    ],
)
def test_a_layer_that_a_target_refuses_is_named(tiny: Callable[..., Graph], section: str, message: str) -> None:
    with pytest.raises(TargetError, match=message):
        place(tiny(section), Placement("fpga"))


@pytest.mark.parametrize(
    ("target", "weights", "message"),
    [
        ("fpga", QuantSpec(symmetric=True), "fpga multiplies weights by power_of_two scales, not by float"),
        ("openvino", QuantSpec(rounding="half_away"), "openvino rounds half_even, asked for half_away"),
    ],
)
def test_codes_that_a_target_has_not_are_named(
    tiny: Callable[..., Graph], target: str, weights: QuantSpec, message: str
) -> None:
    with pytest.raises(TargetError, match=message):
        place(tiny(LEAKY), Placement(target, weights=weights))


@pytest.mark.parametrize("target", sorted(set(TARGETS) - {"fpga"}))
def test_a_plan_comes_back_from_json(target: str) -> None:
    graph = find("yolov4-tiny")
    plan = place(graph, Placement(target, keep_float=["000_convolutional"]))

    assert from_metadata(json.loads(json.dumps(to_metadata(plan))), graph, "file") == plan


def test_a_damaged_plan_is_refused(tiny: Callable[..., Graph]) -> None:
    graph = tiny(LEAKY)
    whole = to_metadata(place(graph, Placement()))

    with pytest.raises(WeightsError, match=r"a\.safetensors: its quantization is of a later yoloslim"):
        from_metadata({**whole, "schema": 2}, graph, "a.safetensors")
    with pytest.raises(WeightsError, match="its quantization cannot be used"):
        from_metadata({key: value for key, value in whole.items() if key != "edges"}, graph, "a.safetensors")
    with pytest.raises(WeightsError, match="names 009_shortcut, which its cfg has not"):
        from_metadata({**whole, "edges": {**whole["edges"], "009_shortcut": IMAGE}}, graph, "a.safetensors")


def test_before_a_head_only_linear_sums_are_run(tiny: Callable[..., Graph]) -> None:
    graph = parse_cfg(to_cfg(tiny(LEAKY)).replace("activation=linear", "activation=logistic"))

    with pytest.raises(TargetError, match=r"activation=logistic .it has linear.: write activation=linear and fine"):
        place(graph, Placement("fpga"))


@pytest.mark.parametrize("name", networks())
def test_a_mended_cfg_of_the_zoo_keeps_its_layers_and_lacks_only_what_needs_a_hand(name: str) -> None:
    text = to_cfg(find(name))
    mended = parse_cfg(fixed(text, list(findings(parse_cfg(text), "fpga"))))

    left = refusals(mended, TARGETS["fpga"])

    assert [refusal for refusal in left if refusal.fixes] == []
    assert [node.name for node in mended] == [node.name for node in parse_cfg(text)]
    if left:
        with pytest.raises(TargetError, match=f"{left[0].node.name}: fpga cannot run"):
            place(mended, Placement("fpga"))
    else:
        assert place(mended, Placement("fpga")).target == "fpga"
