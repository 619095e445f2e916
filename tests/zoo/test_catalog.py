"""Networks by name: what can be asked for, and what is answered to the rest."""

from pathlib import Path

import pytest

from yoloslim.cfg.sections import parse_sections
from yoloslim.errors import RecipeError
from yoloslim.graph.from_cfg import parse_cfg, read_cfg
from yoloslim.graph.graph import Graph
from yoloslim.graph.ops import Convolution, Op, Route, Yolo
from yoloslim.graph.shapes import infer_shapes
from yoloslim.graph.to_cfg import to_cfg
from yoloslim.runtime.load import load
from yoloslim.zoo.anchors import parse_anchors
from yoloslim.zoo.builder import scaled_filters
from yoloslim.zoo.catalog import BACKBONES, HEADS, find, networks
from yoloslim.zoo.data_sets import DATA_SETS

NAMES = sorted(networks())
YOLOV4_PATHS = [(-1, -3), (-1, -3), (-1, -16), (-1, -37)]
ELAN = (-5, -3, -2, -1)
YOLOV7_PATHS = [(-1, -3), ELAN, (-1, -3), ELAN, (-1, 56 - 70), ELAN, (-1, 44 - 79), ELAN]
SIX = parse_anchors("1,2 3,4 5,6 7,8 9,10 11,12")


def structure(graph: Graph) -> list[tuple[str, Op, tuple[str, ...]]]:
    return [(node.name, node.op, node.inputs) for node in graph]


def joins(graph: Graph) -> list[tuple[int, ...]]:
    """Gives what every route of several layers reads, as distances back from it."""
    index = {node.name: number for number, node in enumerate(graph)}
    routes = [node for node in graph if isinstance(node.op, Route) and len(node.inputs) > 1]
    return [tuple(index[name] - index[node.name] for name in node.inputs) for node in routes]


def hidden_filters(graph: Graph) -> list[int]:
    return [n.op.filters for n in graph if isinstance(n.op, Convolution) and n.op.batch_norm]


# ---- the networks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1.0, 0.3, 2.0])
@pytest.mark.parametrize("name", NAMES)
def test_a_network_is_the_one_that_its_cfg_describes(name: str, width: float) -> None:
    graph = find(name, classes=7, width=width)
    again = parse_cfg(to_cfg(graph))

    assert structure(again) == structure(graph)
    assert again.input_shape == graph.input_shape


@pytest.mark.parametrize("name", NAMES)
def test_a_network_that_was_read_again_is_written_the_same(name: str) -> None:
    text = to_cfg(find(name))
    assert to_cfg(parse_cfg(text)) == text


def test_yolov3_tiny_is_the_published_cfg_but_for_the_second_mask(weights_dir: Path) -> None:
    published = structure(read_cfg(weights_dir / "yolov3-tiny.cfg"))
    ours = structure(find("yolov3-tiny"))

    assert ours[:-1] == published[:-1]
    name, op, inputs = published[-1]
    assert isinstance(op, Yolo)
    assert op.mask == (0, 1, 2)
    assert ours[-1] == (name, Yolo((1, 2, 3), op.anchors, op.classes), inputs)


@pytest.mark.parametrize("name", ["yolo-fastest-1.1", "yolo-fastest-1.1-xl"])
def test_yolo_fastest_is_the_published_cfg_and_takes_its_weights(name: str, weights_dir: Path) -> None:
    graph = find(name)

    loaded = load(weights_dir / f"{name}.weights", graph)

    assert structure(graph) == structure(read_cfg(weights_dir / f"{name}.cfg"))
    assert not loaded.notes


