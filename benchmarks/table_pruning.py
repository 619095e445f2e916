"""The table ``pruning``: every method after sparse training, before and after fine-tuning, beside Torch-Pruning."""

from __future__ import annotations

from dataclasses import dataclass

from cells import BFLOAT16, RUNS, Cell, Report, Table, hidden, map50

WEIGHTS = "${YOLOSLIM_TEST_DATA}/weights"
FINETUNE = 10
"""Epochs after pruning."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is trained and pruned.

    Attributes:
        start: the options that name the network before it is trained.
        options: those of every training and evaluation.
        epochs: of the dense training; the sparse one that follows has as many.
        prepares: the method whose channels fade in sparse training.
        columns: how much of the parameters goes.
    """

    name: str
    title: str
    start: str
    data: str
    options: str
    epochs: int
    prepares: str = "normal"
    columns: tuple[str, ...] = ("-50 %", "-80 %")

    def training(self, weights: str, epochs: int, more: str = "") -> str:
        """Gives the command of a training; nothing is chosen by the tested pictures."""
        fixed = f"--set train.eval_every={epochs} {BFLOAT16} --out run"
        return f"yoloslim train {weights} {self.data} {self.options} --epochs {epochs} {fixed} {more}".rstrip()

    def evaluation(self, weights: str = "run/last.safetensors") -> str:
        """Gives the command that measures a checkpoint."""
        return f"yoloslim eval --weights {weights} {self.data} {self.options}"


TINY = f"--cfg yolov3-tiny --weights {WEIGHTS}/yolov3-tiny.weights"
NANO = f"--cfg {WEIGHTS}/MobileNetV2-YOLOv3-Nano-coco.cfg --weights {WEIGHTS}/MobileNetV2-YOLOv3-Nano-coco.weights"
HAND = Job(
    "hand",
    "YOLOv3-tiny, hand_fingers5 as one class, 160",
    TINY,
    "--data examples/hand_fingers5.yaml",
    "--size 160 --single-class",
    40,
    columns=("-50 %", "-80 %", "-90 %"),
)
FINGERS = Job("fingers", "YOLOv3-tiny, hand_fingers5, 224", TINY, HAND.data, "--size 224", 30)
CHESS = Job("chess", "YOLOv3-tiny, chess_pieces, 160", TINY, "--data examples/chess_pieces.yaml", "--size 160", 40)
BCCD = Job("bccd", "YOLOv3-tiny, bccd, 320", TINY, "--data examples/bccd.yaml", "--size 320", 30)
RESIDUAL = Job("nano", "MobileNetV2-YOLOv3-Nano, bccd, 320", NANO, BCCD.data, BCCD.options, 30, "shortcut")
METHODS = {
    HAND: ("normal", "regular", "shortcut", "slim", "eagleeye", "layer", "layer_channel"),
    CHESS: ("normal",),
    BCCD: ("normal", "shortcut", "slim"),
    RESIDUAL: ("shortcut", "slim", "layer_channel"),
}
RESIDUAL_BLOCKS = (5, 10)
"""Half and all of its removable blocks."""

PEER, CHANNELS = "peer", "channels"
TITLES = {PEER: "Torch-Pruning's BN scale", CHANNELS: "normal, 30 and 50 % of the channels"}
"""Of rows that are named after no method."""

KEPT = {"-50 %": 0.5, "-80 %": 0.2, "-90 %": 0.1}
"""Share of the parameters that is left."""

OF_CHANNELS = {"-50 %": 0.3, "-80 %": 0.5}
"""Share of the channels that goes, where the originals' own percents are tried."""

AFTER = "fine-tuned"


def pruned_text(report: Report) -> str:
    """Shows accuracy, what is left, and how many times as fast it is."""
    if "error" in report:
        return f"refused: {report['error']}"
    params = report["params"]["after"] / report["params"]["before"]
    faster = (f"{ms['before'] / ms['after']:.1f}" for ms in report["latency_ms"].values())
    return f"{report['map50']['after']:.3f} ({100 * params:.0f} % parameters; {' / '.join(faster)} x)"


def trained_cells(job: Job) -> list[Cell]:
    """Trains the dense network, and from it the sparse one for -80 % of the parameters."""
    fade = f"--penalty-schedule fade --set prune.method={job.prepares} --set prune.normalize=layer"
    dense = f"--weights {RUNS}{job.name}-dense/run/last.safetensors"
    return [
        hidden(f"{job.name}-dense", job.training(job.start, job.epochs), job.evaluation()),
        hidden(
            f"{job.name}-sparse",
            job.training(dense, job.epochs, f"{fade} --set prune.target=params=0.2"),
            job.evaluation(),
        ),
    ]


