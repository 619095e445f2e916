"""Data sets that their authors publish: where they are, how large they are, and where their pictures and labels lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from yoloslim.downloads.remote import Remote
from yoloslim.zoo.data_sets import DATA_SETS


@dataclass(frozen=True, slots=True)
class Count:
    """The size of a split, as it is published or found; None where nothing is known.

    Attributes:
        pictures: their number.
        boxes: number of objects.
        clear: number of objects that are marked neither as difficult (VOC) nor as a crowd (COCO).
    """

    pictures: int | None = None
    boxes: int | None = None
    clear: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a split lies among the unpacked archives; paths below the data set's folder.

    Attributes:
        pictures: folders of pictures, or lists of their stems.
        labels: the folder or file with its labels; empty where they lie as the format has it.
    """

    pictures: tuple[str, ...]
    labels: str = ""


@dataclass(frozen=True, slots=True)
class KnownSet:
    """A published data set.

    Attributes:
        name: under which the zoo has its class names and anchors.
        page: of the authors.
        format: of the labels.
        places: where the splits lie.
        counts: what is published about them; under ``all``, about the whole.
        archives: what is downloaded.
        by_hand: archives that the user must download, because of the ``obstacle``.
        obstacle: why there is no plain download.
    """

    name: str
    page: str
    format: str
    places: Mapping[str, Place]
    counts: Mapping[str, Count]
    archives: tuple[Remote, ...] = ()
    by_hand: tuple[str, ...] = ()
    obstacle: str = ""

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, in the order of their ids."""
        return DATA_SETS[self.name].names

    @property
    def archive_names(self) -> tuple[str, ...]:
        """Every archive of the data set."""
        return (*(remote.name for remote in self.archives), *self.by_hand)


_COCO = "http://images.cocodataset.org"
_VOC = "http://host.robots.ox.ac.uk/pascal/VOC"
_DIOR_LABELS = "Annotations/Horizontal Bounding Boxes"


def _coco(year: int, sizes: tuple[int, int, int], counts: Mapping[str, Count]) -> KnownSet:
    """Gives COCO of a year; sizes are those of the training, validation and annotation archives."""
    train, val, annotations = sizes
    return KnownSet(
        name=f"coco{year}",
        page="https://cocodataset.org/#download",
        format="coco",
        places={
            split: Place((f"{split}{year}",), f"annotations/instances_{split}{year}.json") for split in ("train", "val")
        },
        counts=counts,
        archives=(
            Remote(f"{_COCO}/zips/train{year}.zip", size=train),
            Remote(f"{_COCO}/zips/val{year}.zip", size=val),
            Remote(f"{_COCO}/annotations/annotations_trainval{year}.zip", size=annotations),
        ),
    )


_SETS = (
    _coco(
        2014,
        (13_510_573_713, 6_645_013_297, 252_872_794),
        {"train": Count(82_783, 604_907), "val": Count(40_504, 291_875)},
    ),
    _coco(
        2017,
        (19_336_861_798, 815_585_330, 252_907_541),
        {"train": Count(118_287, 860_001), "val": Count(5_000, 36_781)},
    ),
    KnownSet(
        name="voc",
        page="http://host.robots.ox.ac.uk/pascal/VOC/",
        format="voc",
        places={
            "train": Place(tuple(f"VOCdevkit/VOC{year}/ImageSets/Main/trainval.txt" for year in (2007, 2012))),
            "val": Place(("VOCdevkit/VOC2007/ImageSets/Main/test.txt",)),
        },
        counts={"train": Count(16_551, clear=40_058), "val": Count(4_952, clear=12_032)},
        archives=(
            Remote(f"{_VOC}/voc2007/VOCtrainval_06-Nov-2007.tar", size=460_032_000),
            Remote(f"{_VOC}/voc2007/VOCtest_06-Nov-2007.tar", size=451_020_800),
            Remote(f"{_VOC}/voc2012/VOCtrainval_11-May-2012.tar", size=1_999_639_040),
        ),
    ),
    KnownSet(
        name="oxfordhand",
        page="https://www.robots.ox.ac.uk/~vgg/data/hands/",
        format="oxfordhand",
        places={
            "train": Place(
                (
                    "hand_dataset/training_dataset/training_data/images",
                    "hand_dataset/validation_dataset/validation_data/images",
                )
            ),
            "val": Place(("hand_dataset/test_dataset/test_data/images",)),
        },
        counts={"train": Count(4_807), "val": Count(821), "all": Count(boxes=13_050)},
        archives=(Remote("http://www.robots.ox.ac.uk/~vgg/data/hands/downloads/hand_dataset.tar.gz"),),
    ),
    KnownSet(
        name="dior",
        page="https://gcheng-nwpu.github.io/#Datasets",
        format="voc",
        places={
            "train": Place(("JPEGImages-trainval",), _DIOR_LABELS),
            "val": Place(("JPEGImages-test",), _DIOR_LABELS),
        },
        counts={"train": Count(11_725), "val": Count(11_738), "all": Count(23_463, 192_472)},
        by_hand=("JPEGImages-trainval.zip", "JPEGImages-test.zip", "Annotations.zip"),
        obstacle="its archives lie on cloud drives",
    ),
    KnownSet(
        name="bdd100k",
        page="https://bdd-data.berkeley.edu/",
        format="bdd100k",
        places={
            split: Place((f"bdd100k/images/100k/{split}",), f"bdd100k/labels/bdd100k_labels_images_{split}.json")
            for split in ("train", "val")
        },
        counts={"train": Count(70_000), "val": Count(10_000)},
        by_hand=("bdd100k_images_100k.zip", "bdd100k_labels_release.zip"),
        obstacle="its page asks for a login",
    ),
    KnownSet(
        name="visdrone",
        page="https://github.com/VisDrone/VisDrone-Dataset",
        format="visdrone",
        places={
            split: Place((f"VisDrone2019-DET-{part}/images",))
            for split, part in (("train", "train"), ("val", "val"), ("test", "test-dev"))
        },
        counts={"train": Count(6_471), "val": Count(548), "test": Count(1_610)},
        by_hand=tuple(f"VisDrone2019-DET-{part}.zip" for part in ("train", "val", "test-dev")),
        obstacle="its archives lie on cloud drives",
    ),
)

KNOWN_SETS: Mapping[str, KnownSet] = {data_set.name: data_set for data_set in _SETS}
"""By name. Addresses and pages are those of the authors; numbers are entered only where they are published."""
