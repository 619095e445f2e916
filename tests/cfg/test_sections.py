"""cfg text <-> sections."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoloslim.cfg.sections import Option, Section, parse_sections, read_sections, write_sections
from yoloslim.errors import CfgError

WORDS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,11}", fullmatch=True)
VALUES = st.text(st.characters(exclude_categories=("C", "Z")), max_size=12)
SECTIONS = st.builds(Section, name=WORDS, options=st.lists(st.builds(Option, WORDS, VALUES), max_size=5).map(tuple))


def content(sections: Sequence[Section]) -> list[tuple[str, list[tuple[str, str]]]]:
    return [(section.name, [(option.key, option.value) for option in section.options]) for section in sections]


@given(st.lists(SECTIONS, max_size=6))
def test_sections_written_and_read_again_are_the_same(sections: list[Section]) -> None:
    assert content(parse_sections(write_sections(sections))) == content(sections)


@given(st.lists(SECTIONS, min_size=1, max_size=6), st.data())
def test_comments_and_blank_lines_change_nothing(sections: list[Section], data: st.DataObject) -> None:
    noise = st.sampled_from(["", "# filters=3", "   ; [yolo]", "\t", "#"])
    lines = write_sections(sections).splitlines()
    at = data.draw(st.integers(0, len(lines)))

    text = "\n".join([*lines[:at], data.draw(noise), *lines[at:]])

    assert content(parse_sections(text)) == content(sections)


@given(st.lists(SECTIONS, min_size=1, max_size=6))
def test_lines_point_at_what_was_written_there(sections: list[Section]) -> None:
    text = write_sections(sections)
    lines = text.split("\n")

    for section in parse_sections(text):
        assert lines[section.line - 1] == f"[{section.name}]"
        assert [lines[o.line - 1] for o in section.options] == [f"{o.key}={o.value}" for o in section.options]


def test_spaces_around_keys_and_values_and_comments_behind_them_are_dropped() -> None:
    assert content(parse_sections("[ net ]\n width = 416  # pixels\n")) == [("net", [("width", "416")])]


def test_a_comment_sign_inside_a_value_belongs_to_it() -> None:
    assert content(parse_sections("[net]\nname=a#b;c\n")) == [("net", [("name", "a#b;c")])]


def test_windows_line_ends_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.cfg"
    path.write_bytes(b"\xef\xbb\xbf[net]\r\nwidth=416\r\n")

    assert content(read_sections(path)) == [("net", [("width", "416")])]


def test_the_first_of_two_equal_keys_is_found() -> None:
    section = Section("net", (Option("width", "1"), Option("width", "2")))
    assert section.find("width") == Option("width", "1")


def test_updating_keeps_the_place_of_known_keys_and_appends_new_ones() -> None:
    section = Section("net", (Option("width", "1", line=2), Option("height", "2", line=3)))

    updated = section.updated({"width": "7", "channels": "3"})

    assert updated.options == (Option("width", "7", 2), Option("height", "2", 3), Option("channels", "3"))


def test_without_drops_only_the_named_keys() -> None:
    section = Section("net", (Option("width", "1"), Option("height", "2"), Option("width", "3")))
    assert section.without({"width", "depth"}).options == (Option("height", "2"),)


def test_a_line_that_is_no_option_is_refused_with_its_place() -> None:
    with pytest.raises(CfgError, match=r"^x\.cfg:3: expected key=value, found 'height'$"):
        parse_sections("[net]\nwidth=1\nheight\n", "x.cfg")


def test_an_option_without_a_key_is_refused() -> None:
    with pytest.raises(CfgError, match=r"^x\.cfg:2: expected key=value, found '=5'$"):
        parse_sections("[net]\n=5\n", "x.cfg")


@pytest.mark.parametrize("header", ["[net", "[]", "[ ]"])
def test_a_header_that_is_not_closed_or_has_no_name_is_refused(header: str) -> None:
    with pytest.raises(CfgError, match=r"^x\.cfg:2: expected \[section\], found '\["):
        parse_sections(f"\n{header}\n", "x.cfg")


def test_an_option_before_the_first_section_is_refused() -> None:
    with pytest.raises(CfgError, match=r"^x\.cfg:2: 'width=1' stands before the first \[section\]$"):
        parse_sections("# c\nwidth=1\n[net]\n", "x.cfg")


def test_an_error_carries_its_place_as_data() -> None:
    section = Section("net", (Option("width", "x", line=7),), line=5, path="x.cfg")

    by_key, by_header = section.error("is odd", key="width"), section.error("is odd", key="height")

    assert (by_key.path, by_key.line, by_key.key, by_key.message) == ("x.cfg", 7, "width", "[net] is odd")
    assert by_header.line == 5


def test_binary_data_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.weights"
    path.write_bytes(bytes(20) + b"\x12\x34" * 50)

    with pytest.raises(
        CfgError, match=r"x\.weights: expected cfg text, found binary data; is this the weights file\?$"
    ):
        read_sections(path)


def test_a_published_weights_file_given_as_cfg_is_refused(weights_dir: Path) -> None:
    with pytest.raises(CfgError, match="found binary data"):
        read_sections(weights_dir / "yolov3-tiny.weights")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CfgError, match=r"x\.cfg: cannot read this cfg: No such file or directory$"):
        read_sections(tmp_path / "x.cfg")