def pruned_cells(job: Job, method: str, column: str, start: str, options: str) -> list[Cell]:
    """Prunes what ``start`` left with the options of a method, and trains the small network on."""
    title = TITLES.get(method, method) + ("" if start.endswith("sparse") else ", no sparse training")
    name, row = f"{start}-{method}{column.rstrip(' %')}", f"{job.title}: {title}"
    weights = f"{RUNS}{start}/run/last.safetensors"
    measured = f"--measure torch --measure onnxruntime --out pruned {job.data} {job.options}"
    prune = f"yoloslim prune --weights {weights} {options} {measured}"
    plan = f"benchmarks/peers/bn_scale.py --weights {weights} --params {KEPT.get(column)} --out plan"
    keys = ("method", "params", "macs", "map50", "latency_ms", "max_abs_diff", "fold_gap", "note")
    return [
        Cell(name, row, column, (plan, prune) if method == PEER else (prune,), keys, pruned_text),
        Cell(
            f"{name}-finetuned",
            row,
            f"{column}, {AFTER}",
            (
                job.training(f"--weights {RUNS}{name}/pruned/last-pruned.safetensors", FINETUNE),
                job.evaluation(),
            ),
            ("map50", "map"),
            map50,
        ),
    ]


def method_cells(job: Job, method: str, start: str) -> list[Cell]:
    """Gives a row: half and four fifths of the parameters gone, or half and all of the blocks."""
    if method == PEER:
        planned = "--plan plan/plan.json --no-fold"
        return [cell for column in job.columns for cell in pruned_cells(job, method, column, start, planned)]
    if job is not RESIDUAL and method.startswith("layer"):
        return [refused_cell(job, method, start)]
    options = f"--method {method} --normalize layer"
    cells = []
    for column in job.columns:
        cells += pruned_cells(job, method, column, start, f"{options} --target params={KEPT[column]}")
    return cells


def channel_cells(job: Job) -> list[Cell]:
    """Gives the row of the originals' percents: 30 and 50 % of the channels gone."""
    cells = []
    for column, percent in OF_CHANNELS.items():
        options = f"--method normal --normalize layer --percent {percent}"
        cells += pruned_cells(job, CHANNELS, column, f"{job.name}-sparse", options)
    return cells


def refused_cell(job: Job, method: str, start: str) -> Cell:
    """Shows that a method of blocks refuses a network without one."""
    options = f"--weights {RUNS}{start}/run/last.safetensors --method {method}"
    command = f"yoloslim prune {options}{'' if method == 'layer' else ' --percent 0.5'}"
    row = f"{job.title}: {method}"
    return Cell(f"{start}-{method}", row, next(iter(KEPT)), (command,), ("error",), pruned_text, exit_code=2)


def block_cells(start: str) -> list[Cell]:
    """Gives the row of ``layer``: half of the removable blocks gone, and all."""
    cells = []
    for column, blocks in zip(RESIDUAL.columns, RESIDUAL_BLOCKS, strict=True):
        cells += pruned_cells(RESIDUAL, "layer", column, start, f"--method layer --blocks {blocks}")
    return cells


def pruning() -> Table:
    """Every method on one class, the best three on bccd, methods of blocks on a residual network."""
    jobs = (HAND, BCCD, RESIDUAL, CHESS, FINGERS)
    cells = [cell for job in jobs for cell in trained_cells(job)]
    for job, methods in METHODS.items():
        for method in (*methods, PEER):
            cells += method_cells(job, method, f"{job.name}-sparse")
    cells += block_cells("nano-dense")
    cells += channel_cells(FINGERS)
    for job in (HAND, CHESS):
        cells += method_cells(job, "normal", f"{job.name}-dense")
    rows = tuple(dict.fromkeys(cell.row for cell in cells if cell.row))
    columns = tuple(name for column in KEPT for name in (column, f"{column}, {AFTER}"))
    title = (
        "AP50 on the test pictures after pruning, what is left of the parameters, and how many times as fast torch /"
        f" onnxruntime run it; then after {FINETUNE} epochs of fine-tuning (layer: half and all of the blocks)"
    )
    return Table("pruning", title, "network, data: method", rows, columns, tuple(cells))
