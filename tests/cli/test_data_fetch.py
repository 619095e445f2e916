"""``yoloslim data fetch`` on miniatures of the known data sets, served as their authors serve them."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import scipy.io

from yoloslim.data import known
from yoloslim.data.datafile import load_data_file
from yoloslim.data.dataset import load_dataset
from yoloslim.data.known import KNOWN_SETS
from yoloslim.downloads.remote import Remote

JPEG = cv2.imencode(".jpg", np.full((48, 64, 3), 128, np.uint8))[1].tobytes()

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Miniature:
    """A data set in small: what is in each archive, and what is found: (pictures, boxes, clear ones) of each split."""

    archives: Mapping[str, Files]
    found: Mapping[str, tuple[int, int, int]]


def voc_xml(*objects: tuple[str, int]) -> bytes:
    """A label file of a 64x48 picture: (class, difficult) of each object."""
    boxes = "".join(
        f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox>"
        "<xmin>8</xmin><ymin>8</ymin><xmax>40</xmax><ymax>40</ymax></bndbox></object>"
        for name, difficult in objects
    )
    size = "<size><width>64</width><height>48</height><depth>3</depth></size>"
    return f"<annotation>{size}{boxes}</annotation>".encode()


def voc_year(year: int, split: str, **pictures: bytes) -> dict[str, bytes]:
    """The part of VOCdevkit that one archive has: pictures by stem, with their label files."""
    root = f"VOCdevkit/VOC{year}"
    files = {f"{root}/ImageSets/Main/{split}.txt": "".join(f"{stem}\n" for stem in pictures).encode()}
    for stem, xml in pictures.items():
        files |= {f"{root}/JPEGImages/{stem}.jpg": JPEG, f"{root}/Annotations/{stem}.xml": xml}
    return files


def voc() -> Miniature:
    cat, hard = voc_xml(("cat", 0), ("dog", 0)), voc_xml(("person", 0), ("cat", 1))
    archives = {
        "VOCtrainval_06-Nov-2007.tar": voc_year(2007, "trainval", a01=cat, a02=hard),
        "VOCtest_06-Nov-2007.tar": voc_year(2007, "test", a03=cat),
        "VOCtrainval_11-May-2012.tar": voc_year(2012, "trainval", b01=cat),
    }
    return Miniature(archives, {"train": (3, 6, 5), "val": (1, 2, 2), "all": (4, 8, 7)})


def dior() -> Miniature:
    labels = "Annotations/Horizontal Bounding Boxes"
    archives: dict[str, Files] = {
        "JPEGImages-trainval.zip": {"JPEGImages-trainval/00001.jpg": JPEG, "JPEGImages-trainval/00002.jpg": JPEG},
        "JPEGImages-test.zip": {"JPEGImages-test/11726.jpg": JPEG},
        "Annotations.zip": {
            f"{labels}/00001.xml": voc_xml(("Expressway-Service-area", 0)),
            f"{labels}/00002.xml": voc_xml(("ship", 0), ("ship", 0)),
            f"{labels}/11726.xml": voc_xml(("harbor", 0)),
        },
    }
    return Miniature(archives, {"train": (2, 3, 3), "val": (1, 1, 1), "all": (3, 4, 4)})


COCO_GAPS = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}  # ids of categories that COCO never published
COCO_WORDS = {
    "motorbike": "motorcycle",
    "aeroplane": "airplane",
    "sofa": "couch",
    "pottedplant": "potted plant",
    "diningtable": "dining table",
    "tvmonitor": "tv",
}


def coco_json(*pictures: tuple[str, tuple[int, ...], bool]) -> bytes:
    """An annotation file: (file name, category ids, whether a crowd is there too) of each picture."""
    ids = [number for number in range(1, 91) if number not in COCO_GAPS]
    names = zip(ids, KNOWN_SETS["coco2017"].class_names, strict=True)
    boxes = [(picture, category, 0) for picture, (_, categories, _) in enumerate(pictures) for category in categories]
    boxes += [(picture, 1, 1) for picture, (_, _, has_crowd) in enumerate(pictures) if has_crowd]
    content = {
        "images": [{"id": i, "file_name": name, "width": 64, "height": 48} for i, (name, _, _) in enumerate(pictures)],
        "annotations": [
            {
                "id": i,
                "image_id": picture,
                "category_id": kind,
                "bbox": [8, 8, 20, 30],
                "iscrowd": crowd,
                "area": 600,
            }
            for i, (picture, kind, crowd) in enumerate(boxes)
        ],
        "categories": [{"id": number, "name": COCO_WORDS.get(name, name)} for number, name in names],
    }
    return json.dumps(content).encode()


def coco(year: int) -> Miniature:
    train, val = (f"COCO_train{year}_1.jpg", f"COCO_train{year}_2.jpg"), f"COCO_val{year}_3.jpg"
    labels = {
        f"annotations/instances_train{year}.json": coco_json((train[0], (4, 90), False), (train[1], (1,), True)),
        f"annotations/instances_val{year}.json": coco_json((val, (13,), False)),
        f"annotations/captions_val{year}.json": b"{}",
    }
    archives: dict[str, Files] = {
        f"train{year}.zip": {f"train{year}/{name}": JPEG for name in train},
        f"val{year}.zip": {f"val{year}/{val}": JPEG},
        f"annotations_trainval{year}.zip": labels,
    }
    return Miniature(archives, {"train": (2, 4, 3), "val": (1, 1, 1), "all": (3, 5, 4)})


def hands_mat(*hands: tuple[float, float]) -> bytes:
    """A label file: the top left corner (x, y) of each hand, 10 pixels wide and high."""
    cells = np.empty((1, len(hands)), dtype=object)
    for number, (x, y) in enumerate(hands):
        corners = {"a": (y, x), "b": (y, x + 10), "c": (y + 10, x + 10), "d": (y + 10, x)}
        cells[0, number] = {name: np.array([corner], float) for name, corner in corners.items()}
    file = io.BytesIO()
    scipy.io.savemat(file, {"boxes": cells})
    return file.getvalue()


def oxfordhand() -> Miniature:
    files: dict[str, bytes] = {}
    for part, stem, hands in (
        ("training", "a", ((5.0, 5.0), (30.0, 20.0))),
        ("validation", "b", ((5.0, 5.0),)),
        ("test", "c", ((20.0, 10.0),)),
    ):
        folder = f"hand_dataset/{part}_dataset/{part}_data"
        files |= {f"{folder}/images/{stem}.jpg": JPEG, f"{folder}/annotations/{stem}.mat": hands_mat(*hands)}
    found = {"train": (2, 3, 3), "val": (1, 1, 1), "all": (3, 4, 4)}
    return Miniature({"hand_dataset.tar.gz": files}, found)


def bdd100k() -> Miniature:
    box = {"x1": 5, "y1": 5, "x2": 25, "y2": 30}

    def frames(**pictures: tuple[str, ...]) -> bytes:
        lane = {"category": "lane", "poly2d": []}
        rows = [
            {"name": f"{stem}.jpg", "labels": [lane, *({"category": name, "box2d": box} for name in names)]}
            for stem, names in pictures.items()
        ]
        return json.dumps(rows).encode()

    images, labels = "bdd100k/images/100k", "bdd100k/labels/bdd100k_labels_images"
    archives: dict[str, Files] = {
        "bdd100k_images_100k.zip": {f"{images}/{name}.jpg": JPEG for name in ("train/a", "train/b", "val/c", "test/d")},
        "bdd100k_labels_release.zip": {
            f"{labels}_train.json": frames(a=("car", "traffic light"), b=("rider",)),
            f"{labels}_val.json": frames(c=("bus",)),
        },
    }
    return Miniature(archives, {"train": (2, 3, 3), "val": (1, 1, 1), "all": (3, 4, 4)})


def visdrone() -> Miniature:
    rows = b"5,5,20,20,1,4,0,0\n30,10,10,10,1,1,0,0\n"
    archives = {
        f"VisDrone2019-DET-{part}.zip": {
            f"VisDrone2019-DET-{part}/images/{part}1.jpg": JPEG,
            f"VisDrone2019-DET-{part}/annotations/{part}1.txt": rows,
        }
        for part in ("train", "val", "test-dev")
    }
    return Miniature(archives, {"train": (1, 2, 2), "val": (1, 2, 2), "test": (1, 2, 2), "all": (3, 6, 6)})


MINIATURES: Mapping[str, Callable[[], Miniature]] = {
    "coco2014": partial(coco, 2014),
    "coco2017": partial(coco, 2017),
    "voc": voc,
    "oxfordhand": oxfordhand,
    "dior": dior,
    "bdd100k": bdd100k,
    "visdrone": visdrone,
}


def archive(name: str, files: Files) -> bytes:
    """The bytes of an archive of the kind that its name tells."""
    buffer = io.BytesIO()
    if name.endswith(".zip"):
        with zipfile.ZipFile(buffer, "w") as packed:
            for path, content in files.items():
                packed.writestr(path, content)
    else:
        with tarfile.open(fileobj=buffer, mode="w:gz" if name.endswith("gz") else "w") as packed:
            for path, content in files.items():
                member = tarfile.TarInfo(path)
                member.size = len(content)
                packed.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("YOLOSLIM_MIRROR")
    monkeypatch.setenv("YOLOSLIM_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def serve(server: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Miniature]:
    """Publishes the miniature of a data set: on the server, or where there is no plain download, in ``by_hand``."""

    def publish(name: str) -> Miniature:
        miniature = MINIATURES[name]()
        packed = {archive_name: archive(archive_name, files) for archive_name, files in miniature.archives.items()}
        data_set = KNOWN_SETS[name]
        if data_set.by_hand:
            (tmp_path / "by_hand").mkdir()
            for archive_name, content in packed.items():
                (tmp_path / "by_hand" / archive_name).write_bytes(content)
        server.files |= packed
        remotes = tuple(Remote(f"{server.url}/{remote.name}") for remote in data_set.archives)
        monkeypatch.setitem(known.KNOWN_SETS, name, replace(data_set, archives=remotes))  # type: ignore[arg-type]
        return miniature

    return publish


@pytest.fixture
def options(tmp_path: Path) -> Callable[[str], tuple[object, ...]]:
    """What must be said to have a data set: trust where it is fetched, the folder where it is not."""
    return lambda name: ("--from", tmp_path / "by_hand") if KNOWN_SETS[name].by_hand else ("--trust",)


@pytest.mark.parametrize("name", MINIATURES)
def test_a_known_set_is_fetched_counted_and_can_be_used(name: str, run: Any, serve: Any, options: Any) -> None:
    miniature = serve(name)

    outcome = run("data", "fetch", name, *options(name), "--out", "sets/mine")

    found = {split: tuple(row.values()) for split, row in outcome.json["found"].items()}
    assert outcome.code == 0, outcome
    assert outcome.json["problems"] == []
    assert found == miniature.found
    data_file = load_data_file(outcome.json["data"])
    assert data_file.names == KNOWN_SETS[name].class_names
    for split in KNOWN_SETS[name].places:
        annotations = [sample.annotation for sample in load_dataset(data_file, split)]
        assert (len(annotations), sum(map(len, filter(None, annotations)))) == miniature.found[split][:2]


def test_the_published_counts_are_told_beside_those_found(run: Any, serve: Any) -> None:
    serve("voc")

    outcome = run("data", "fetch", "voc", "--trust")

    assert outcome.json["published"]["train"] == {"pictures": 16_551, "boxes": None, "clear": 40_058}
    assert "3 of 16,551" in outcome.out
    assert "5 of 40,058" in outcome.out
    assert outcome.json["data"] == "data/voc/voc.yaml"


def test_what_is_there_is_not_fetched_or_unpacked_again(run: Any, serve: Any, server: Any) -> None:
    serve("voc")
    run("data", "fetch", "voc", "--trust", "--out", "first")
    picture = Path("first/VOCdevkit/VOC2007/JPEGImages/a01.jpg")
    before = picture.stat().st_mtime_ns

    assert run("data", "fetch", "voc", "--out", "first").code == 0
    assert run("data", "fetch", "voc", "--out", "second").code == 0

    assert picture.stat().st_mtime_ns == before
    assert len(server.asked) == 3


def test_a_set_that_was_cut_off_goes_on_where_it_was(run: Any, serve: Any, server: Any, monkeypatch: Any) -> None:
    serve("voc")
    monkeypatch.setattr("yoloslim.downloads.transfer._PAUSES_S", ())
    server.cuts = [None, 1000, 0]
    assert run("data", "fetch", "voc", "--trust").code == 2
    assert not Path("data/voc/voc.yaml").exists()

    assert run("data", "fetch", "voc", "--trust").code == 0
    assert server.asked == [None, None, "bytes=1000-", "bytes=1000-", None]


def test_a_dry_run_tells_what_would_be_done_and_does_nothing(run: Any, serve: Any, server: Any) -> None:
    serve("voc")

    outcome = run("data", "fetch", "voc", "--dry-run")

    assert [row["state"] for row in outcome.json["archives"]] == ["to fetch"] * 3
    assert f"from {server.url}/VOCtest_06-Nov-2007.tar" in outcome.out
    assert server.asked == []
    assert not Path("data").exists()
    run("data", "fetch", "voc", "--trust")
    states = {
        folder: [row["state"] for row in run("data", "fetch", "voc", "--dry-run", "--out", folder).json["archives"]]
        for folder in ("data/voc", "other")
    }
    assert states == {"data/voc": ["unpacked"] * 3, "other": ["fetched"] * 3}


def test_archives_must_be_trusted_first(refused: Any, serve: Any, server: Any) -> None:
    serve("voc")

    assert "VOCtrainval_06-Nov-2007.tar: its hash is not known" in refused("data", "fetch", "voc")
    assert server.asked == []


def test_a_set_without_a_plain_download_is_asked_for(refused: Any, run: Any) -> None:
    line = refused("data", "fetch", "dior")

    assert "JPEGImages-trainval.zip, JPEGImages-test.zip, Annotations.zip by hand from https://gcheng-nwpu" in line
    assert line.endswith("and name their folder by --from")
    outcome = run("data", "fetch", "dior", "--dry-run")
    assert [row["state"] for row in outcome.json["archives"]] == ["missing"] * 3
    assert "its archives lie on cloud drives: https://gcheng-nwpu.github.io/#Datasets" in outcome.out


def test_archives_that_are_missing_from_the_users_folder_are_named(refused: Any, serve: Any, tmp_path: Path) -> None:
    serve("dior")
    (tmp_path / "by_hand" / "JPEGImages-test.zip").unlink()

    line = refused("data", "fetch", "dior", "--from", "by_hand")

    assert line.startswith("error: --from by_hand: expected JPEGImages-test.zip in it, found none")


def test_the_users_copy_of_a_published_archive_is_checked(refused: Any, run: Any, serve: Any, server: Any) -> None:
    serve("voc")
    run("data", "fetch", "voc", "--trust", "--out", "first")
    Path("mine").mkdir()
    for name in ("VOCtrainval_06-Nov-2007.tar", "VOCtest_06-Nov-2007.tar", "VOCtrainval_11-May-2012.tar"):
        Path("mine", name).write_bytes(server.files[name])
    assert run("data", "fetch", "voc", "--from", "mine", "--out", "second").code == 0
    Path("mine/VOCtest_06-Nov-2007.tar").write_bytes(server.files["VOCtest_06-Nov-2007.tar"][:-512])

    line = refused("data", "fetch", "voc", "--from", "mine", "--out", "third")

    assert line.startswith("error: mine/VOCtest_06-Nov-2007.tar: expected 10,240 bytes and SHA-256")


def test_another_layout_than_the_known_one_is_told(refused: Any, serve: Any, server: Any) -> None:
    serve("voc")
    name = "VOCtest_06-Nov-2007.tar"
    server.files[name] = archive(name, {"VOC2007/JPEGImages/a03.jpg": JPEG})

    line = refused("data", "fetch", "voc", "--trust")

    assert "expected VOCdevkit/VOC2007/ImageSets/Main/test.txt in its archives, found VOC2007, VOCdevkit" in line


def test_a_damaged_picture_is_told_and_not_counted(run: Any, serve: Any, server: Any) -> None:
    serve("voc")
    name = "VOCtest_06-Nov-2007.tar"
    files = voc().archives[name]
    server.files[name] = archive(name, {**files, "VOCdevkit/VOC2007/JPEGImages/a03.jpg": JPEG[:-20]})

    outcome = run("data", "fetch", "voc", "--trust")

    assert outcome.json["found"]["val"] == {"pictures": 0, "boxes": 0, "clear": 0}
    assert "a03.jpg" in outcome.json["problems"][0]


def test_an_unknown_name_is_told_with_the_nearest(refused: Any) -> None:
    assert refused("data", "fetch", "coco2107") == "error: 'coco2107' is no known data set; did you mean coco2017?"


def test_the_list_has_every_known_set(run: Any) -> None:
    outcome = run("data", "list")

    assert [row["name"] for row in outcome.json["sets"]] == list(KNOWN_SETS)
    assert {row["name"] for row in outcome.json["sets"] if row["by_hand"]} == {"dior", "bdd100k", "visdrone"}
    assert all(row["classes"] and row["pictures"] for row in outcome.json["sets"])
