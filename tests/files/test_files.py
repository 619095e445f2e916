"""Files appear whole or not at all, and what a killed writer left can be swept up."""

from pathlib import Path

import pytest

from yoloslim.errors import OutputError
from yoloslim.files import remove_leftovers, write_atomically, write_folder_atomically


def test_a_writer_that_fails_leaves_the_earlier_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text("earlier")

    with pytest.raises(ZeroDivisionError), write_atomically(path) as temporary:
        temporary.write_text(f"half {1 / 0}")

    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("")

    with (
        pytest.raises(OutputError, match=r"folder/a\.txt: cannot write this file"),
        write_atomically(tmp_path / "folder" / "a.txt"),
    ):
        pass


def test_temporary_files_of_killed_writers_are_swept_up_and_no_others(tmp_path: Path) -> None:
    stage = tmp_path / "dense"
    stage.mkdir()
    with write_atomically(stage / "state.safetensors") as temporary:
        temporary.write_text("whole")
    temporary.write_text("half")  # as a writer leaves it that is killed now
    others = [stage / "state.safetensors", stage / ".gitignore", stage / ".notes-tomorrow.txt"]
    for path in others:
        path.write_text("mine")

    remove_leftovers(tmp_path)

    assert sorted(stage.iterdir()) == sorted(others)


@pytest.mark.parametrize("is_there", [False, True])
def test_a_folder_appears_whole_where_none_or_an_empty_one_was(tmp_path: Path, is_there: bool) -> None:
    path = tmp_path / "new" / "folder"
    if is_there:
        path.mkdir(parents=True)

    with write_folder_atomically(path) as temporary:
        (temporary / "sub").mkdir()
        (temporary / "sub" / "a.txt").write_text("whole")
        assert not path.exists() or not list(path.iterdir())

    assert (path / "sub" / "a.txt").read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), write_folder_atomically(tmp_path / "folder") as temporary:
        (temporary / "a.txt").write_text(f"half {1 / 0}")

    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_files_and_a_file_are_left_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")

    for name, found in (("full", r"files in it \(mine.txt\)"), ("file", "a file")):
        with (
            pytest.raises(OutputError, match=f"{name}: expected a new or an empty folder, found {found}"),
            write_folder_atomically(tmp_path / name),
        ):
            pytest.fail("the block must not be entered")
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"


def test_a_folder_below_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with (
        pytest.raises(OutputError, match="file/folder: cannot write this folder"),
        write_folder_atomically(tmp_path / "file" / "folder"),
    ):
        pass
