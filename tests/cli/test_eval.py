"""``eval``: how good a model is on labelled pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import pytest


def with_letter_box(shared_tiny: Path, value: int) -> Path:
    """The tiny network's cfg with ``letter_box`` set, in the working folder."""
    path = Path(f"boxed{value}.cfg")
    path.write_text((shared_tiny / "tiny.cfg").read_text().replace("channels=3", f"channels=3\nletter_box={value}"))
    return path


def test_eval_gives_every_figure(run: Any, tiny: tuple[object, ...], data: Path) -> None:
    outcome = run("eval", *tiny, "--data", data)

    record = outcome.json
    assert 0 < record["map50"] < 1
    assert 0 <= record["map"] <= record["map50"]
    assert all(0 <= record[key] <= 1 for key in ("precision", "recall", "f1", "at_conf"))
    assert [(row["class_id"], row["name"], row["truths"]) for row in record["per_class"]] == [
        (0, "round", 6),
        (1, "square", 6),
    ]
    assert (record["images"], record["size"], record["resize"], record["split"]) == (6, [64, 64], "stretch", "val")
    assert set(record["ms"]) == {"pre", "infer", "post"}
    assert record["problems"] == []
    assert f"AP50 {record['map50']:.4f}, AP {record['map']:.4f} on 6 pictures with 12 boxes" in outcome.out
    assert outcome.err == ""


def test_plots_are_written_where_they_are_asked_for(run: Any, tiny: tuple[object, ...], data: Path) -> None:
    outcome = run("eval", *tiny, "--data", data, "--plots", "looked/at")

    assert outcome.code == 0, outcome.err
    assert {path.name for path in Path("looked/at").iterdir()} == {"pr_curve.png", "confusion.png"}
    assert "looked/at/pr_curve.png" in outcome.out


def test_a_file_is_no_folder_for_plots(refused: Any, tiny: tuple[object, ...], data: Path) -> None:
    assert "--plots" in refused("eval", *tiny, "--data", data, "--plots", data)


def test_quiet_prints_nothing(run: Any, tiny: tuple[object, ...], data: Path) -> None:
    outcome = run("eval", *tiny, "--data", data, "--quiet")

    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    assert outcome.json["images"] == 6


def test_options_reach_the_detector(run: Any, tiny: tuple[object, ...], data: Path) -> None:
    common = ("eval", *tiny, "--data", data, "--split", "train", "--batch", 3)

    fixed = run(*common, "--at-conf", 0.3, "--size", "96x64", "--resize", "letterbox").json
    sure = run(*common, "--conf", 0.9).json
    merged = run(*common, "--iou", 0.0).json
    plain = run(*common).json

    assert (fixed["at_conf"], fixed["size"], fixed["resize"]) == (0.3, [96, 64], "letterbox")
    assert plain["images"] == 4
    assert sure["detections"] < plain["detections"]
    assert merged["detections"] < plain["detections"]


def test_clipped_boxes_fit_clipped_truths(run: Any, tiny: tuple[object, ...], data: Path, pictures: Path) -> None:
    for image in run("detect", *tiny, "--source", pictures, "--conf", 0.2, "--clip", "--no-save").json["images"]:
        centres = [
            ((x0 + x1) / 128, (y0 + y1) / 96, (x1 - x0) / 64, (y1 - y0) / 48, found["class_id"])
            for found in image["detections"]
            for x0, y0, x1, y1 in [found["box"]]
        ]
        lines = [f"{class_id} {x} {y} {w} {h}\n" for x, y, w, h, class_id in centres]
        (data.parent / "labels" / "val" / f"{Path(image['path']).stem}.txt").write_text("".join(lines))

    clipped, plain = (run("eval", *tiny, "--data", data, *more).json["map"] for more in (("--clip",), ()))

    assert clipped == pytest.approx(1)
    assert plain < 0.99


def test_the_same_call_gives_the_same_figures(run: Any, tiny: tuple[object, ...], data: Path) -> None:
    first, second = (run("eval", *tiny, "--data", data).json for _ in range(2))

    assert {**first, "ms": 0} == {**second, "ms": 0}


def test_layers_that_the_weights_lack_start_from_the_seed(run: Any, tiny: tuple[object, ...], data: Path) -> None:
    run("convert", tiny[3], "t.conv.3", *tiny[:2], "--cutoff", 3)
    common = ("eval", *tiny[:2], "--weights", "t.conv.3", "--data", data, "--seed")

    figures = [run(*common, seed).json["map"] for seed in (0, 0, 1)]

    assert figures[0] == figures[1] != figures[2]


def test_resize_is_the_users_else_the_checkpoints_else_the_cfgs_else_stretch(
    run: Any, tiny: tuple[object, ...], shared_tiny: Path, data: Path
) -> None:
    boxed, stretched = with_letter_box(shared_tiny, 1), with_letter_box(shared_tiny, 0)
    weights = ("--weights", tiny[3])
    run("convert", tiny[3], "boxed.safetensors", "--cfg", boxed)

    def resize(*options: object) -> str:
        found: str = run("eval", "--data", data, *options).json["resize"]
        return found

    assert resize(*tiny) == "stretch"
    assert resize(*weights, "--cfg", boxed) == "letterbox"
    assert resize("--weights", "boxed.safetensors") == "letterbox"
    assert resize("--weights", "boxed.safetensors", "--cfg", stretched) == "letterbox"
    assert resize("--weights", "boxed.safetensors", "--resize", "stretch") == "stretch"
    assert resize(*weights, "--cfg", boxed, "--resize", "stretch") == "stretch"


