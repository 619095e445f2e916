"""The table ``training``: the defaults beside Darknet's settings and the originals', same trainer, same budget."""

from __future__ import annotations

from cells import BFLOAT16, Cell, Table, map50

BUDGETS = {"bccd": (320, 30), "hand_fingers5": (224, 30), "chess_pieces": (320, 10), "aerial_cars": (320, 10)}
"""Side of the input in pixels, and epochs."""

MORE = (("bccd", 320, 10), ("bccd", 320, 60))
"""The originals' own epochs, which with ``hand_fingers5`` above are those of their reports, and enough of them."""

SETTINGS = {"defaults": "defaults", "as Darknet": "darknet", "as the originals": "originals"}
FITTED = {"defaults, fitted to the pictures": "bccd"}
"""Of blood cells alone."""


def training_cell(data: str, size: int, epochs: int, settings: str) -> Cell:
    """Trains YOLOv3-tiny from its COCO weights and measures the last average of the weights: nothing is chosen."""
    file = {**SETTINGS, **FITTED}[settings]
    commands = (
        f"yoloslim train --recipe benchmarks/settings/{file}.toml --cfg yolov3-tiny"
        f" --weights ${{YOLOSLIM_TEST_DATA}}/weights/yolov3-tiny.weights --data examples/{data}.yaml"
        f" --size {size} --epochs {epochs} --set train.eval_every={epochs} {BFLOAT16} --out run",
        f"yoloslim eval --weights run/last.safetensors --data examples/{data}.yaml",
    )
    name = f"{data}-{epochs}-{file}"
    return Cell(name, row_of(data, size, epochs), settings, commands, ("map50", "map", "per_class"), map50)


def row_of(data: str, size: int, epochs: int) -> str:
    """Gives the title of a row."""
    return f"{data}, {size} pixels, {epochs} epochs"


def training() -> Table:
    """Four data sets, three settings, and a fourth of blood cells."""
    budgets = [(data, size, epochs) for data, (size, epochs) in BUDGETS.items()]
    cells = [training_cell(*budget, settings) for budget in [*budgets, *MORE] for settings in SETTINGS]
    cells += [training_cell("bccd", 320, epochs, settings) for epochs in (30, 60) for settings in FITTED]
    title = "AP50 on the test pictures, YOLOv3-tiny from its COCO weights, last epoch"
    rows = tuple(dict.fromkeys(cell.row for cell in cells))
    return Table("training", title, "data set", rows, (*SETTINGS, *FITTED), tuple(cells))
