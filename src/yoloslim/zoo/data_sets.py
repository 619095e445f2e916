"""Classes and anchors of known data sets, for networks named ``NETWORK-SET``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from yoloslim.zoo.anchors import Anchors, parse_anchors

OWN: Anchors = ()
"""Stands for the anchors that a network was published with; they are COCO's."""


@dataclass(frozen=True, slots=True)
class DataSet:
    """What a network must know of a data set.

    Attributes:
        names: the classes, in the order of their ids.
        anchors: by their number, anchors in pixels of a 416x416 input; a number that is missing is not known.
    """

    names: tuple[str, ...]
    anchors: Mapping[int, Anchors]


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


_COCO = DataSet(
    _names(
        """person, bicycle, car, motorbike, aeroplane, bus, train, truck, boat, traffic light, fire hydrant, stop sign,
        parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, backpack, umbrella,
        handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard,
        surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange,
        broccoli, carrot, hot dog, pizza, donut, cake, chair, sofa, pottedplant, bed, diningtable, toilet, tvmonitor,
        laptop, mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, clock, vase,
        scissors, teddy bear, hair drier, toothbrush"""
    ),
    {9: OWN, 6: OWN, 5: OWN},
)

_HAND = DataSet(
    ("hand",),
    {
        9: parse_anchors("8,13 14,20 22,25 26,36 35,49 40,31 51,69 63,47 94,103"),
        6: parse_anchors("9,13 16,22 27,38 28,27 44,49 79,83"),
    },
)

DATA_SETS: Mapping[str, DataSet] = {
    "coco": _COCO,
    "coco2014": _COCO,
    "coco2017": _COCO,
    "hand": _HAND,
    "oxfordhand": _HAND,
    "voc": DataSet(
        _names(
            """aeroplane, bicycle, bird, boat, bottle, bus, car, cat, chair, cow, diningtable, dog, horse, motorbike,
            person, pottedplant, sheep, sofa, train, tvmonitor"""
        ),
        {9: OWN, 6: OWN, 5: OWN},
    ),
    "dior": DataSet(
        _names(
            """airplane, airport, baseballfield, basketballcourt, bridge, chimney, dam, Expressway-Service-area,
            Expressway-toll-station, golffield, groundtrackfield, harbor, ship, stadium, storagetank, tenniscourt,
            trainstation, vehicle, windmill, overpass"""
        ),
        {
            9: parse_anchors("5,5 6,13 10,26 13,6 15,15 27,10 28,33 61,74 167,169"),
            6: parse_anchors("5,5 8,15 17,9 22,27 54,65 152,155"),
        },
    ),
    "bdd100k": DataSet(
        _names("car, bus, person, bike, truck, motor, train, rider, traffic sign, traffic light"),
        {
            9: parse_anchors("3,7 5,18 6,9 10,32 11,14 17,21 24,36 45,59 93,132"),
            6: parse_anchors("3,7 5,18 7,10 12,20 26,38 70,96"),
        },
    ),
    "visdrone": DataSet(
        _names("pedestrian, people, bicycle, car, van, truck, tricycle, awning-tricycle, bus, motor"),
        # The originals print 0,3 for the first of the six: a box without area.
        {9: OWN, 6: parse_anchors("1,3 2,5 3,11 5,6 9,14 22,30")},
    ),
    "uav": DataSet(
        ("UAV",),
        {
            9: parse_anchors("5,6 8,12 9,8 10,10 11,12 13,16 15,13 18,18 22,25"),
            6: parse_anchors("8,9 10,12 13,12 14,15 17,20 23,26"),
        },
    ),
    "screw": DataSet(
        ("noscrew", "screw"),
        {
            9: parse_anchors("20,29 26,34 29,40 33,44 35,47 37,50 39,52 43,57 74,87"),
            6: parse_anchors("25,34 33,45 37,50 43,57 70,85 76,88"),
        },
    ),
    "ship": DataSet(
        ("Freedom", "Burke", "Nimitz", "Wasp", "Ticonderoga"),
        {6: parse_anchors("140,147 209,309 293,136 328,260 358,194 365,351")},
    ),
}
"""Known data sets by the name that stands behind the network's, as in ``yolov3-tiny-hand``."""
