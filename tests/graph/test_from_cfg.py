"""Sections -> graph: what each section means, and where errors point."""

import logging
import re
from pathlib import Path

import pytest

from yoloslim.errors import CfgError
from yoloslim.graph.from_cfg import parse_cfg, read_cfg
from yoloslim.graph.graph import IMAGE
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
    Route,
    Sam,
    ScaleChannels,
    Shape,
    Shortcut,
    SqueezeExcite,
    Upsample,
    Yolo,
)

NET = "[net]\nwidth=32\nheight=32\nchannels=3\n"
CONV = "[convolutional]\nfilters=8\n"
HEAD = "[convolutional]\nfilters=18\n[yolo]\nmask=0,1,2\nclasses=1\nanchors=1,2,3,4,5,6\n"


def op_of(section: str) -> Op:
    """Gives the op of a section that reads 8 channels of 32x32."""
    return parse_cfg(NET + CONV + section).nodes[-1].op


def refuse(text: str, message: str) -> None:
    """Demands that reading ``text`` as x.cfg fails with exactly this message."""
    with pytest.raises(CfgError) as caught:
        parse_cfg(text, "x.cfg")
    assert str(caught.value) == message


# ---- what sections mean ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "op"),
    [
        ("[convolutional]", Convolution(filters=1)),
        ("[convolutional]\nfilters=4\nsize=3\npad=1\nstride=2", Convolution(4, 3, 2, 2, pad=1)),
        ("[convolutional]\nsize=5\npadding=1", Convolution(1, 5, pad=1)),
        ("[convolutional]\nsize=5\npad=1\npadding=1", Convolution(1, 5, pad=2)),
        ("[convolutional]\nstride=2\nstride_x=3", Convolution(1, stride_x=3, stride_y=2)),
        ("[convolutional]\nsize=3\ndilation=2", Convolution(1, 3, dilation=2)),
        ("[convolutional]\nsize=1\ndilation=2", Convolution(1, 1, dilation=1)),
        ("[convolutional]\nfilters=8\ngroups=8", Convolution(8, groups=8)),
        ("[convolutional]\ncbn=1", Convolution(1, batch_norm=True)),
        ("[convolutional]\nstride=2\nantialiasing=1", Convolution(1, stride_x=2, stride_y=2, blur=3)),
        ("[convolutional]\nbatch_normalize=1\nactivation=mish", Convolution(1, batch_norm=True, activation="mish")),
        ("[depthwise]\nsize=3\npad=1\nactivation=relu6", Depthwise(8, 3, 1, pad=1, activation="relu6")),
        ("[se]", SqueezeExcite(hidden=2)),
        ("[se]\nreduction=3", SqueezeExcite(hidden=2)),
        ("[se]\nreduction=100", SqueezeExcite(hidden=1)),
        ("[se]\nreduction=4\nhidden=5", SqueezeExcite(hidden=5)),
        ("[maxpool]\nsize=2\nstride=1", MaxPool(2, 1, 1, padding=1)),
        ("[maxpool]\nstride=2", MaxPool(2, 2, 2, padding=1)),
        ("[maxpool]\nsize=3\nstride=2\npadding=0", MaxPool(3, 2, 2, padding=0)),
        ("[maxpool]\nsize=2\nstride=2\nantialiasing=1", MaxPool(2, 2, 2, padding=1, blur=3)),
        ("[maxpool]\nsize=2\nstride=2\nantialiasing=2", MaxPool(2, 2, 2, padding=1, blur=2)),
        ("[maxpool]\nmaxpool_depth=1\nout_channels=3", MaxPoolDepth(3)),
        ("[maxpool]\nsize=2\nstride=2\nout_channels=3", MaxPool(2, 2, 2, padding=1)),
        ("[local_avgpool]\nsize=3\nstride=2", LocalAvgPool(3, 2, 2, padding=2)),
        ("[local_avg]\nstride=2\npadding=0", LocalAvgPool(2, 2, 2, padding=0)),
        ("[avgpool]", AvgPool()),
        ("[upsample]", Upsample(2)),
        ("[upsample]\nstride=4\nscale=.5", Upsample(4, 0.5)),
        ("[route]\nlayers=-1\ngroups=2\ngroup_id=1", Route(2, 1)),
        ("[shortcut]\nfrom=-1\nactivation=leaky", Shortcut("leaky")),
        ("[shortcut]\nfrom=-1\nweights_type=per_feature", Shortcut("linear", "per_feature")),
        ("[shortcut]\nfrom=-1\nweights_type=per_layer", Shortcut("linear", "per_feature")),
        (
            "[shortcut]\nfrom=-1\nweights_type=per_channel\nweights_normalization=avg_relu",
            Shortcut("linear", "per_channel", "relu"),
        ),
        (
            "[shortcut]\nfrom=-1\nweights_type=per_channel\nweights_normalizion=softmax",
            Shortcut("linear", "per_channel", "softmax"),
        ),
        ("[shortcut]\nfrom=-1\nweights_normalization=relu", Shortcut()),
        ("[sam]\nfrom=-1\nactivation=leaky", Sam("leaky")),
        ("[crop]\ncrop_height=5\ncrop_width=6", Crop(5, 6)),
        ("[crop]\ncrop_height=5\ncrop_width=6\nnoadjust=1", Crop(5, 6, scaled=False)),
        ("[empty]", Empty()),
        ("[silence]", Empty()),
        ("[contrastive]\nclasses=3", Contrastive()),
        ("[dropout]\ndropblock=1\ndropblock_size_abs=5", Dropout(block_cells=5)),
        ("[dropout]\ndropblock=1\ndropblock_size_rel=.3", Dropout(block_share=0.3)),
        ("[dropout]\ndropblock=1", Dropout(block_cells=7)),
        ("[dropout]\ndropblock_size_abs=5", Dropout()),
        ("[dropout]\nprobability=.1", Dropout(0.1)),
        ("[dropout]", Dropout(0.2)),
    ],
)
def test_a_section_gives_its_op(section: str, op: Op) -> None:
    assert op_of(section) == op