@pytest.mark.parametrize(
    ("name", "backbone", "head"),
    [
        ("yolov3", [], [(-1, 61 - 86), (-1, 36 - 98)]),
        ("yolov4", [(-1, -7), (-1, -10), (-1, -28), (-1, -28), (-1, -16)], [(-1, -3, -5, -6), *YOLOV4_PATHS]),
        ("yolov4-tiny", [(-1, -2), (-6, -1)] * 3, [(-1, 23 - 34)]),
        ("yolov4-tiny-3l", [(-1, -2), (-6, -1)] * 3, [(-1, 23 - 34), (-1, 15 - 41)]),
        (
            "yolov4-csp",
            [(-1, -10), (-1, -28), (-1, -28), (-1, -16)],
            [(-1, -3, -5, -6), (-1, -13), *[(-1, -3), (-1, -6)] * 2, (-1, -20), (-1, -6), (-1, -49), (-1, -6)],
        ),
        (
            "yolov4x-mish",
            [(-1, -13), (-1, -34), (-1, -34), (-1, -19)],
            [(-1, -3, -5, -6), (-1, -15), *[(-1, -3), (-1, -8)] * 2, (-1, -22), (-1, -8), (-1, -55), (-1, -8)],
        ),
        ("yolov7-tiny", [(-5, -3, -2, -1)] * 4, [(-1, -3, -5, -6), (-10, -1), *YOLOV7_PATHS]),
    ],
)
def test_layers_are_joined_in_the_published_order(
    name: str, backbone: list[tuple[int, ...]], head: list[tuple[int, ...]]
) -> None:
    assert joins(find(name)) == [*backbone, *head]  # another order would permute the channels of published weights


