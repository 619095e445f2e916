"""What the library reads, keeps, leaves out and tells."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from yoloslim.boxes.annotation import Annotation
from yoloslim.data.datafile import load_data_file
from yoloslim.data.dataset import Dataset, load_dataset
from yoloslim.data.geometry import cut, fitted_size, resize_to
from yoloslim.data.joint import joint
from yoloslim.data.layout import Layout
from yoloslim.data.library import Library
from yoloslim.data.picture_cache import Budget
from yoloslim.data.pictures import read_picture
from yoloslim.errors import DataError

WriteSet = Callable[..., Path]

LAYOUT = Layout((64, 48), "letterbox")
PICTURE_BYTES = 64 * 48 * 3
KEPT = Budget("disk", 1 << 20, None)
NOT_KEPT = Budget("off", 0, None)


def load(folder: Path) -> Dataset:
    return load_dataset(load_data_file(folder / "data.yaml"), "train")


@pytest.mark.parametrize("budget", [KEPT, NOT_KEPT], ids=["kept", "not kept"])
@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
def test_a_picture_and_its_boxes_are_made_to_fit_as_one_by_one(
    tmp_path: Path, resize: str, budget: Budget, write_set: WriteSet
) -> None:
    folder = write_set(tmp_path, 6, boxes=2, sizes=((80, 60), (30, 20), (211, 33)))
    (folder / "labels/01.txt").write_text("0 0.995 0.5 0.2 0.2\n1 0.5 1.005 0.1 0.009\n")  # over the border, beyond it
    layout = Layout((64, 48), resize)
    dataset = load(folder)

    library = Library(dataset, layout, budget=budget)

    assert library.num_cached == (6 if budget is KEPT else 0)
    for index, loaded in enumerate(dataset):
        height, width = loaded.picture.shape[:2]
        fitted = fitted_size(loaded.picture, layout.size, layout.resize)
        size = (min(width, fitted[0]), min(height, fitted[1]))
        expected = resize_to(loaded.picture, cut(loaded.annotation, (width, height)), size)
        found = library[index]
        np.testing.assert_array_equal(found.picture, expected.picture)
        np.testing.assert_allclose(found.annotation.boxes, expected.annotation.boxes, rtol=1e-6)
        assert found.annotation.class_ids.tolist() == expected.annotation.class_ids.tolist()


def test_background_is_trained_on(tmp_path: Path, write_set: WriteSet) -> None:
    folder = write_set(tmp_path, 2)
    (folder / "labels/01.txt").unlink()

    library = Library(load(folder), LAYOUT)

    assert library.problems == ()
    assert library.annotations.counts.tolist() == [1, 0]


@pytest.mark.parametrize("budget", [KEPT, NOT_KEPT], ids=["kept", "not kept"])
def test_what_cannot_be_read_is_left_out_and_told(tmp_path: Path, budget: Budget, write_set: WriteSet) -> None:
    folder = write_set(tmp_path, 5)
    (folder / "images/01.png").write_bytes((folder / "images/01.png").read_bytes()[:-20])
    (folder / "labels/02.txt").write_bytes(b"\xff\xfe\x00")
    (folder / "labels/03.txt").write_text("7 0.5 0.5 0.1 0.1\n0 0.5 0.5 0.1 0.1\n")

    library = Library(load(folder), LAYOUT, budget=budget)

    assert len(library) == 3
    assert [library[index].picture[24, 32, 0] for index in range(3)] == [0, 3, 4]
    assert [library.path(index).stem for index in range(3)] == ["00", "03", "04"]
    told = [str(problem).removeprefix(f"{folder}/") for problem in library.problems]
    assert [text.split(": ")[0] for text in told] == ["images/01.png", "labels/02.txt", "labels/03.txt:1"]


def test_a_picture_that_vanishes_later_is_replaced_by_the_next_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, write_set: WriteSet
) -> None:
    folder = write_set(tmp_path, 3)
    library = Library(load(folder), LAYOUT)
    (folder / "images/02.png").unlink()

    picture, _ = library[2]

    assert picture[24, 32, 0] == 0
    assert "02.png: no such picture; it could be read when training began" in caplog.text


def test_a_picture_that_grows_later_still_fits(tmp_path: Path, write_set: WriteSet) -> None:
    library = Library(load(write_set(tmp_path / "set", 1)), LAYOUT)
    larger = read_picture(write_set(tmp_path / "large", 1, sizes=((200, 100),)) / "images/00.png")
    (tmp_path / "set/images/00.png").write_bytes((tmp_path / "large/images/00.png").read_bytes())

    assert larger.shape == (100, 200, 3)
    assert library[0].picture.shape == (48, 64, 3)


def test_a_set_that_vanishes_is_an_error(tmp_path: Path, caplog: pytest.LogCaptureFixture, write_set: WriteSet) -> None:
    folder = write_set(tmp_path, 2)
    library = Library(load(folder), LAYOUT)
    for path in (folder / "images").iterdir():
        path.unlink()

    with pytest.raises(DataError, match="neither this nor any other picture"):
        library[0]


def test_a_set_without_readable_pictures_is_an_error(tmp_path: Path, write_set: WriteSet) -> None:
    folder = write_set(tmp_path, 1)
    (folder / "images/00.png").write_bytes(b"no picture")

    with pytest.raises(DataError, match=r"expected pictures to train on, found none among 1 .*00\.png"):
        Library(load(folder), LAYOUT)


def test_a_set_without_boxes_is_an_error(tmp_path: Path, write_set: WriteSet) -> None:
    with pytest.raises(DataError, match=r"expected boxes to train on, found none in 2 pictures: .*00\.txt"):
        Library(load(write_set(tmp_path, 2, boxes=0)), LAYOUT)


def test_progress_counts_every_sample_of_every_set(tmp_path: Path, write_set: WriteSet) -> None:
    seen: list[int] = []
    both = joint([load(write_set(tmp_path / name, 2)) for name in "ab"], [{}, {}])

    Library(both, LAYOUT, progress=seen.append)

    assert seen == [1, 2, 3, 4]


def test_several_sets_are_one_after_the_other_with_classes_of_the_common_list(
    tmp_path: Path, write_set: WriteSet
) -> None:
    first, second = write_set(tmp_path / "a", 2), write_set(tmp_path / "b", 2, names=("b", "c"))
    (first / "images/00.png").write_bytes(b"no picture")

    library = Library(joint([load(first), load(second)], [{}, {}]), LAYOUT, budget=KEPT)

    assert library.sets.tolist() == [0, 1, 1]
    assert [library[index].annotation.class_ids.tolist() for index in range(3)] == [[1], [1], [2]]
    assert [library[index].annotation.unlabelled for index in range(3)] == [{2}, {0}, {0}]
    assert [library[index].picture[0, 0, 0] for index in range(3)] == [1, 0, 1]


def test_pictures_are_kept_at_the_size_of_the_input_up_to_the_budget(tmp_path: Path, write_set: WriteSet) -> None:
    dataset = load(write_set(tmp_path, 5))
    budgets = [Budget("disk", count, None) for count in (0, 3 * PICTURE_BYTES + 10, 1 << 20)]

    assert [Library(dataset, LAYOUT, budget=budget).num_cached for budget in budgets] == [0, 3, 5]


def test_what_is_kept_is_told_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, write_set: WriteSet
) -> None:
    caplog.set_level(logging.INFO)

    Library(load(write_set(tmp_path, 5)), LAYOUT, budget=Budget("memory", 1 << 20, 3 * PICTURE_BYTES))

    assert caplog.messages == [
        "decoded pictures (memory): at most 0.05 MB, 1.05 MB allowed, 0.03 MB free: "
        "0.01 MB are kept, the others are read each time"
    ]


def test_a_copy_in_another_process_reads_the_same_kept_pictures(tmp_path: Path, write_set: WriteSet) -> None:
    folder = write_set(tmp_path, 2)
    library = Library(load(folder), LAYOUT, budget=KEPT)
    expected = library[0].picture
    for path in (folder / "images").iterdir():
        path.unlink()

    pickled = pickle.dumps(library)

    assert len(pickled) < PICTURE_BYTES
    np.testing.assert_array_equal(pickle.loads(pickled)[0].picture, expected)


def test_boxes_are_those_of_an_annotation(tmp_path: Path, write_set: WriteSet) -> None:
    library = Library(load(write_set(tmp_path, 1)), LAYOUT)

    assert isinstance(library[0].annotation, Annotation)
    np.testing.assert_allclose(library[0].annotation.boxes, [[16, 18, 48, 30]], atol=1e-5)