def test_scale_channels_reads_the_scales_then_the_map() -> None:
    node = parse_cfg(NET + CONV + "[avgpool]\n[scale_channels]\nfrom=0\nactivation=linear").nodes[-1]

    assert node.op == ScaleChannels("linear", spatial=False)
    assert node.inputs == ("001_avgpool", "000_convolutional")


def test_a_head_reads_its_anchors_as_pairs() -> None:
    ((_, yolo),) = parse_cfg(NET + HEAD + "scale_x_y=1.05\nnew_coords=1\n").heads
    assert yolo == Yolo((0, 1, 2), ((1, 2), (3, 4), (5, 6)), 1, 1.05, new_coords=True)


def test_a_gaussian_head_has_four_more_values_a_box() -> None:
    text = HEAD.replace("[yolo]", "[Gaussian_yolo]").replace("filters=18", "filters=30")

    ((node, yolo),) = parse_cfg(NET + text + "scale_x_y=1.1\n").heads

    assert node.name == "001_Gaussian_yolo"
    assert yolo == Yolo((0, 1, 2), ((1, 2), (3, 4), (5, 6)), 1, 1.1, gaussian=True)
    assert (yolo.values, yolo.objectness, yolo.box, yolo.uncertainties) == (10, 8, slice(0, 8, 2), slice(1, 8, 2))


def test_a_head_without_a_mask_uses_every_anchor() -> None:
    ((_, yolo),) = parse_cfg(NET + HEAD.replace("mask=0,1,2\n", "")).heads
    assert yolo.mask == (0, 1, 2)


def test_a_head_has_darknets_20_classes_unless_told() -> None:
    text = HEAD.replace("classes=1\n", "").replace("filters=18", "filters=75")
    assert parse_cfg(NET + text).classes == 20


def test_the_input_shape_is_channels_height_width() -> None:
    graph = parse_cfg("[net]\nwidth=64\nheight=32\nchannels=1\n" + CONV)
    assert graph.input_shape == Shape(1, 32, 64)


