from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from yoloslim.data.pictures import Picture
from yoloslim.data.video import VideoReader, written_video
from yoloslim.errors import DataError, OutputError

NUM_FRAMES = 30


def frame(number: int, width: int = 64, height: int = 48) -> Picture:
    """A frame whose brightness tells its number."""
    return np.full((height, width, 3), number * 8, np.uint8)


def make_video(path: Path, fourcc: str, fps: float = 25.0) -> bytes:
    output = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*fourcc), fps, (64, 48))
    for number in range(NUM_FRAMES):
        output.write(frame(number))
    output.release()
    return path.read_bytes()


def write_frames(path: Path, frames: list[Picture], fps: float = 25.0) -> None:
    with written_video(path, fps) as video:
        for picture in frames:
            video.write(picture)


@pytest.mark.parametrize(("suffix", "fourcc"), [(".mp4", "mp4v"), (".avi", "MJPG"), (".mkv", "mp4v")])
def test_every_frame_is_read_in_order(tmp_path: Path, suffix: str, fourcc: str) -> None:
    path = tmp_path / f"v{suffix}"
    make_video(path, fourcc, fps=29.97)

    with VideoReader(path) as video:
        frames = list(video)

    assert [round(picture.mean() / 8) for picture in frames] == list(range(NUM_FRAMES))
    assert (video.width, video.height, video.num_frames) == (64, 48, NUM_FRAMES)
    assert video.fps == pytest.approx(29.97)
    assert frames[0].dtype == np.uint8
    assert video.problems == []


def test_what_is_read_can_be_written_with_every_frame_in_place(tmp_path: Path) -> None:
    path, out = tmp_path / "v.avi", tmp_path / "new" / "out.mp4"
    make_video(path, "MJPG", fps=12.5)

    with VideoReader(path) as video, written_video(out, video.fps) as output:
        for picture in video:
            output.write(picture)

    with VideoReader(out) as copy:
        brightness = [round(picture.mean() / 8) for picture in copy]
    assert brightness == list(range(NUM_FRAMES))
    assert copy.fps == 12.5
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize(("suffix", "fourcc"), [(".avi", "MJPG"), (".mkv", "mp4v")])
def test_a_video_with_a_cut_tail_gives_its_good_frames_then_a_problem(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], suffix: str, fourcc: str
) -> None:
    path = tmp_path / f"v{suffix}"
    content = make_video(path, fourcc)
    path.write_bytes(content[: int(len(content) * 0.6)])

    with VideoReader(path) as video:
        num_read = sum(1 for _ in video)

    assert 0 < num_read < NUM_FRAMES
    (problem,) = video.problems
    assert str(problem).startswith(
        f"{path}: {NUM_FRAMES} frames are announced, {num_read} could be read: the file is cut"
    )
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("content", [b"", b"no video at all", None])
def test_what_is_no_video_is_an_error(tmp_path: Path, capfd: pytest.CaptureFixture[str], content: bytes | None) -> None:
    path = tmp_path / "v.mp4"
    whole = make_video(path, "mp4v")
    path.write_bytes(whole[: len(whole) // 2] if content is None else content)  # an mp4 has its index at its end

    with pytest.raises(DataError, match=r"v\.mp4: expected a video, found one that is cut off or damaged"):
        VideoReader(path)
    assert capfd.readouterr() == ("", "")


def test_a_missing_video_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.mp4: no such video"):
        VideoReader(tmp_path / "gone.mp4")


@pytest.mark.parametrize("fps", [0.5, 23.976023976, 29.97, 66.66667, 119.88012, 240.0, 999.9, 100000.0])
def test_any_frame_rate_can_be_written(tmp_path: Path, fps: float) -> None:
    write_frames(tmp_path / "v.mp4", [frame(0), frame(1)], fps)

    with VideoReader(tmp_path / "v.mp4") as video:
        assert video.num_frames == 2
        if fps < 1000:
            assert video.fps == pytest.approx(fps, rel=1e-3)


def test_odd_sizes_can_be_written(tmp_path: Path) -> None:
    write_frames(tmp_path / "v.mp4", [frame(0, 65, 49)] * 3)

    with VideoReader(tmp_path / "v.mp4") as video:
        assert (video.width, video.height, video.num_frames) == (64, 48, 3)


def test_an_error_while_writing_leaves_the_earlier_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    path.write_bytes(b"earlier")

    with pytest.raises(DataError, match=r"v\.mp4: frame 1 is 32x48, expected 64x48 as the first one"):
        write_frames(path, [frame(0), frame(1, 32)])

    assert path.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [path]


def write_one_frame_and_lose_one(path: Path) -> None:
    with written_video(path, 25.0) as video:
        video.write(frame(0))
        video.num_frames += 1  # as if the codec had dropped one


def test_a_file_that_lost_frames_does_not_appear(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="2 frames were given, 1 were written: is the disk full"):
        write_one_frame_and_lose_one(tmp_path / "v.mp4")

    assert list(tmp_path.iterdir()) == []


def test_without_a_frame_there_is_no_file(tmp_path: Path) -> None:
    write_frames(tmp_path / "v.mp4", [])

    assert list(tmp_path.iterdir()) == []


def test_a_video_with_another_suffix_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"v\.avi: expected a video name ending in \.mp4"):
        write_frames(tmp_path / "v.avi", [frame(0)])


def test_a_video_that_the_folder_refuses_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(OutputError, match=r"v\.mp4: cannot write this file"):
        write_frames(tmp_path / "file" / "v.mp4", [frame(0)])
