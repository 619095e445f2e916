"""Typed reading of a section: every error a value can cause, and what is accepted."""

import re

import pytest

from yoloslim.cfg.options import Options, idle_keys, kind_of, unknown_keys
from yoloslim.cfg.schema import REFUSED_SECTIONS
from yoloslim.cfg.sections import Section, parse_sections
from yoloslim.errors import CfgError


def section_of(*lines: str) -> Section:
    (section,) = parse_sections("\n".join(lines), "x.cfg")
    return section


def options_of(*lines: str) -> Options:
    return Options(section_of(*lines))


# ---- what is accepted ------------------------------------------------------------------------------------------------


def test_values_are_read_by_their_kind() -> None:
    options = options_of("[dropout]", "probability=.25")
    assert options.number("probability") == 0.25
    options = options_of("[convolutional]", "filters= 32", "batch_normalize=1", "activation=mish")
    assert (options.integer("filters"), options.flag("batch_normalize")) == (32, True)
    assert options.text("activation") == "mish"


def test_absent_keys_have_darknets_defaults() -> None:
    options = options_of("[convolutional]")

    assert (options.integer("filters"), options.integer("size"), options.integer("stride")) == (1, 1, 1)
    assert (options.flag("batch_normalize"), options.text("activation")) == (False, "logistic")
    assert not options.has("filters")


def test_lists_may_have_spaces_and_a_trailing_comma() -> None:
    options = options_of("[yolo]", "mask = 3, 4,5,", "anchors = 10,14,  23.5,27,")

    assert options.integers("mask") == (3, 4, 5)
    assert options.numbers("anchors") == (10, 14, 23.5, 27)


def test_a_whole_number_may_be_written_with_a_point() -> None:
    assert options_of("[convolutional]", "filters=32.0").integer("filters") == 32


@pytest.mark.parametrize(
    ("short", "kind"), [("conv", "convolutional"), ("max", "maxpool"), ("network", "net"), ("silence", "empty")]
)
def test_short_names_stand_for_their_section(short: str, kind: str) -> None:
    assert kind_of(Section(short)) == kind


def test_keys_that_the_schema_does_not_list_are_named() -> None:
    assert unknown_keys(section_of("[conv]", "filters=3", "colour=blue", "taste=good")) == ["colour", "taste"]


def test_keys_that_only_darknet_heeds_are_named() -> None:
    section = section_of("[yolo]", "mask=0", "jitter=.3", "embedding_layer=5", "colour=blue")

    assert idle_keys(section) == ["embedding_layer"]


@pytest.mark.parametrize("line", ["xnor=0", "coordconv=0", "flipped=0"])
def test_a_refused_key_at_its_default_is_accepted(line: str) -> None:
    assert options_of("[convolutional]", line).integer("filters") == 1


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "line", "message"),
    [
        ("convolutional", "filters=many", "expected a whole number, found 'many'"),
        ("convolutional", "filters=1.5", "filters=1.5: expected a whole number, found '1.5'"),
        ("convolutional", "filters=", "filters=: expected a whole number, found ''"),
        ("convolutional", "filters=inf", "filters=inf: expected a whole number, found 'inf'"),
        ("convolutional", "filters=0", "filters=0 is out of range; expected 1 to 65536"),
        ("convolutional", "filters=1000000000", "filters=1000000000 is out of range; expected 1 to 65536"),
        ("dropout", "probability=half", "probability=half: expected a number, found 'half'"),
        ("dropout", "probability=1.5", "probability=1.5 is out of range; expected 0 to 1"),
    ],
)
def test_a_number_that_cannot_be_honoured_is_refused(section: str, line: str, message: str) -> None:
    options = options_of(f"[{section}]", "# a comment", line)

    with pytest.raises(CfgError, match=rf"^x\.cfg:3: \[{section}\] .*{re.escape(message)}$"):
        options.number(line.partition("=")[0])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("mask=0,x,2", "mask=0,x,2: expected a whole number, found 'x'"),
        ("mask=,", "mask=,: expected a whole number, found ','"),
        ("mask=", "mask=: expected a whole number, found ''"),
        ("mask=0,1.5", "mask=0,1.5: expected a whole number, found '1.5'"),
        ("anchors=1,2,-3,4", "anchors=-3 is out of range; expected 0 to 65536"),
        ("anchors=1,2 3,4", "anchors=1,2 3,4: expected a number, found '2 3'"),
    ],
)
def test_a_list_that_cannot_be_honoured_is_refused(line: str, message: str) -> None:
    options = options_of("[yolo]", line)

    with pytest.raises(CfgError, match=rf"^x\.cfg:2: \[yolo\] {re.escape(message)}$"):
        options.numbers(line.partition("=")[0])


