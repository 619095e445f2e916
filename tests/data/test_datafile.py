from __future__ import annotations

import logging
from pathlib import Path

import pytest

from yoloslim.data.datafile import DataFile, load_data_file
from yoloslim.errors import CfgError, DataError


def make(folder: Path, *places: str) -> None:
    for place in places:
        (folder / place).mkdir(parents=True, exist_ok=True)


def load(folder: Path, text: str, name: str = "a.yaml") -> DataFile:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return load_data_file(path)


def test_a_yaml_of_the_yolo_world_is_read(tmp_path: Path) -> None:
    make(tmp_path, "set/images/train", "set/images/val")

    data = load(
        tmp_path,
        "path: set  # root\ntrain: images/train\nval: images/val\ntest:  # optional\n"
        "names:\n  1: bus\n  0: car\nnc: 2\n",
    )

    assert data.names == ("car", "bus")
    assert data.root == tmp_path / "set"
    assert data.split("train").entries == (tmp_path / "set/images/train",)
    assert data.split("valid").entries == (tmp_path / "set/images/val",)
    assert (list(data.splits), data.format, data.single_class, data.notes) == (["train", "val"], None, False, ())


def test_a_darknet_data_file_is_read(tmp_path: Path) -> None:
    make(tmp_path, "train")
    (tmp_path / "coco.names").write_text("car\nbus\n\n")
    (tmp_path / "val.txt").write_text("a.jpg\n")

    data = load(tmp_path, "classes= 2\ntrain  = train\nvalid = val.txt\nnames=coco.names\nbackup = b\n", "a.data")

    assert data.names == ("car", "bus")
    assert data.split("val").entries == (tmp_path / "val.txt",)
    assert data.notes == ()


def test_names_keep_what_is_written_even_where_yaml_sees_a_truth_or_a_number(tmp_path: Path) -> None:
    make(tmp_path, "p")

    assert load(tmp_path, "train: p\nnames: [no, on, 007, 1e3, null]\n").names == ("no", "on", "007", "1e3", "null")


def test_names_may_be_a_file_in_a_yaml(tmp_path: Path) -> None:
    make(tmp_path, "set/p")
    (tmp_path / "a.names").write_text("car\n")

    assert load(tmp_path, "path: set\ntrain: p\nnames: a.names\n").names == ("car",)


def test_without_names_the_classes_are_numbered_and_a_note_says_so(tmp_path: Path) -> None:
    make(tmp_path, "p")

    data = load(tmp_path, "train: p\nnc: 3\n")

    assert data.names == ("0", "1", "2")
    assert "no names given: the 3 classes are called 0..2" in data.notes[0]


def test_several_folders_and_the_label_keys_are_found(tmp_path: Path) -> None:
    make(tmp_path, "a", "b", "l", "lt")

    data = load(tmp_path, "train: [a, b]\nval: b\nlabels: l\nlabels_train: lt\nnc: 1\nformat: voc\nnames: [x]")

    assert data.split("train").entries == (tmp_path / "a", tmp_path / "b")
    assert data.split("train").labels == tmp_path / "lt"
    assert data.split("val").labels == tmp_path / "l"
    assert data.format == "voc"


@pytest.mark.parametrize(
    ("word", "expected"), [("true", True), ("yes", True), ("1", True), ("False", False), ("0", False)]
)
def test_single_class_is_true_or_false(tmp_path: Path, word: str, expected: bool) -> None:
    make(tmp_path, "p")

    assert load(tmp_path, f"train: p\nnc: 1\nsingle_class: {word}\n").single_class is expected


def test_variables_are_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "real/p")
    monkeypatch.setenv("MY_DATA", str(tmp_path / "real"))

    data = load(tmp_path, "path: ${MY_DATA}\ntrain: p\nval: ['${MY_DATA}/p']\nnc: 1\n")

    assert data.split("train").entries == data.split("val").entries == (tmp_path / "real/p",)


@pytest.mark.parametrize("value", [None, ""])
def test_a_variable_that_is_not_set_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("MY_DATA", raising=False)
    if value is not None:
        monkeypatch.setenv("MY_DATA", value)

    with pytest.raises(
        DataError, match=r"a\.yaml: train: \$\{MY_DATA\} is not set in the environment: export MY_DATA="
    ):
        load(tmp_path, "train: ${MY_DATA}/p\nnc: 1\n")


def test_a_path_is_taken_under_path_before_the_data_files_folder(tmp_path: Path) -> None:
    make(tmp_path, "set/p", "p")

    assert load(tmp_path, "path: set\ntrain: p\nnc: 1\n").split("train").entries == (tmp_path / "set/p",)


def test_a_path_is_found_in_the_working_folder_and_a_note_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "data/train")
    monkeypatch.chdir(tmp_path)

    data = load(tmp_path, "train = data/train\nclasses = 1\n", "cfg/a.data")

    assert data.split("train").entries == (Path("data/train"),)
    assert data.notes[-1].endswith("train: data/train: found in the working folder")


