"""What a recipe says: every setting of a compression, from one TOML file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from yoloslim.boxes.placement import ResizeMode
from yoloslim.compress.pruning.methods import Over
from yoloslim.compress.pruning.reduction import Normalize, Reduction
from yoloslim.compress.pruning.scores import Score
from yoloslim.data.augment import AugmentSettings
from yoloslim.engine.settings import TrainSettings
from yoloslim.losses.detection import LossSettings

Size = int | tuple[int, int]


@dataclass(frozen=True, slots=True)
class ModelTable:
    """``[model]``: where it starts.

    Attributes:
        cfg: a cfg file or a name of the zoo; the class count of the data replaces its own.
        weights: a file to start from; empty for fresh weights.
    """

    cfg: str
    weights: str = ""


@dataclass(frozen=True, slots=True)
class DataTable:
    """``[data]``: what it learns from.

    Attributes:
        data: a data file.
        size: of the network's input, pixels; the cfg's when 0.
        resize: how pictures are fitted.
        single_class: whether all classes become the first.
    """

    data: str
    size: Size = 0
    resize: ResizeMode = "letterbox"
    single_class: bool = False


@dataclass(frozen=True, slots=True)
class SparsityTable:
    """``[sparsity]``: training that makes channels removable.

    Attributes:
        epochs: of the stage; 0 leaves it out.
        schedule: ``constant``: a penalty on the gammas all along, and pruning finds what it made small; ``fade``:
            what ``[prune]`` would remove is chosen at the start and brought to zero.
        penalty: which gammas are shrunk; ``normal``: those that normal pruning may remove.
        strength: of the penalty; ``auto``: the median gamma would just come to 0.
        reach: with ``auto``, for this multiple of the median.
        learning_rate: of the stage; that of ``[train]`` when 0.
    """

    epochs: int = 0
    schedule: Literal["constant", "fade"] = "constant"
    penalty: Literal["normal"] = "normal"
    strength: float | Literal["auto"] = "auto"
    reach: float = 1.0
    learning_rate: float = 0.0


@dataclass(frozen=True, slots=True)
class PruneTable:
    """``[prune]``: what goes. Either ``percent`` or ``target`` is set; neither for ``layer``.

    Attributes:
        method: name of the pruning method. What follows from ``score`` to ``round`` replaces a part of it where set.
        percent: share of the lanes that the method may remove, 0..1.
        target: what remains, as ``params=0.25`` or ``macs=0.5``, shares of the dense network's, or
            ``latency_ms=15@onnxruntime``; or what AP50 may be lost, ``map_drop=0.01``.
        blocks: number of residual blocks that a method which drops some drops.
        score: of channels.
        reduction: from the channels that write a lane to the lane.
        over: what the percent is taken of.
        freeze: names of rules for lanes that stay.
        round: layers keep a multiple of this many channels.
        only: pattern of node names; other layers are left alone.
        min_keep: share of each layer's channels that stays in any case.
        normalize: how gammas of different layers compare.
        fold: whether what removed channels added is folded into their readers.
        recalibrate: number of training pictures to measure batch-norm on anew.
        rounds: of pruning, with a short fine-tuning between them.
        pictures: number of pictures that plans are compared on, where a method compares plans.
        candidates: number of plans that ``eagleeye`` compares.
    """

    method: str = "normal"
    percent: float | None = None
    target: str = ""
    blocks: int | None = None
    score: Score | None = None
    reduction: Reduction | None = None
    over: Over | None = None
    freeze: tuple[str, ...] | None = None
    round: int | None = None
    only: str = "*"
    min_keep: float = 0.05
    normalize: Normalize = "none"
    fold: bool = True
    recalibrate: int = 0
    rounds: int = 1
    pictures: int = 128
    candidates: int = 20


@dataclass(frozen=True, slots=True)
class ExportTable:
    """``[export]``: which files are made of the final network."""

    formats: tuple[Literal["onnx"], ...] = ("onnx",)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A whole compression.

    Attributes:
        name: of the run.
        out: folder of the run; ``runs/compress/NAME`` when empty.
        seed: of every random choice.
        device: torch device, or ``auto``.
        train: the dense training; ``epochs = 0`` takes the weights as they are.
        finetune: training after pruning; what it leaves out is as in ``train``.
    """

    name: str
    model: ModelTable
    data: DataTable
    train: TrainSettings
    prune: PruneTable
    finetune: TrainSettings
    out: str = ""
    seed: int = 0
    device: str = "auto"
    sparsity: SparsityTable = field(default_factory=SparsityTable)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    export: ExportTable = field(default_factory=ExportTable)
