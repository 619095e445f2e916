"""Parameters and operations of the published networks, to the digit."""

import pytest

from yoloslim.graph.cost import total_cost
from yoloslim.zoo.catalog import find


@pytest.mark.parametrize(
    ("name", "weights_floats", "params"),
    [
        ("yolov3", 62_001_757, 61_949_149),
        ("yolov3-tiny", 8_858_734, 8_852_366),
        ("yolov4", 64_429_405, 64_363_101),
        ("yolov4-tiny", 6_062_814, 6_056_606),
        ("yolov3-mobilenetv3", 24_251_333, 24_209_877),
        ("yolov3tiny-mobilenetv3-small", 3_056_774, 3_041_430),
        ("yolo-fastest-1.1", 346_062, 332_798),
        ("yolo-fastest-1.1-xl", 923_486, 898_686),
    ],
)
def test_a_network_has_the_published_number_of_parameters(name: str, weights_floats: int, params: int) -> None:
    cost = total_cost(find(name))

    assert (cost.weights_floats, cost.params) == (weights_floats, params)


@pytest.mark.parametrize(
    ("name", "gflops"),
    [
        ("yolov3", 116.92),
        ("yolov3-tiny", 9.88),
        ("yolov4", 106.69),
        ("yolov4-tiny", 12.26),
        ("yolov3-mobilenetv3", 32.02),
        ("yolov3tiny-mobilenetv3-small", 2.82),
    ],
)
def test_a_network_costs_the_published_operations_at_640x480(name: str, gflops: float) -> None:
    assert total_cost(find(name, size=(640, 480))).gflops == pytest.approx(gflops, rel=0.005)


@pytest.mark.parametrize(
    ("name", "bflops"), [("yolov3", 65.9), ("yolov3-tiny", 5.6), ("yolov4", 60.1), ("yolov4-tiny", 6.9)]
)
def test_a_network_costs_what_darknet_prints_at_416(name: str, bflops: float) -> None:
    assert round(total_cost(find(name, size=(416, 416))).gflops, 1) == bflops


@pytest.mark.parametrize("name", ["yolov3", "yolov3-tiny", "yolov4", "yolov4-tiny"])
def test_another_size_costs_the_same_asked_for_or_set_later(name: str) -> None:
    assert total_cost(find(name, size=(640, 480))) == total_cost(find(name).with_size(640, 480))


def test_yolov3_with_spatial_pyramid_pooling_costs_what_darknet_prints_at_608() -> None:
    assert total_cost(find("yolov3-spp")).gflops == pytest.approx(141.5, rel=0.005)


@pytest.mark.parametrize(
    ("name", "floats", "mebibytes", "bflops", "prefix"),
    [("yolov4-csp", 52_986_205, 202, 120, 142), ("yolov4x-mish", 99_847_037, 381, 221, 166)],
)
def test_a_scaled_network_is_as_large_as_darknets_page_says(
    name: str, floats: int, mebibytes: int, bflops: int, prefix: int
) -> None:
    """The page rounds the size of the weights file, and cuts the operations at 640; files for training that end in
    ``.conv.142`` and ``.conv.166`` hold the layers before the last three of the first head."""
    graph = find(name, size=(640, 640))
    cost = total_cost(graph)

    assert cost.weights_floats == floats
    assert round((4 * floats + 20) / 2**20) == mebibytes
    assert int(cost.gflops) == bflops
    assert graph.heads[0][0] is graph.nodes[prefix + 2]
