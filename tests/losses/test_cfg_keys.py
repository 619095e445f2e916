"""Which of Darknet's keys a loss takes over from a cfg."""

import pytest

from yoloslim.errors import CfgError
from yoloslim.graph.from_cfg import parse_cfg
from yoloslim.graph.graph import Graph
from yoloslim.losses.cfg_keys import cfg_settings
from yoloslim.zoo.catalog import find

ALL_KEYS = """ignore_thresh=.6
truth_thresh=.9
iou_thresh=.25
iou_loss=giou
focal_loss=1
label_smooth_eps=.1
iou_normalizer=0.07
cls_normalizer=0.5
obj_normalizer=0.4
objectness_smooth=1
"""


def graph_of(*heads: str, kind: str = "yolo") -> Graph:
    layers = "[convolutional]\nfilters=7\nactivation=linear\n[{}]\nanchors=10,10\nclasses=2\n{}"
    if kind == "region":
        layers = layers.replace("10,10", "1,1")
    return parse_cfg(
        "[net]\nwidth=32\nheight=32\n"
        + "\n[route]\nlayers=-2\n".join(layers.format(kind, head).replace("\n\n", "\n") for head in heads)
    )


def test_keys_that_mean_the_same_here_are_taken_over() -> None:
    expected = {
        "anchor_threshold": 0.25,
        "iou": "giou",
        "class_gamma": 2.0,
        "focal_alpha": 0.5,
        "label_smoothing": 0.1,
    }

    assert cfg_settings(graph_of(ALL_KEYS), "threshold") == expected
    assert cfg_settings(graph_of(ALL_KEYS), "dynamic") == expected


def test_thresholds_of_near_misses_belong_to_the_best_anchor() -> None:
    found = cfg_settings(graph_of(ALL_KEYS), "best")

    assert (found["ignore_threshold"], found["truth_threshold"]) == (0.6, 0.9)


@pytest.mark.parametrize("text", ["", "iou_loss=mse", "focal_loss=0", "iou_normalizer=0.07\ncls_normalizer=.5"])
def test_what_says_nothing_of_this_loss_changes_nothing(text: str) -> None:
    assert cfg_settings(graph_of(text), "best") == {}


def test_the_first_head_that_sets_a_key_is_heard() -> None:
    found = cfg_settings(graph_of("", "iou_thresh=.3", "iou_thresh=.4\niou_loss=diou"), "threshold")

    assert found == {"anchor_threshold": 0.3, "iou": "diou"}


def test_keys_of_region_are_others() -> None:
    assert cfg_settings(graph_of("thresh=.6\nfocal_loss=1\niou_loss=giou\nnum=1", kind="region"), "best") == {}


@pytest.mark.parametrize(
    ("text", "message"), [("iou_loss=coiu", "did you mean ciou"), ("ignore_thresh=7", "out of range; expected 0 to 1")]
)
def test_a_value_that_cannot_be_is_named_with_its_line(text: str, message: str) -> None:
    with pytest.raises(CfgError, match=message):
        cfg_settings(graph_of(text), "best")


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ("yolov3", {}),
        ("yolov3-tiny", {}),
        ("yolov4", {"iou": "ciou", "anchor_threshold": 0.213}),
        ("yolov4-tiny", {"iou": "ciou", "anchor_threshold": 0.213}),
        ("yolov4-csp", {"iou": "ciou", "anchor_threshold": 0.2}),
        ("yolov7-tiny", {"iou": "ciou", "anchor_threshold": 0.2}),
    ],
)
def test_published_networks_are_trained_as_without_their_keys_but_for_a_hair(
    network: str, expected: dict[str, object]
) -> None:
    assert cfg_settings(find(network), "threshold") == expected
