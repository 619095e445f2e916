"""``detect``: boxes in pictures and videos."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest


def make_video(path: Path, fourcc: str, count: int = 12) -> bytes:
    output = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*fourcc), 10, (64, 48))
    generator = np.random.default_rng(0)
    for _ in range(count):
        output.write(generator.integers(0, 255, (48, 64, 3), np.uint8))
    output.release()
    return path.read_bytes()


def test_every_picture_of_a_folder_is_recorded_and_drawn(
    run: Any, tiny: tuple[object, ...], pictures: Path, shared_tiny: Path
) -> None:
    outcome = run(
        "detect", *tiny, "--source", pictures, "--out", "drawn", "--names", shared_tiny / "tiny.names", "--conf", 0.2
    )

    images = outcome.json["images"]
    assert [Path(image["path"]).name for image in images] == [f"{number}.png" for number in range(6)]
    assert {(image["width"], image["height"]) for image in images} == {(64, 48)}
    for image in images:
        is_drawn = (cv2.imread(image["saved"]) != cv2.imread(image["path"])).any()
        assert is_drawn == bool(image["detections"])
        for found in image["detections"]:
            assert len(found["box"]) == 4
            assert found["score"] >= 0.2
            assert found["class_name"] == ("round", "square")[found["class_id"]]
    assert any(image["detections"] for image in images)
    assert outcome.out.endswith("with boxes: drawn\n")


def test_the_default_folder_is_a_new_one_each_time(run: Any, tiny: tuple[object, ...], pictures: Path) -> None:
    for number in (1, 2):
        outcome = run("detect", *tiny, "--source", pictures / "0.png")
        assert outcome.json["images"][0]["saved"] == f"runs/detect/0-00{number}/0.png"

    assert "the class names are not known: --names FILE tells them" in outcome.out
    found = outcome.json["images"][0]["detections"]
    assert {each["class_name"] for each in found} <= {"class 0", "class 1"}


def test_nothing_is_written_without_save(run: Any, tiny: tuple[object, ...], pictures: Path, tmp_path: Path) -> None:
    before = set(tmp_path.rglob("*"))

    outcome = run("detect", *tiny, "--source", f"{pictures}/*.png", "--no-save", "--quiet")

    assert (outcome.out, outcome.err, len(outcome.json["images"])) == ("", "", 6)
    assert "saved" not in outcome.json["images"][0]
    assert set(tmp_path.rglob("*")) - before == {tmp_path / "result.json"}


def test_every_frame_of_a_video_is_recorded_and_drawn(run: Any, tiny: tuple[object, ...], tmp_path: Path) -> None:
    make_video(tmp_path / "v.mp4", "mp4v")

    outcome = run("detect", *tiny, "--source", "v.mp4", "--out", "drawn")

    images, (video,) = outcome.json["images"], outcome.json["videos"]
    assert [(image["path"], image["frame"]) for image in images] == [("v.mp4", number) for number in range(12)]
    assert (video["frames"], video["width"], video["height"], video["fps"]) == (12, 64, 48, 10)
    assert cv2.VideoCapture(video["saved"]).get(cv2.CAP_PROP_FRAME_COUNT) == 12
    assert outcome.out.startswith("v.mp4: 12 frames, ")
    assert outcome.err == ""


def test_a_video_without_its_tail_gives_its_good_frames_and_a_line(
    run: Any, tiny: tuple[object, ...], tmp_path: Path
) -> None:
    content = make_video(tmp_path / "v.avi", "MJPG")
    (tmp_path / "v.avi").write_bytes(content[: int(len(content) * 0.6)])

    outcome = run("detect", *tiny, "--source", "v.avi", "--out", "drawn")

    assert outcome.code == 0
    count = outcome.json["videos"][0]["frames"]
    assert 0 < count < 12
    assert cv2.VideoCapture("drawn/v.mp4").get(cv2.CAP_PROP_FRAME_COUNT) == count
    assert outcome.err.startswith(f"warning: v.avi: 12 frames are announced, {count} could be read")
    assert outcome.err.count("\n") == 1


def test_what_cannot_be_read_is_told_and_the_rest_goes_on(
    run: Any, tiny: tuple[object, ...], pictures: Path, data_dir: Path
) -> None:
    shutil.copy(data_dir / "broken" / "kangaroo-00090-truncated.jpg", pictures / "cut.jpg")
    (pictures / "v.mp4").write_bytes(b"no video")

    outcome = run("detect", *tiny, "--source", pictures, "--out", "drawn")

    assert (outcome.code, len(outcome.json["images"])) == (0, 6)
    first, second = outcome.err.splitlines()
    assert first.startswith(f"warning: {pictures}/cut.jpg: the picture is cut off")
    assert second.startswith(f"warning: {pictures}/v.mp4: expected a video")
    assert not Path("drawn/v.mp4").exists()


def test_pictures_of_one_name_do_not_take_each_others_place(
    run: Any, tiny: tuple[object, ...], pictures: Path, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        shutil.copy(pictures / "0.png", tmp_path / name / "P.png")
    shutil.copy(pictures / "0.png", tmp_path / "a" / "without-suffix")
    (tmp_path / "list.txt").write_text("a/P.png\nb/P.png\na/without-suffix\n")

    outcome = run("detect", *tiny, "--source", "list.txt", "--out", "drawn")

    saved = [image["saved"] for image in outcome.json["images"]]
    assert saved == ["drawn/P.png", "drawn/P-2.png", "drawn/without-suffix.png"]
    assert all(Path(path).exists() for path in saved)


@pytest.mark.parametrize("name", [b"\xce\xbb 1.png", b"\xff.png"], ids=["greek", "no-utf8"])
def test_any_file_name_will_do(run: Any, tiny: tuple[object, ...], pictures: Path, tmp_path: Path, name: bytes) -> None:
    picture = tmp_path / os.fsdecode(name)
    shutil.copy(pictures / "0.png", picture)

    outcome = run("detect", *tiny, "--source", tmp_path, "--out", "drawn")

    assert outcome.code == 0, outcome.err
    assert [image["path"] for image in outcome.json["images"]] == [str(picture)]
    assert (tmp_path / "drawn" / picture.name).exists()


def test_sources_are_never_overwritten(refused: Any, tiny: tuple[object, ...], pictures: Path) -> None:
    before = (pictures / "0.png").read_bytes()

    line = refused("detect", *tiny, "--source", pictures, "--out", pictures)

    assert f"{pictures / '0.png'} lies in it and might be overwritten: choose another folder" in line
    assert (pictures / "0.png").read_bytes() == before


def test_boxes_are_cut_at_the_border_where_asked(run: Any, tiny: tuple[object, ...], pictures: Path) -> None:
    outcome = run("detect", *tiny, "--source", pictures, "--no-save", "--conf", 0, "--clip")

    boxes = np.array([found["box"] for image in outcome.json["images"] for found in image["detections"]])
    assert boxes.min() == 0
    assert boxes.max(axis=0).tolist() == [pytest.approx(64, abs=64), pytest.approx(48, abs=48), 64, 48]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("nowhere", "found no such file"),
        (".", "expected pictures (.jpg, .png, ...) or videos (.mp4, .avi, ...), found neither"),
        ("text.jpg", "nothing could be read: text.jpg: expected a picture"),
        ("list.txt", "none of 2 files could be read, the first: gone.png: no such picture"),
    ],
)
def test_a_source_without_a_picture_is_refused(
    refused: Any, tiny: tuple[object, ...], tmp_path: Path, source: str, expected: str
) -> None:
    if source != ".":
        (tmp_path / "text.jpg").write_text("no picture")
        (tmp_path / "list.txt").write_text("gone.png\ntext.jpg\n")

    assert expected in refused("detect", *tiny, "--source", source, "--out", "drawn")
    assert not (tmp_path / "drawn").exists()


def test_classes_are_chosen_and_may_compete(run: Any, tiny: tuple[object, ...], pictures: Path) -> None:
    wanted = (*tiny, "--source", pictures / "0.png", "--no-save", "--conf", 0.25, "--iou", 0.1)

    def found(*options: object) -> list[dict[str, Any]]:
        return run("detect", *wanted, *options).json["images"][0]["detections"]

    every, second, competing = found(), found("--only", "1"), found("--agnostic")

    assert {box["class_id"] for box in every} == {0, 1}
    assert {box["class_id"] for box in second} == {1}
    assert 0 < len(competing) < len(every)
    assert {box["class_id"] for box in competing} <= {0, 1}


@pytest.mark.parametrize(("only", "message"), [("2", "expected class ids from 0 to 1"), ("a", "such as 0,2")])
def test_classes_that_there_are_not_are_refused(
    refused: Any, tiny: tuple[object, ...], pictures: Path, only: str, message: str
) -> None:
    assert message in refused("detect", *tiny, "--source", pictures, "--only", only)
