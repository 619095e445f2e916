"""``why`` as a user types it."""

import pytest


def test_a_channel_is_explained_with_the_lines_of_its_file(run) -> None:
    assert run("cfg", "yolov3", "--out", "my.cfg").code == 0

    outcome = run("why", "5:3", "--cfg", "my.cfg")

    assert outcome.code == 0
    assert outcome.out.startswith("005_convolutional (my.cfg:")
    assert "ties them in 007_convolutional and 005_convolutional" in outcome.out
    assert "nothing fixes them: a method may remove them, unless it leaves alone: shortcut" in outcome.out
    assert [bond["node"] for bond in outcome.json["joints"]] == ["008_shortcut", "011_shortcut"]
    assert outcome.json["frozen_by"] == ["shortcut"]


def test_a_layer_is_named_by_number_or_name(run) -> None:
    assert run("why", "15", "--cfg", "yolov3-tiny").out == run("why", "015_convolutional", "--cfg", "yolov3-tiny").out


@pytest.mark.parametrize(
    ("node", "words"),
    [
        ("99", "no layer 99; expected 0 to 37, or a name that info shows"),
        ("12:64", "012_convolutional has the channels 0 to 63, found '64'"),
        ("12:x", "012_convolutional has the channels 0 to 63, found 'x'"),
    ],
)
def test_what_is_not_there_is_refused(refused, node: str, words: str) -> None:
    assert words in refused("why", node, "--cfg", "yolov4-tiny")
