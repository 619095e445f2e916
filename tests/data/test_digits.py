from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from yoloslim.data import digits
from yoloslim.data.datafile import load_data_file
from yoloslim.data.dataset import load_dataset
from yoloslim.data.digits import make_glyph, paint, split_digits, write_digit_scenes
from yoloslim.errors import BackendMissing, OutputError

datasets = pytest.importorskip("sklearn.datasets")


@pytest.fixture(scope="module")
def data_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data file of a small set of scenes."""
    return write_digit_scenes(tmp_path_factory.mktemp("demo") / "digits", train=40, val=12, size=128)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def glyph_of(class_id: int, side: float, rng: np.random.Generator) -> digits.Glyph:
    images, labels = datasets.load_digits(return_X_y=True)
    return make_glyph(images.reshape(-1, 8, 8)[np.flatnonzero(labels == class_id)[3]], class_id, side, rng)


@pytest.mark.parametrize("class_id", range(10))
def test_a_box_is_exactly_what_differs_from_the_background(class_id: int) -> None:
    rng = np.random.default_rng(class_id)
    background = np.full((100, 120, 3), 140, np.uint8)

    scene = paint(background, [glyph_of(class_id, 50, rng)], rng)

    ys, xs = np.nonzero((scene.picture != background).any(axis=2))
    assert scene.annotation.boxes.tolist() == [[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]]
    assert scene.annotation.class_ids.tolist() == [class_id]
    assert (background == 140).all()


def test_digits_hardly_overlap_and_one_without_room_is_left_out() -> None:
    rng = np.random.default_rng(0)
    glyphs = [glyph_of(class_id, 50, rng) for class_id in (0, 8, 3, 5, 2, 6)]

    scene = paint(np.zeros((90, 90, 3), np.uint8), glyphs, rng)

    assert 1 <= len(scene.annotation) < 6
    assert len(paint(np.zeros((20, 20, 3), np.uint8), glyphs, rng).annotation) == 0


@pytest.mark.parametrize("brightness", [10, 90, 160, 245])
def test_a_digit_stands_out_from_any_background(brightness: int) -> None:
    rng = np.random.default_rng(1)

    scene = paint(np.full((90, 90, 3), brightness, np.uint8), [glyph_of(8, 60, rng)], rng)

    assert np.abs(scene.picture.astype(int) - brightness).max() > 80


def test_labels_are_read_without_a_problem_and_lie_inside(data_file: Path) -> None:
    loaded = load_data_file(data_file)
    train, val = (list(load_dataset(loaded, split)) for split in ("train", "val"))

    assert loaded.names == tuple("0123456789")
    assert (len(train), len(val)) == (40, 12)
    for found in train + val:
        assert found.picture is not None
        assert found.annotation is not None
        assert found.picture.shape == (128, 128, 3)
        assert not found.problems
        assert 1 <= len(found.annotation) <= 6
        assert found.annotation.boxes.min() >= -1e-3
        assert found.annotation.boxes.max() <= 128 + 1e-3


def test_every_digit_appears(data_file: Path) -> None:
    loaded = load_dataset(load_data_file(data_file), "train")

    seen = np.concatenate([found.annotation.class_ids for found in loaded if found.annotation is not None])

    assert set(seen.tolist()) == set(range(10))


def test_sides_are_between_an_eighth_and_two_fifths_of_the_scene(data_file: Path) -> None:
    boxes = np.concatenate(
        [found.annotation.boxes for found in load_dataset(load_data_file(data_file), "train") if found.annotation]
    )

    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1) / 128

    assert sides.min() > 0.11
    assert sides.max() < 0.41


def test_the_same_seed_writes_the_same_bytes_and_another_one_others(data_file: Path, tmp_path: Path) -> None:
    numbers = {"train": 40, "val": 12, "size": 128}
    same = write_digit_scenes(tmp_path / "same", **numbers)
    other = write_digit_scenes(tmp_path / "other", **numbers, seed=1)

    assert contents(same.parent) == contents(data_file.parent)
    assert contents(other.parent) != contents(data_file.parent)


def test_more_scenes_begin_with_the_same_ones(data_file: Path, tmp_path: Path) -> None:
    fewer = contents(write_digit_scenes(tmp_path / "a", train=5, val=2, size=128).parent / "images")

    assert fewer.items() <= contents(data_file.parent / "images").items()


def test_no_handwritten_digit_is_in_both_splits() -> None:
    _, labels = datasets.load_digits(return_X_y=True)

    splits = split_digits(labels, seed=0)

    train, val = (set(np.concatenate(splits[name]).tolist()) for name in ("train", "val"))
    assert train.isdisjoint(val)
    assert len(train | val) == len(labels)
    assert 0.19 < len(val) / len(labels) < 0.21
    assert all((labels[samples] == class_id).all() for class_id, samples in enumerate(splits["val"]))


def test_a_folder_made_with_the_same_numbers_is_left_as_it_is(tmp_path: Path) -> None:
    path = write_digit_scenes(tmp_path / "d", train=2, val=1, size=64)
    picture = path.parent / "images/train/00000.jpg"
    before = picture.stat()

    assert write_digit_scenes(tmp_path / "d", train=2, val=1, size=64) == path
    assert picture.stat() == before


def test_a_folder_made_with_other_numbers_is_made_anew(tmp_path: Path) -> None:
    write_digit_scenes(tmp_path / "d", train=3, val=1, size=64)

    write_digit_scenes(tmp_path / "d", train=2, val=1, size=64)

    assert len(list((tmp_path / "d/images/train").iterdir())) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")

    with pytest.raises(OutputError, match="expected a folder of digit scenes or none, found other files"):
        write_digit_scenes(tmp_path, train=1, val=1, size=64)

    assert contents(tmp_path) == {"thesis.txt": b"years of work"}


def test_nothing_is_left_when_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_folder: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(digits, "_write_yaml", fail)

    with pytest.raises(OutputError, match="No space left on device"):
        write_digit_scenes(tmp_path / "d", train=1, val=1, size=64)

    assert list(tmp_path.iterdir()) == []


def test_without_scikit_learn_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def without(name: str, *args: Any, **options: Any) -> Any:
        if name.startswith("sklearn"):
            raise ImportError(name)
        return real_import(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)

    with pytest.raises(BackendMissing, match=r"pip install 'yoloslim\[demo\]'"):
        write_digit_scenes(tmp_path / "d")
