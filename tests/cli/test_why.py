"""``why`` as a user types it."""

import pytest


def test_a_channel_is_explained_with_the_lines_of_its_file(run) -> None:
    assert run("cfg", "yolov3", "--out", "my.cfg").code == 0

    outcome = run("why", "5:3", "--cfg", "my.cfg")

    assert outcome.code == 0
    assert outcome.out.startswith("005_convolutional (my.cfg:")
    assert "ties them in 007_convolutional and 005_convolutional" in outcome.out
    assert "\n  010_convolutional:3 (my.cfg:" in outcome.out
    assert "nothing fixes it: a method may remove it, unless it leaves alone: shortcut" in outcome.out
    assert [bond["node"] for bond in outcome.json["joints"]] == ["008_shortcut", "011_shortcut"]
    assert outcome.json["frozen_by"] == ["shortcut"]


def test_a_layer_is_named_by_number_or_name(run) -> None:
    assert run("why", "15", "--cfg", "yolov3-tiny").out == run("why", "015_convolutional", "--cfg", "yolov3-tiny").out


def test_channels_that_fare_differently_are_told_apart(run) -> None:
    outcome = run("why", "124", "--cfg", "yolo-fastest-1.1")

    first, second = outcome.json["groups"]
    assert (first["channels"], second["channels"]) == ("0-95", "96-119")
    assert "upsample" in first["frozen_by"]
    assert "upsample" not in second["frozen_by"]
    assert "shortcut" in second["frozen_by"]
    assert "channels 96-119\nlive and die with:\n  060_convolutional:0-23\n" in outcome.out
    assert "  125_convolutional:96-119  filters 124_route channel by channel\n" in outcome.out


def test_a_long_list_is_cut_and_whole_in_the_json(run) -> None:
    outcome = run("why", "61", "--cfg", "yolov3")

    assert len(outcome.out.splitlines()) <= 20
    assert "  and 3 more; --json lists all\n" in outcome.out
    assert len(outcome.json["writers"]) == 9


def test_the_answer_does_not_grow_with_the_number_of_sets(run, tmp_path) -> None:
    shortcuts = "".join(
        f"[convolutional]\nfilters={count}\n[shortcut]\nfrom=0\nactivation=linear\n[route]\nlayers=0\n"
        for count in range(1, 60)
    )
    (tmp_path / "many.cfg").write_text(f"[net]\nwidth=8\nheight=8\n[convolutional]\nfilters=64\n{shortcuts}")

    outcome = run("why", "0", "--cfg", "many.cfg")

    assert len(outcome.json["groups"]) == 60
    assert len(outcome.out.splitlines()) <= 80
    assert "and 56 more sets of channels; --json lists all" in outcome.out


@pytest.mark.parametrize(("node", "words"), [("0", "nothing lives or dies with them"), ("15", "reads them as boxes")])
def test_a_layer_alone_and_one_that_stays_say_so(run, node: str, words: str) -> None:
    assert words in run("why", node, "--cfg", "yolov3-tiny").out


@pytest.mark.parametrize(
    ("node", "words"),
    [
        ("99", "no layer '99'; expected 0 to 37, or a name that info shows"),
        ("12:64", "012_convolutional has the channels 0 to 63, found '64'"),
        ("12:x", "012_convolutional has the channels 0 to 63, found 'x'"),
    ],
)
def test_what_is_not_there_is_refused(refused, node: str, words: str) -> None:
    assert words in refused("why", node, "--cfg", "yolov4-tiny")
