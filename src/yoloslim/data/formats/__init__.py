"""Label formats: each file reads one, and is listed here."""

from __future__ import annotations

from yoloslim.data.formats.coco import COCO
from yoloslim.data.formats.voc import VOC
from yoloslim.data.formats.yolo import YOLO

FORMATS = {label_format.name: label_format for label_format in (YOLO, VOC)}
"""Label formats by the name that a data file's ``format`` uses; the first one wins where labels of several exist."""

SPLIT_FORMATS = {split_format.name: split_format for split_format in (COCO,)}
"""Formats with one file a split, by the same names."""
