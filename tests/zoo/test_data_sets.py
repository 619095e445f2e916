"""The classes and anchors of known data sets, number by number as the originals print them, pixels at 416."""

import pytest

from yoloslim.zoo.anchors import parse_anchors
from yoloslim.zoo.catalog import find
from yoloslim.zoo.data_sets import DATA_SETS, OWN

COCO_YOLOV3 = "10,13 16,30 33,23 30,61 62,45 59,119 116,90 156,198 373,326"
COCO_YOLOV4 = "12,16 19,36 40,28 36,75 76,55 72,146 142,110 192,243 459,401"
COCO_TINY = "10,14 23,27 37,58 81,82 135,169 344,319"
ANCHORS = {
    "coco": (COCO_YOLOV3, COCO_TINY),
    "coco2014": (COCO_YOLOV3, COCO_TINY),
    "coco2017": (COCO_YOLOV3, COCO_TINY),
    "voc": (COCO_YOLOV3, COCO_TINY),
    "hand": (
        "8,13 14,20 22,25 26,36 35,49 40,31 51,69 63,47 94,103",
        "9,13 16,22 27,38 28,27 44,49 79,83",
    ),
    "oxfordhand": (
        "8,13 14,20 22,25 26,36 35,49 40,31 51,69 63,47 94,103",
        "9,13 16,22 27,38 28,27 44,49 79,83",
    ),
    "dior": (
        "5,5 6,13 10,26 13,6 15,15 27,10 28,33 61,74 167,169",
        "5,5 8,15 17,9 22,27 54,65 152,155",
    ),
    "bdd100k": (
        "3,7 5,18 6,9 10,32 11,14 17,21 24,36 45,59 93,132",
        "3,7 5,18 7,10 12,20 26,38 70,96",
    ),
    "visdrone": (COCO_YOLOV3, "1,3 2,5 3,11 5,6 9,14 22,30"),  # printed 0,3, which is no box
    "uav": (
        "5,6 8,12 9,8 10,10 11,12 13,16 15,13 18,18 22,25",
        "8,9 10,12 13,12 14,15 17,20 23,26",
    ),
    "screw": (
        "20,29 26,34 29,40 33,44 35,47 37,50 39,52 43,57 74,87",
        "25,34 33,45 37,50 43,57 70,85 76,88",
    ),
    "ship": ("", "140,147 209,309 293,136 328,260 358,194 365,351"),
}
CLASSES = {
    "hand": "hand",
    "dior": (
        "airplane, airport, baseballfield, basketballcourt, bridge, chimney, dam, Expressway-Service-area, "
        "Expressway-toll-station, golffield, groundtrackfield, harbor, ship, stadium, storagetank, tenniscourt, "
        "trainstation, vehicle, windmill, overpass"
    ),
    "bdd100k": "car, bus, person, bike, truck, motor, train, rider, traffic sign, traffic light",
    "visdrone": "pedestrian, people, bicycle, car, van, truck, tricycle, awning-tricycle, bus, motor",
    "uav": "UAV",
    "screw": "noscrew, screw",
    "ship": "Freedom, Burke, Nimitz, Wasp, Ticonderoga",
}


def test_these_are_all_of_them() -> None:
    assert ANCHORS.keys() == DATA_SETS.keys()


@pytest.mark.parametrize("name", sorted(ANCHORS.keys() - {"ship"}))
def test_yolov3_has_the_nine_anchors_of_a_data_set(name: str) -> None:
    assert find(f"yolov3-{name}").heads[0][1].anchors == parse_anchors(ANCHORS[name][0])


@pytest.mark.parametrize("name", sorted(ANCHORS))
def test_the_tiny_networks_have_its_six_anchors(name: str) -> None:
    for network in ("yolov3-tiny", "yolov4-tiny", "yolov3tiny-mobilenetv3-small"):
        assert find(f"{network}-{name}").heads[0][1].anchors == parse_anchors(ANCHORS[name][1])


@pytest.mark.parametrize("name", [name for name, (nine, _) in ANCHORS.items() if nine == COCO_YOLOV3])
def test_yolov4_keeps_its_own_anchors_where_a_data_set_has_those_of_coco(name: str) -> None:
    assert DATA_SETS[name].anchors[9] == OWN
    assert find(f"yolov4-{name}").heads[0][1].anchors == parse_anchors(COCO_YOLOV4)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_data_set_has_its_classes_in_their_order(name: str) -> None:
    assert DATA_SETS[name].names == tuple(CLASSES[name].split(", "))


def test_data_sets_go_with_every_kind_of_network() -> None:
    graph = find("yolov3-mobilenetv3-visdrone")

    assert graph.classes == 10
    assert graph.heads[0][1].anchors == parse_anchors(COCO_YOLOV3)
