"""The numbers of a data set are those counted by hand."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from yoloslim.data.datafile import load_data_file
from yoloslim.data.dataset import load_datasets
from yoloslim.data.statistics import ClassCount, Spread, statistics_of
from yoloslim.data.survey import survey
from yoloslim.errors import DataError


def test_classes_sizes_and_shapes_are_counted(tmp_path: Path) -> None:
    labels = ["0 .5 .5 .5 .5\n0 .5 .5 .25 1\n2 .5 .5 .1 .2\n", "0 .5 .5 1 1\n", ""]
    for number, label in enumerate(labels):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((50, 100, 3), np.uint8))
        (tmp_path / f"{number}.txt").write_text(label)
    (tmp_path / "a.yaml").write_text("train: .\nnames: [car, bus, van]\n")
    datasets, _ = load_datasets(load_data_file(tmp_path / "a.yaml"))

    found = statistics_of(survey(datasets["train"]), (200, 200), "letterbox")

    assert (found.pictures, found.backgrounds, found.boxes, found.difficult) == (3, 1, 4, 0)
    assert found.classes == (ClassCount("car", 3, 2), ClassCount("bus", 0, 0), ClassCount("van", 1, 1))
    assert (found.boxes_a_picture.least, found.boxes_a_picture.p50, found.boxes_a_picture.most) == (0, 1, 3)
    assert found.side_share.most == pytest.approx(1)
    assert found.side_px.least == pytest.approx((20 * 20) ** 0.5, rel=1e-5)
    assert found.side_px.most == pytest.approx((200 * 100) ** 0.5, rel=1e-5)
    assert (found.aspect.least, found.aspect.most) == pytest.approx((0.5, 2), rel=1e-5)


def test_a_split_without_boxes_has_numbers_too(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((50, 100, 3), np.uint8))
    (tmp_path / "a.yaml").write_text("train: .\nnames: [car]\n")
    datasets, _ = load_datasets(load_data_file(tmp_path / "a.yaml"))

    found = statistics_of(survey(datasets["train"]), (200, 200), "stretch")

    assert (found.pictures, found.backgrounds, found.boxes) == (1, 1, 0)
    assert found.side_px == Spread(0, 0, 0, 0, 0)


def test_splits_that_cannot_be_used_are_told_and_the_others_given(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((50, 100, 3), np.uint8))
    (tmp_path / "a.yaml").write_text("train: .\nval: gone\nnames: [car]\n")

    datasets, problems = load_datasets(load_data_file(tmp_path / "a.yaml"))

    assert list(datasets) == ["train"]
    ((path, message),) = [(problem.path, problem.message) for problem in problems]
    assert path == tmp_path / "a.yaml"
    assert message.startswith(f"val cannot be used ({path}: val: no such file or folder")


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("bccd", {"RBC": 4155 - 2, "WBC": 372, "Platelets": 361}),
        ("aerial_cars", {"0": 8997, "1": 27, "2": 246, "3": 278}),
    ],
)
def test_real_sets_have_the_boxes_that_their_sources_state(
    name: str, counts: dict[str, int], data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YOLOSLIM_TEST_DATA", str(data_dir))
    examples = Path(__file__).resolve().parents[2] / "examples"
    datasets, _ = load_datasets(load_data_file(examples / f"{name}.yaml"))

    splits = [statistics_of(survey(dataset), (416, 416), "letterbox").classes for dataset in datasets.values()]

    assert {rows[0].name: sum(row.boxes for row in rows) for rows in zip(*splits, strict=True)} == counts


def test_a_set_whose_only_split_is_missing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("train: gone\nnames: [car]\n")

    with pytest.raises(DataError, match="no such file or folder"):
        load_datasets(load_data_file(tmp_path / "a.yaml"))