def test_short_section_names_give_the_same_network() -> None:
    short = parse_cfg("[network]\nwidth=32\nheight=32\n[conv]\nfilters=8\n[max]\nsize=2\n[avg]\n")

    assert [node.name for node in short] == ["000_convolutional", "001_maxpool", "002_avgpool"]
    assert short.nodes[0].section.name == "conv"


# ---- references ------------------------------------------------------------------------------------------------------


def test_a_layer_reads_the_one_before_it_and_the_first_the_image() -> None:
    graph = parse_cfg(NET + CONV + "[maxpool]\nsize=2\n")
    assert [node.inputs for node in graph] == [(IMAGE,), ("000_convolutional",)]


def test_references_may_be_relative_or_absolute() -> None:
    node = parse_cfg(NET + CONV * 3 + "[route]\nlayers=-1, 0, -2\n").nodes[-1]
    assert node.inputs == ("002_convolutional", "000_convolutional", "001_convolutional")


def test_a_shortcut_reads_the_layer_before_and_every_layer_it_names() -> None:
    node = parse_cfg(NET + CONV * 3 + "[shortcut]\nfrom=-3,1\n").nodes[-1]
    assert node.inputs == ("002_convolutional", "000_convolutional", "001_convolutional")


@pytest.mark.parametrize("share", [0, -3])
def test_a_convolution_may_use_the_weights_of_an_earlier_one(share: int) -> None:
    graph = parse_cfg(NET + CONV + "[maxpool]\nsize=2\n" + CONV.replace("8", "3") + f"{CONV}share_index={share}\n")

    assert graph.nodes[3].weights_of == "000_convolutional"


def test_a_convolution_with_borrowed_weights_lends_those(caplog: pytest.LogCaptureFixture) -> None:
    graph = parse_cfg(NET + "[convolutional]\nfilters=3\n" + "[convolutional]\nfilters=3\nshare_index=-1\n" * 2)

    assert [node.weights_of for node in graph] == ["", "000_convolutional", "000_convolutional"]
    assert caplog.records == []


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("filters=9", "filters is 9 here and 8 in the layer with the weights; make them equal"),
        ("filters=8\nsize=3", "size is 3 here and 1 in the layer with the weights; make them equal"),
        ("filters=8\nbatch_normalize=1", "batch_normalize is 1 here and 0 in the layer with the weights; make them"),
        ("filters=8", "reads 8 channels, the layer with the weights 3; make them equal"),
    ],
)
def test_weights_of_another_shape_cannot_be_shared(lines: str, reason: str) -> None:
    with pytest.raises(CfgError, match=re.escape(f"x.cfg:8: [convolutional] share_index: {reason}")):
        parse_cfg(NET + CONV + f"[convolutional]\nshare_index=0\n{lines}\n", "x.cfg")


@pytest.mark.parametrize(
    ("share", "reason"),
    [
        ("1", "share_index=1 points at layer 1, not before this one (layer 1)"),
        ("-5", "share_index=-5 points before the first layer (this is layer 1)"),
    ],
)
def test_weights_of_a_layer_that_is_not_there_cannot_be_shared(share: str, reason: str) -> None:
    refuse(NET + CONV + f"{CONV}share_index={share}\n", f"x.cfg:9: [convolutional] {reason}")


def test_weights_of_what_is_no_convolution_cannot_be_shared() -> None:
    text = NET + "[maxpool]\nsize=2\n" + CONV + "share_index=0\n"
    refuse(text, "x.cfg:9: [convolutional] share_index=0 names no [convolutional]; name the one with the weights")


def test_a_reference_before_the_first_layer_is_refused_with_its_place() -> None:
    text = NET + "[convolutional]\n" * 6 + "\n" * 106 + "[route]\nlayers=-9\n"
    refuse(text, "x.cfg:118: [route] layers=-9 points before the first layer (this is layer 6)")


