"""Files appear whole or not at all, and what a killed writer left can be swept up."""

from pathlib import Path

import pytest

from yoloslim.errors import OutputError
from yoloslim.files import remove_leftovers, write_atomically


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
