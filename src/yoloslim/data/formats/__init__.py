"""Label formats: each file reads one, those that can be written write it too, and is listed here."""

from __future__ import annotations

from yoloslim.data.formats.bdd100k import BDD100K, BDD100K_SPLIT
from yoloslim.data.formats.coco import COCO
from yoloslim.data.formats.oxford_hands import OXFORD_HANDS
from yoloslim.data.formats.visdrone import VISDRONE
from yoloslim.data.formats.voc import DIOR, VOC
from yoloslim.data.formats.yolo import YOLO

FOUND_FORMATS = (YOLO, VOC)
"""Formats that need not be stated; the first one wins where labels of both exist."""

FORMATS = {label_format.name: label_format for label_format in (*FOUND_FORMATS, VISDRONE, BDD100K, DIOR, OXFORD_HANDS)}
"""Formats with one file a picture, by the name that a data file's ``format`` uses."""

SPLIT_FORMATS = {split_format.name: split_format for split_format in (COCO, BDD100K_SPLIT)}
"""Formats with one file a split, by the same names."""