@pytest.mark.parametrize("target", [1, 2, 99])
def test_a_forward_reference_is_refused(target: int) -> None:
    refuse(
        NET + CONV + f"[route]\nlayers=-1,{target}\n" + CONV * 2,
        f"x.cfg:8: [route] layers={target} points at layer {target}, not before this one (layer 1)",
    )


def test_a_reference_list_without_numbers_is_refused() -> None:
    refuse(NET + CONV + "[route]\nlayers=,\n", "x.cfg:8: [route] layers=,: expected a whole number, found ','")


def test_a_shortcut_without_a_source_is_refused() -> None:
    refuse(NET + CONV + "[shortcut]\nactivation=linear\n", "x.cfg:7: [shortcut] needs from=")


@pytest.mark.parametrize("reader", ["[upsample]", "[route]\nlayers=-1", "[route]\nlayers=0,1"])
def test_reading_a_head_is_refused(reader: str) -> None:
    advice = "which gives boxes; put a [route] to another layer before it"
    text = NET + HEAD + reader + "\n"
    refuse(text, f"x.cfg:11: [{reader[1:].partition(']')[0]}] (layer 2) reads 001_yolo, {advice}")


# ---- values that do not fit ------------------------------------------------------------------------------------------


def test_a_file_without_sections_is_refused() -> None:
    refuse("# nothing\n", "x.cfg: expected [net] as the first section")


def test_a_file_that_starts_with_a_layer_is_refused() -> None:
    refuse("\n" + CONV, "x.cfg:2: expected [net] as the first section")


def test_a_second_net_is_refused() -> None:
    refuse(NET + CONV + NET, "x.cfg:7: [net] is not a layer; expected it once, as the first section")


def test_a_net_without_layers_is_refused() -> None:
    refuse(NET, "x.cfg:1: [net] has no layers after it")


def test_an_unknown_section_is_refused_with_the_nearest_name() -> None:
    refuse(
        NET + "[convolutionnal]\nfilters=3\n",
        "x.cfg:5: [convolutionnal] is not a section that can be read; did you mean [convolutional]?",
    )


def test_a_layer_too_large_for_any_memory_is_refused() -> None:
    refuse(
        NET + "[convolutional]\nfilters=1000000000\n",
        "x.cfg:6: [convolutional] filters=1000000000 is out of range; expected 1 to 65536",
    )


def test_a_key_that_cannot_be_honoured_is_refused_by_name_and_line() -> None:
    refuse(
        NET + CONV + "size=1\nxnor=1\n",
        "x.cfg:8: [convolutional] xnor=1: binary weights are not supported; set it to 0 and train again",
    )


def test_a_group_beyond_the_groups_is_refused() -> None:
    refuse(
        NET + CONV + "[route]\nlayers=-1\ngroups=2\ngroup_id=2\n",
        "x.cfg:10: [route] group_id=2 is not below groups=2",
    )


def test_an_odd_number_of_anchor_sides_is_refused() -> None:
    refuse(
        NET + HEAD.replace("5,6", "5"),
        "x.cfg:10: [yolo] anchors has 5 numbers; expected width,height pairs",
    )


def test_a_mask_beyond_the_anchors_is_refused() -> None:
    refuse(NET + HEAD.replace("mask=0,1,2", "mask=0,3"), "x.cfg:8: [yolo] mask=0,3 points beyond the 3 anchors")


def test_a_head_whose_input_has_other_channels_is_refused() -> None:
    refuse(
        NET + HEAD.replace("classes=1", "classes=80"),
        "x.cfg:7: [yolo] (layer 001_yolo) needs 3 anchors x (5 + 80 classes) = 255 input channels, found 18; "
        "set filters= before it, or classes= and mask=",
    )


def test_maps_of_different_sizes_cannot_be_joined() -> None:
    refuse(
        NET + CONV + "[maxpool]\nsize=2\nstride=2\n[route]\nlayers=-1,-2\n",
        "x.cfg:10: [route] (layer 002_route) joins maps of different sizes: 8x16x16, 8x32x32",
    )


