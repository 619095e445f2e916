from __future__ import annotations

from pathlib import Path

import pytest

from yoloslim.data.sources import Sources, find_sources
from yoloslim.errors import DataError


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def names(sources: Sources) -> tuple[list[str], list[str]]:
    return [path.name for path in sources.pictures], [path.name for path in sources.videos]


def test_a_folder_gives_its_pictures_and_videos_sorted_without_subfolders(tmp_path: Path) -> None:
    put(tmp_path, "b.jpg", "a.PNG", "v.mp4", "notes.txt", ".c.jpg", "sub/d.jpg")

    assert names(find_sources(tmp_path)) == (["a.PNG", "b.jpg"], ["v.mp4"])


@pytest.mark.parametrize(("name", "kind"), [("a.jpg", "pictures"), ("a.MKV", "videos"), ("no-suffix", "pictures")])
def test_one_file_is_a_picture_or_a_video(tmp_path: Path, name: str, kind: str) -> None:
    put(tmp_path, name)

    assert getattr(find_sources(str(tmp_path / name)), kind) == (tmp_path / name,)


def test_a_pattern_gives_what_it_matches_sorted(tmp_path: Path) -> None:
    put(tmp_path, "b.jpg", "sub/a.jpg", "c.csv", "sub/x[1].jpg")

    assert names(find_sources(f"{tmp_path}/**/*"))[0] == ["b.jpg", "a.jpg", "x[1].jpg"]
    assert names(find_sources(f"{tmp_path}/?.jpg"))[0] == ["b.jpg"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    put(tmp_path, "x[1].jpg", "x1.jpg")

    assert names(find_sources(f"{tmp_path}/x[1].jpg"))[0] == ["x[1].jpg"]


def test_a_list_gives_its_lines_in_order_relative_to_itself_or_to_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "lists/b.jpg", "work/a.jpg", "work/v.avi")
    (tmp_path / "lists/l.txt").write_text("b.jpg\na.jpg\n\nv.avi\ngone.jpg\nstrange.xyz\n")
    monkeypatch.chdir(tmp_path / "work")

    sources = find_sources(tmp_path / "lists/l.txt")

    lists = tmp_path / "lists"
    assert sources.pictures == (lists / "b.jpg", Path("a.jpg"), lists / "gone.jpg", lists / "strange.xyz")
    assert sources.videos == (Path("v.avi"),)


def test_nothing_to_look_at_is_an_error(tmp_path: Path) -> None:
    put(tmp_path, "a.csv", "sub/a.jpg")

    with pytest.raises(
        DataError, match=r"gone\.jpg: expected a picture, video, folder, pattern or list .*found no such"
    ):
        find_sources(tmp_path / "gone.jpg")
    with pytest.raises(DataError, match=r"found neither: write a pattern as FOLDER/\*\*/\*\.jpg"):
        find_sources(tmp_path)
    with pytest.raises(DataError, match="found neither"):
        find_sources(f"{tmp_path}/*.csv")
