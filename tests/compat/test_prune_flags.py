"""The scripts that prune: their rules as options, and results where theirs lie."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from yoloslim.compat.prune import KINDS, SCRIPTS, results
from yoloslim.errors import RecipeError

Meant = Callable[..., Any]
BASE = "--cfg my.cfg --weights my.weights --data my.data "
UNTIED = ["shortcut", "upsample", "spp", "grouped_route", "depthwise"]


@pytest.fixture(autouse=True)
def cfg(folder: Path) -> None:
    (folder / "my.cfg").write_text("")


@pytest.mark.parametrize(
    ("script", "options"),
    [
        ("normal_prune", {"--method": ["normal"], "--freeze": UNTIED, "--strict": [], "--min-keep": ["0.0"]}),
        ("regular_prune", {"--method": ["regular"], "--freeze": UNTIED, "--strict": [], "--round": ["8"]}),
        ("shortcut_prune", {"--method": ["shortcut"], "--freeze": UNTIED[1:], "--strict": []}),
        ("slim_prune", {"--method": ["slim"], "--freeze": UNTIED[1:], "--min-keep": ["0.01"]}),
        ("layer_channel_prune", {"--method": ["layer_channel"], "--blocks": ["8"], "--min-keep": ["0.01"]}),
        ("layer_channel_regular_prune", {"--method": ["layer_channel"], "--blocks": ["8"], "--round": ["8"]}),
        ("EagleEye_normal_prune", {"--method": ["eagleeye"], "--freeze": UNTIED, "--candidates": ["20"]}),
        ("EagleEye_regular_prune", {"--method": ["eagleeye"], "--freeze": UNTIED, "--round": ["8"]}),
        ("EagleEye_slim_prune", {"--method": ["eagleeye"], "--freeze": UNTIED[1:]}),
    ],
)
def test_a_script_is_a_method_with_the_rules_that_theirs_had(
    meant: Meant, script: str, options: dict[str, Any]
) -> None:
    found = meant(SCRIPTS[script], BASE + "--percent 0.5")

    assert found.options["--percent"] == ["0.5"]
    assert {key: found.options.get(key) for key in options} == options
    assert ("--strict" in found.options) == ("--strict" in options)


def test_channels_are_counted_over_writers_but_where_plans_are_drawn_at_random(meant: Meant) -> None:
    over = {name: meant(SCRIPTS[name], BASE).options.get("--over") for name in KINDS}

    assert {name for name, found in over.items() if found is None} == {
        *("layer_prune", "EagleEye_normal_prune", "EagleEye_regular_prune", "EagleEye_slim_prune")
    }
    assert {tuple(found) for found in over.values() if found} == {("writers",)}


@pytest.mark.parametrize("flag", ["--shortcut", "--shortcuts"])
def test_layer_pruning_drops_blocks_alone(meant: Meant, flag: str) -> None:
    found = meant(SCRIPTS["layer_prune"], BASE + f"{flag} 3 --img-size 416 --batch-size 4")

    assert found.options == {
        "--cfg": ["my.cfg"],
        "--weights": ["my.weights"],
        "--data": ["my.data"],
        "--method": ["layer"],
        "--blocks": ["3"],
        "--size": ["416"],
        "--batch": ["4"],
    }


def test_the_share_that_stays_and_the_number_of_plans_can_be_set(meant: Meant) -> None:
    assert meant(SCRIPTS["slim_prune"], BASE + "--layer_keep 0.1").options["--min-keep"] == ["0.1"]
    assert meant(SCRIPTS["EagleEye_slim_prune"], BASE + "--number 5").options["--candidates"] == ["5"]


@pytest.mark.parametrize(
    ("script", "flags", "note"),
    [
        ("regular_prune", "", "layers keep a multiple of 8 channels, which is one of 2, as the documents have it"),
        ("layer_prune", "--percent 0.5", "--percent has no effect on layer pruning"),
        ("normal_prune", "--shortcut 4", "--shortcut has no effect on normal pruning"),
        ("normal_prune", "--layer_keep 0.1", "--layer_keep has no effect on normal pruning"),
        ("EagleEye_normal_prune", "--delta 0.1", "--delta has no effect on eagleeye pruning"),
    ],
)
def test_what_differs_is_said(meant: Meant, script: str, flags: str, note: str) -> None:
    assert note in meant(SCRIPTS[script], BASE + flags).notes


def test_an_unknown_flag_is_refused(meant: Meant) -> None:
    with pytest.raises(RecipeError, match=r"normal_prune\.py: unknown flag --precent; did you mean --percent\?"):
        meant(SCRIPTS["normal_prune"], BASE + "--precent 0.5")


@pytest.mark.parametrize(
    ("script", "cfg", "paths"),
    [
        (
            "normal_prune",
            "cfg/yolov3/yolov3-hand.cfg",
            ("cfg/yolov3/normal_prune_0.5_yolov3-hand.cfg", "weights/yolov3/normal_prune_0.5_percent.weights"),
        ),
        ("slim_prune", "my.cfg", ("cfg/my/slim_prune_0.5_my.cfg", "weights/my/slim_prune_0.5_percent.weights")),
        (
            "layer_prune",
            "cfg/yolov3/my.cfg",
            ("cfg/yolov3/layer_prune_3_my.cfg", "weights/yolov3/layer_prune_3_shortcuts.weights"),
        ),
        (
            "layer_channel_prune",
            "cfg/my.cfg",
            (
                "cfg/my/layer_channel_prune_0.5_3_my.cfg",
                "weights/my/layer_channel_prune_0.5_percent_3_shortcuts.weights",
            ),
        ),
    ],
)
def test_results_lie_where_theirs_do(script: str, cfg: str, paths: tuple[str, str]) -> None:
    given = SCRIPTS[script].flags.read(["--percent", "0.5", "--shortcut", "3"])
    given.asked_cfg = cfg

    assert tuple(map(str, results(KINDS[script], given))) == paths