def test_a_word_is_answered_with_the_nearest() -> None:
    message = r"^x\.cfg:2: \[shortcut\] activation=lineer is not known; did you mean linear\?$"
    with pytest.raises(CfgError, match=message):
        options_of("[shortcut]", "activation=lineer").text("activation")


def test_a_word_like_no_other_is_answered_with_all() -> None:
    with pytest.raises(CfgError, match=r"activation=zzz is not known; known: elu, .*tanh"):
        options_of("[convolutional]", "activation=zzz").text("activation")


def test_a_required_key_that_is_missing_is_named_at_the_header() -> None:
    with pytest.raises(CfgError, match=r"^x\.cfg:1: \[net\] needs width=$"):
        options_of("[net]", "height=3").integer("width")


def test_an_unknown_section_is_answered_with_the_nearest() -> None:
    with pytest.raises(
        CfgError, match=r"^x\.cfg:1: \[convolution\] is not a section .*; did you mean \[convolutional\]\?$"
    ):
        kind_of(section_of("[convolution]"))


def test_a_section_like_no_other_is_answered_with_all() -> None:
    with pytest.raises(CfgError, match=r"\[zzz\] is not a section that can be read; known: avgpool, .*yolo$"):
        kind_of(section_of("[zzz]"))


@pytest.mark.parametrize(
    ("section", "line", "reason"),
    [
        ("convolutional", "xnor=1", "binary weights are not supported; set it to 0 and train again"),
        ("convolutional", "binary=1", "binary weights are not supported; set it to 0 and train again"),
        ("convolutional", "flipped=1", "transposed weights are of 2016's Darknet; convert them with it"),
        ("convolutional", "bin_output=1", "binary weights are not supported; set it to 0 and train again"),
        ("convolutional", "deform=1", "rotated kernels are not supported; set it to 0 and train again"),
        ("convolutional", "sway=1", "rotated kernels are not supported; set it to 0 and train again"),
        ("convolutional", "rotate=1", "rotated kernels are not supported; set it to 0 and train again"),
        ("convolutional", "stretch=1", "rotated kernels are not supported; set it to 0 and train again"),
        ("convolutional", "stretch_sway=1", "rotated kernels are not supported; set it to 0 and train again"),
        ("convolutional", "coordconv=1", "coordinates written over channels are not supported; set it to 0"),
        ("maxpool", "maxpool_zero_nonmax=1", "cells set to zero are not supported; set it to 0 and train again"),
        ("reorg", "reverse=1", "only the plain form is supported; remove it"),
        ("region", "background=1", "a background class is not supported; remove it"),
        ("Gaussian_yolo", "yolo_point=left_top", "boxes told from a corner are not supported; train with center"),
    ],
)
def test_a_key_that_would_change_the_network_is_refused(section: str, line: str, reason: str) -> None:
    with pytest.raises(CfgError, match=re.escape(f"x.cfg:2: [{section}] {line}: {reason}")):
        options_of(f"[{section}]", line)


@pytest.mark.parametrize("name", REFUSED_SECTIONS)
def test_a_section_that_cannot_be_honoured_is_refused_by_name_with_what_to_do(name: str) -> None:
    with pytest.raises(CfgError, match=re.escape(f"x.cfg:1: [{name}] {REFUSED_SECTIONS[name]}")):
        kind_of(section_of(f"[{name}]"))