def test_an_error_in_a_file_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.cfg"
    path.write_text("")

    with pytest.raises(CfgError, match=rf"^{re.escape(str(path))}: expected \[net\]"):
        read_cfg(path)


# ---- unknown keys ----------------------------------------------------------------------------------------------------


def test_unknown_keys_are_warned_about_once_with_their_first_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        parse_cfg(NET + "colour=red\n" + (CONV + "taste=good\n") * 3, "x.cfg")

    (record,) = caplog.records
    listed = "[net] colour (line 5), [convolutional] taste (line 8)"
    assert record.getMessage() == f"x.cfg: keys kept on writing but without effect here: {listed}"


def test_known_keys_are_not_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        parse_cfg(NET + "batch=64\nmosaic=1\n" + CONV + HEAD + "jitter=.3\niou_loss=ciou\n", "x.cfg")

    assert caplog.records == []


@pytest.mark.parametrize(
    ("text", "listed"),
    [
        (NET + "track=1\n" + CONV, "[net] track (line 5)"),
        (NET + CONV + "assisted_excitation=4000\n", "[convolutional] assisted_excitation (line 7)"),
        (
            NET + HEAD + "embedding_layer=0\nsim_thresh=.8\n",
            "[yolo] embedding_layer (line 11), [yolo] sim_thresh (line",
        ),
        (NET + CONV + "[contrastive]\nclasses=5\n[route]\nlayers=0\n" + HEAD, "[contrastive] (line 7)"),
    ],
)
def test_what_only_darknet_heeds_is_said_once(text: str, listed: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        parse_cfg(text, "x.cfg")

    (record,) = caplog.records
    assert record.getMessage().startswith(f"x.cfg: keys kept on writing but without effect here: {listed}")


# ---- classifiers -----------------------------------------------------------------------------------------------------

CLASSIFIER = NET + CONV + "[avgpool]\n[convolutional]\nfilters=10\n[softmax]\ngroups=1\n[cost]\ntype=sse\n"


def test_a_classifier_is_its_backbone_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        graph = parse_cfg(CLASSIFIER, "x.cfg")

    (record,) = caplog.records
    place = "the layers from [softmax] (line 10) on are a classifier's"
    assert record.getMessage() == f"x.cfg: {place}; those before it are its backbone"
    assert [node.name for node in graph] == ["000_convolutional", "001_avgpool", "002_convolutional"]
    assert [section.name for section in graph.tail] == ["softmax", "cost"]


@pytest.mark.parametrize("kind", ["softmax", "connected", "cost", "local", "detection", "normalization"])
def test_a_detector_with_a_layer_of_classifiers_is_refused(kind: str) -> None:
    reason = "is a layer of classifiers, which only a cfg without heads may have, behind its backbone; remove it"
    refuse(NET + f"[{kind}]\n" + HEAD, f"x.cfg:5: [{kind}] {reason}")


@pytest.mark.parametrize("kind", ["rnn", "crnn", "lstm", "conv_lstm", "gru", "history"])
def test_a_recurrent_network_is_refused_before_anything_else_is_missed(kind: str) -> None:
    reason = "layers that remember earlier pictures are not supported; detect with a network of single pictures"
    refuse(f"[net]\ninputs=256\n[{kind}]\noutput=8\n[softmax]\n", f"x.cfg:3: [{kind}] {reason}")


def test_a_pool_over_channels_takes_no_blur() -> None:
    text = NET + CONV + "[maxpool]\nmaxpool_depth=1\nantialiasing=1\n"
    refuse(text, "x.cfg:9: [maxpool] maxpool_depth=1 takes no antialiasing; set one of them to 0")


def test_a_shortcut_to_a_larger_map_is_told_what_it_does(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        parse_cfg(NET + CONV + "[maxpool]\nsize=2\nstride=2\n[shortcut]\nfrom=0\n[shortcut]\nfrom=-2\n", "x.cfg")

    text = "x.cfg: shortcuts from larger maps, of which they add one cell of each square: line 10"
    assert [record.getMessage() for record in caplog.records] == [text]