def test_single_class_asks_only_where_things_are(run: Any, tiny: tuple[object, ...], data: Path) -> None:
    whole, single = (run("eval", *tiny, "--data", data, "--iou", 0, *more).json for more in ((), ("--single-class",)))

    assert [(row["name"], row["truths"]) for row in single["per_class"]] == [("round", 12)]
    assert single["recall"] >= whole["recall"]
    assert single["detections"] < whole["detections"]


def test_single_class_of_the_data_file_counts_too(run: Any, tiny: tuple[object, ...], data: Path) -> None:
    data.write_text(data.read_text() + "single_class: true\n")

    assert len(run("eval", *tiny, "--data", data).json["per_class"]) == 1


def test_bad_pictures_and_labels_are_told_by_place_and_left_out(
    run: Any, tiny: tuple[object, ...], data: Path, data_dir: Path
) -> None:
    images, labels = (data.parent / kind / "val" for kind in ("images", "labels"))
    (images / "cut.jpg").write_bytes((data_dir / "broken" / "kangaroo-00090-truncated.jpg").read_bytes())
    (labels / "0.txt").write_text("0 1.5 .5 .2 .2\n0 .3 .4 .3 .5\n")
    (labels / "1.txt").write_text("0 one .5 .2 .2\n")
    (labels / "2.txt").write_text("0 .3 .4 .3 .5\n2 .5 .5 .2 .2\n")

    outcome = run("eval", *tiny, "--data", data)

    assert (outcome.code, outcome.json["images"]) == (0, 6)
    places = [problem.split(": ")[0] for problem in outcome.json["problems"]]
    expected = [labels / "0.txt:1", labels / "1.txt:1", labels / "2.txt:2", images / "cut.jpg"]
    assert places == [str(place) for place in expected]
    assert outcome.err.splitlines() == [f"warning: {problem}" for problem in outcome.json["problems"]]


def test_of_many_problems_the_first_are_told_and_all_are_in_the_json(
    run: Any, tiny: tuple[object, ...], data: Path
) -> None:
    (data.parent / "labels" / "val" / "0.txt").write_text("9 .5 .5 .2 .2\n" * 15)

    outcome = run("eval", *tiny, "--data", data)

    assert len(outcome.json["problems"]) == 15
    assert len(outcome.err.splitlines()) == 11
    assert outcome.err.splitlines()[-1] == "warning: and 5 more problems; --json lists all"


def test_paths_may_hold_blanks_and_other_letters(
    run: Any, tiny: tuple[object, ...], shared_tiny: Path, pictures: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "φωτογραφίες 1" / "画像"
    folder.mkdir(parents=True)
    for kind in ("cfg", "weights"):
        (folder / f"δίκτυο.{kind}").write_bytes((shared_tiny / f"tiny.{kind}").read_bytes())
    cv2.imwrite(str(folder / "εικόνα 1.png"), cv2.imread(str(pictures / "0.png")))
    (folder / "εικόνα 1.txt").write_text("0 .3 .4 .3 .5\n")
    (folder / "d.yaml").write_text("val: .\nnames: [στρογγυλό, square]\n", encoding="utf-8")

    outcome = run(
        "eval", "--cfg", folder / "δίκτυο.cfg", "--weights", folder / "δίκτυο.weights", "--data", folder / "d.yaml"
    )

    assert outcome.code == 0, outcome.err
    assert outcome.json["per_class"][0]["name"] == "στρογγυλό"
    assert "στρογγυλό" in outcome.out


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("val: empty.txt\nnames: [a, b]\n", "empty.txt"),
        ("val: images/val\nnames: gone.names\n", "no such names file"),
        ("val: images/val\nnames: [a, b, c]\n", "the network has 2 classes, the data set 3"),
        ("train: images/train\nnames: [a, b]\n", "expected a split 'val', found train"),
        ("val: images/gone\nnames: [a, b]\n", "no such file or folder"),
        ("val: [images/val\n", "expected YAML"),
    ],
)
def test_a_data_file_that_is_wrong_is_refused(
    refused: Any, tiny: tuple[object, ...], data: Path, text: str, expected: str
) -> None:
    (data.parent / "empty.txt").touch()
    data.write_text(text)

    assert expected in refused("eval", *tiny, "--data", data)


def test_a_data_set_that_cannot_be_read_at_all_is_refused(refused: Any, tiny: tuple[object, ...], data: Path) -> None:
    for picture in (data.parent / "images" / "val").iterdir():
        picture.write_bytes(b"")

    assert "none of 6 pictures can be evaluated; the first problem: " in refused("eval", *tiny, "--data", data)