@pytest.mark.parametrize("value", ["../train/images", "/content/x/train/images", "../../set/train/images"])
@pytest.mark.parametrize("folder", ["", "datasets/"])
def test_a_path_exported_for_another_machine_is_found_by_its_last_two_parts(
    tmp_path: Path, value: str, folder: str
) -> None:
    make(tmp_path, f"deep/er/{folder}train/images")

    data = load(tmp_path, f"train: {value}\nnc: 1\n", "deep/er/data.yaml")

    expected = tmp_path / "deep/er" / folder / "train/images"
    assert data.split("train").entries == (expected,)
    assert data.notes[-1].endswith(f"train: {value}: not there, taken as {expected}")


def test_a_moved_root_is_told_and_the_data_files_folder_is_used(tmp_path: Path) -> None:
    make(tmp_path, "images/train")

    data = load(tmp_path, "path: ../datasets/coco128\ntrain: images/train\nnames: [x]\n")

    assert data.split("train").entries == (tmp_path / "images/train",)
    assert "path: no such folder ../datasets/coco128" in data.notes[0]


def test_a_missing_path_is_an_error_only_for_who_asks_for_its_split(tmp_path: Path) -> None:
    make(tmp_path, "p")

    data = load(tmp_path, "train: p\ntest: nowhere\nval: p\nlabels_val: lost\nnc: 1\n")

    assert data.split("train").entries == (tmp_path / "p",)
    with pytest.raises(
        DataError, match=r"a\.yaml: test: no such file or folder: .*nowhere \(nor at .*correct the path"
    ):
        data.split("test")
    with pytest.raises(DataError, match=r"a\.yaml: labels_val: no such file or folder: .*lost"):
        data.split("val")


def test_a_split_that_is_not_there_is_an_error_that_names_those_that_are(tmp_path: Path) -> None:
    make(tmp_path, "p")

    with pytest.raises(DataError, match=r"expected a split 'test', found train and val: add `test: FOLDER`"):
        load(tmp_path, "train: p\nvalid: p\nnc: 1\n").split("test")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected `key: value` lines"),
        ("- a\n- b\n", "expected `key: value` lines"),
        ("train: [p\nval: p", r"a\.yaml:\d: expected YAML, found an error in it"),
        ("train: \x01", "expected YAML, found an error in it"),
        ("names: [x]\n", "expected train, val or test with pictures, found none of them"),
        ("train: []\nnames: [x]\n", "train: expected a path or a list of paths, found []"),
        ("train: {a: b}\nnames: [x]\n", "train: expected a path or a list of paths"),
        ("train: p\npath: [a, b]\nnames: [x]\n", "path: expected one path"),
        ("train: p\nval: p\nvalid: p\nnames: [x]\n", "val and valid are the same split, found both"),
        ("train: p\n", "expected names (a list, or a .names file), found neither names nor nc"),
        ("train: p\nnames: []\n", "names: expected at least one class name, found none"),
        ("train: p\nnames: [[x]]\n", "names: expected names, found"),
        ("train: p\nnames: {0: a, 2: b}\n", "names: expected class ids 0..1, found 0, 2: 1 is missing"),
        ("train: p\nnames: [x]\nnc: 2\n", "nc says 2 classes, but names has 1 names"),
        ("train: p\nnames: a.names\nclasses: 3\n", "a.names has 2 names"),
        ("train: p\nnc: many\n", "nc: expected a number of classes, found 'many'"),
        ("train: p\nnc: 2\nclasses: 3\n", "nc says 2, classes says 3"),
        ("train: p\nnames: gone.names\n", "gone.names: no such names file (named by "),
        ("train: p\nnc: 2\nformat: voc\n", "VOC files state classes by name"),
        (
            "train: p\nnc: 2\nformat: pascal\n",
            "expected one of yolo, voc, visdrone, bdd100k, dior, oxfordhand, coco, found 'pascal'",
        ),
        ("train: p\nnc: 2\nsingle_class: maybe\n", "single_class: expected true or false, found 'maybe'"),
    ],
)
def test_a_wrong_data_file_is_an_error_that_says_what_was_expected(tmp_path: Path, text: str, message: str) -> None:
    make(tmp_path, "p")
    (tmp_path / "a.names").write_text("x\ny\n")
    pattern = message if "\\" in message else message.replace("(", r"\(").replace(")", r"\)").replace("[", r"\[")

    with pytest.raises(DataError, match=pattern) as caught:
        load(tmp_path, text)
    assert "a.yaml" in str(caught.value)


def test_a_wrong_line_of_a_darknet_file_is_an_error_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(CfgError, match=r"a\.data:2: expected `key = value`"):
        load(tmp_path, "classes = 1\ntrain: p\n", "a.data")


def test_a_missing_data_file_and_a_folder_are_errors(tmp_path: Path) -> None:
    for name in ("gone.yaml", "gone.data"):
        with pytest.raises(DataError, match=f"{name}: no such data file"):
            load_data_file(tmp_path / name)
    with pytest.raises(DataError, match="found a folder: name the file in it"):
        load_data_file(tmp_path)


def test_a_yaml_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xff\xd8\xff\xe0")

    with pytest.raises(DataError, match="found binary data"):
        load_data_file(tmp_path / "a.yaml")


def test_an_unknown_key_is_told_once_with_the_nearest_known_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(tmp_path, "p")

    with caplog.at_level(logging.WARNING):
        load(tmp_path, "train: p\nnc: 1\nlables: x\nroboflow: {a: b}\ndownload: url\n")

    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / 'a.yaml'}: unknown key 'lables' is ignored: did you mean 'labels'?"
    ]
