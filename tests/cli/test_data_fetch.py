"""``yoloslim data fetch`` on miniatures of the known data sets, served as their authors serve them."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

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


MINIATURES: Mapping[str, Callable[[], Miniature]] = {"voc": voc, "dior": dior}


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
    assert found == miniature.found
    assert outcome.json["problems"] == []
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