@pytest.mark.parametrize(
    ("name", "masks", "strides"),
    [
        ("yolov3", [(6, 7, 8), (3, 4, 5), (0, 1, 2)], [32, 16, 8]),
        ("yolov4", [(0, 1, 2), (3, 4, 5), (6, 7, 8)], [8, 16, 32]),
        ("yolov3-tiny", [(3, 4, 5), (1, 2, 3)], [32, 16]),
        ("yolov4-tiny", [(3, 4, 5), (1, 2, 3)], [32, 16]),
        ("yolov4-tiny-3l", [(6, 7, 8), (3, 4, 5), (0, 1, 2)], [32, 16, 8]),
        ("yolov7-tiny", [(0, 1, 2), (3, 4, 5), (6, 7, 8)], [8, 16, 32]),
        ("yolov3-mobilenetv3", [(6, 7, 8), (3, 4, 5), (0, 1, 2)], [32, 16, 8]),
        ("yolov4x-mish", [(0, 1, 2), (3, 4, 5), (6, 7, 8)], [8, 16, 32]),
        ("yolo-fastest-1.1", [(3, 4, 5), (0, 1, 2)], [32, 16]),
    ],
)
def test_each_head_has_its_anchors_at_its_stride(name: str, masks: list[tuple[int, ...]], strides: list[int]) -> None:
    graph = find(name)
    shapes = infer_shapes(graph)

    assert [yolo.mask for _, yolo in graph.heads] == masks
    assert [graph.input_shape.width // shapes[node.name].width for node, _ in graph.heads] == strides


@pytest.mark.parametrize(
    ("name", "stretch"),
    [
        ("yolov3", [1, 1, 1]),
        ("yolov3-tiny", [1, 1]),
        ("yolov4", [1.2, 1.1, 1.05]),
        ("yolov4-tiny", [1.05, 1.05]),
        ("yolov4x-mish", [2, 2, 2]),
    ],
)
def test_each_head_stretches_its_cell_offset_as_published(name: str, stretch: list[float]) -> None:
    assert [yolo.scale_x_y for _, yolo in find(name).heads] == stretch


@pytest.mark.parametrize(
    ("name", "size"), [("yolov3", 608), ("yolov4", 608), ("yolov3-tiny", 416), ("yolov4-tiny", 416)]
)
def test_a_network_has_its_published_size_unless_told(name: str, size: int) -> None:
    assert find(name).input_shape == (3, size, size)


@pytest.mark.parametrize("name", NAMES)
def test_a_network_carries_what_darknet_needs_to_train(name: str) -> None:
    net, *layers = parse_sections(to_cfg(find(name)))

    assert {"batch", "subdivisions", "learning_rate", "max_batches", "policy"} <= {o.key for o in net.options}
    for section in (s for s in layers if s.name in ("yolo", "region")):
        threshold = {"yolo": "ignore_thresh", "region": "thresh"}[section.name]
        assert {"jitter", threshold, "random"} <= {o.key for o in section.options}


# ---- what can be chosen ----------------------------------------------------------------------------------------------


def test_size_is_width_then_height() -> None:
    assert find("yolov3-tiny", size=(640, 480)).input_shape == (3, 480, 640)


@pytest.mark.parametrize("name", NAMES)
def test_width_scales_hidden_filters_in_steps_of_8_and_leaves_heads(name: str) -> None:
    full, narrow = find(name), find(name, width=0.3)

    if "ghostnet" not in name and "fastest" not in name:  # those give halves, or as many as they read
        assert hidden_filters(narrow) == [scaled_filters(filters, 0.3) for filters in hidden_filters(full)]
    assert [node.op for node, _ in narrow.heads] == [node.op for node, _ in full.heads]


@pytest.mark.parametrize(
    ("filters", "width", "expected"),
    [(32, 0.5, 16), (32, 0.1, 8), (64, 0.3, 16), (40, 0.5, 24), (1024, 1.0, 1024), (4, 0.3, 4), (4, 2.0, 8)],
)
def test_scaled_filters_are_the_nearest_multiple_of_8(filters: int, width: float, expected: int) -> None:
    assert scaled_filters(filters, width) == expected


def test_classes_set_the_channels_of_every_head() -> None:
    graph = find("yolov4", classes=3)
    shapes = infer_shapes(graph)

    assert graph.classes == 3
    assert [shapes[node.name].channels for node, _ in graph.heads] == [24, 24, 24]


def test_anchors_are_those_given() -> None:
    assert [yolo.anchors for _, yolo in find("yolov4-tiny", anchors=SIX).heads] == [SIX, SIX]


# ---- data sets -------------------------------------------------------------------------------------------------------


def test_a_data_set_sets_classes_and_anchors() -> None:
    graph = find("yolov3-tiny-hand")

    assert graph.classes == 1
    assert graph.heads[0][1].anchors[0] == (9, 13)


def test_the_number_of_anchors_follows_the_network() -> None:
    assert find("yolov3-hand").heads[0][1].anchors[-1] == (94, 103)
    assert find("yolov3-tiny-hand").heads[0][1].anchors[-1] == (79, 83)


def test_a_data_set_with_the_anchors_of_coco_takes_each_networks_own() -> None:
    assert find("yolov4-voc").heads[0][1].anchors == find("yolov4").heads[0][1].anchors
    assert find("yolov3-voc").heads[0][1].anchors == find("yolov3").heads[0][1].anchors
    assert find("yolov3-voc").classes == 20


def test_classes_and_anchors_given_win_over_the_data_set() -> None:
    graph = find("yolov3-tiny-hand", classes=2, anchors=SIX)

    assert graph.classes == 2
    assert graph.heads[0][1].anchors == SIX


@pytest.mark.parametrize(
    ("name", "classes"),
    [("coco", 80), ("voc", 20), ("dior", 20), ("bdd100k", 10), ("visdrone", 10), ("uav", 1), ("screw", 2), ("ship", 5)],
)
def test_a_data_set_has_its_classes(name: str, classes: int) -> None:
    assert len(set(DATA_SETS[name].names)) == classes


def test_the_classes_of_coco_are_those_of_darknet(weights_dir: Path) -> None:
    assert DATA_SETS["coco"].names == tuple((weights_dir / "coco.names").read_text().split("\n")[:80])


@pytest.mark.parametrize("name", sorted(DATA_SETS))
def test_the_anchors_of_a_data_set_are_as_many_as_said_and_have_an_area(name: str) -> None:
    for count, anchors in DATA_SETS[name].anchors.items():
        assert len(anchors) in (0, count)
        assert all(width > 0 and height > 0 for width, height in anchors)


# ---- backbones and heads ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", sorted(HEADS))
@pytest.mark.parametrize("backbone", sorted(BACKBONES))
def test_every_backbone_carries_every_head(backbone: str, head: str) -> None:
    graph = find(f"{backbone}+{head}", classes=4, size=(96, 64), width=0.25)

    assert graph.classes == 4
    assert structure(parse_cfg(to_cfg(graph))) == structure(graph)


def test_a_backbone_and_a_head_take_a_data_set() -> None:
    graph = find("mobilenetv3-large+yolov3-hand")

    assert graph.classes == 1
    assert graph.heads[0][1].anchors[-1] == (94, 103)


@pytest.mark.parametrize("name", ["yolov2", "yolov2-tiny", "yolov3", "yolov3-spp"])
def test_a_network_is_debians_cfg(name: str) -> None:
    path = Path(f"/usr/share/darknet/cfg/{name}.cfg")
    if not path.exists():
        pytest.skip("needs Debian's darknet package")

    assert structure(find(name)) == structure(read_cfg(path))


def test_anchors_of_yolov2_are_given_in_pixels_and_written_in_cells() -> None:
    five = [(32.0, 64.0), *find("yolov2").heads[0][1].used_anchors((32, 32))[1:]]

    graph = find("yolov2", anchors=five)

    assert graph.heads[0][1].anchors[0] == (1.0, 2.0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mobilnet+yolov3", "'mobilnet' is no backbone; known: darknet19, .*"),
        ("ghostnet+yolov9", "'yolov9' is no head, nor a head and a data set; known: yolov2, .*"),
    ],
)
def test_an_unknown_backbone_or_head_is_answered_with_the_known_ones(name: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        find(name)


# ---- what is refused -------------------------------------------------------------------------------------------------


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r"'yolov3-tiny-hnd' is no network.*did you mean yolov3-tiny-hand"):
        find("yolov3-tiny-hnd")


def test_a_name_like_no_other_is_answered_with_all_networks() -> None:
    with pytest.raises(RecipeError, match=r"known: yolov2, yolov2-tiny, yolov3, yolov3-spp, .*yolov7-tiny"):
        find("zzz")


def test_a_data_set_without_anchors_for_the_network_is_refused() -> None:
    with pytest.raises(RecipeError, match="yolov3-ship: yolov3 needs 9 anchors, this data set has sets of 6"):
        find("yolov3-ship")


@pytest.mark.parametrize(("name", "needed"), [("yolov3", 9), ("yolov4", 9)])
def test_anchors_of_the_wrong_number_are_refused(name: str, needed: int) -> None:
    with pytest.raises(RecipeError, match=f"{name} needs {needed} anchors, found 6"):
        find(name, anchors=SIX)


@pytest.mark.parametrize("name", ["yolov3-tiny", "yolov4-tiny"])
def test_no_anchors_at_all_are_refused(name: str) -> None:
    with pytest.raises(RecipeError, match=f"{name} needs 6 anchors, found 0"):
        find(name, anchors=[])


def test_an_anchor_without_area_is_refused() -> None:
    with pytest.raises(RecipeError, match="anchor 0,3 is no box"):
        find("yolov3-tiny", anchors=[(0, 3), *SIX[1:]])


@pytest.mark.parametrize("size", [(400, 416), (416, 0), (-32, 32)])
def test_a_size_that_the_strides_do_not_divide_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(RecipeError, match=f"size={size[0]}x{size[1]}: expected .* multiples of 32"):
        find("yolov3-tiny", size=size)


@pytest.mark.parametrize("width", [0.0, -1.0, 17.0, float("nan")])
def test_a_width_out_of_range_is_refused(width: float) -> None:
    with pytest.raises(RecipeError, match="expected a factor above 0, up to 16"):
        find("yolov3-tiny", width=width)


@pytest.mark.parametrize("classes", [0, -1, 30_000])
def test_a_number_of_classes_that_no_head_can_hold_is_refused(classes: int) -> None:
    with pytest.raises(RecipeError, match=f"classes={classes}: expected 1 to 21840"):
        find("yolov3-tiny", classes=classes)


@pytest.mark.parametrize("text", ["10", "1,2,3", "a,b", "10,14 23;27"])
def test_anchors_that_are_no_pairs_are_refused(text: str) -> None:
    with pytest.raises(RecipeError, match=r"expected anchors as 'w,h w,h ...', found"):
        parse_anchors(text)


@pytest.mark.parametrize("text", ["0,3", "3,-1", "inf,3", "nan,3"])
def test_written_anchors_without_area_are_refused(text: str) -> None:
    with pytest.raises(RecipeError, match=f"anchor {text} is no box"):
        parse_anchors(text)
