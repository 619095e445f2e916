"""What a recipe says: every setting of a compression, from one TOML file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from yoloslim.boxes.placement import ResizeMode
from yoloslim.compress.pruning.scores import Normalize
from yoloslim.data.augment import AugmentSettings
from yoloslim.engine.settings import TrainSettings

Size = int | tuple[int, int]

LossTable = Mapping[str, Any]
"""``[loss]``: fields of `LossSettings`; what it leaves out is the cfg's, else the default."""


@dataclass(frozen=True, slots=True)
class ModelTable:
    """``[model]``: where it starts.

    Attributes:
        cfg: a cfg file or a name of the zoo; the class count of the data replaces its own. Empty where the weights
            bring their network with them.
        weights: a file to start from, or the name of published weights; empty for fresh weights.
    """

    cfg: str = ""
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
    """``[prune]``: what goes. Either ``percent`` or ``target`` is set.

    Attributes:
        method: name of the pruning method.
        percent: share of the lanes that the method may remove, 0..1.
        target: what remains, as ``params=0.25`` or ``macs=0.5``, shares of the dense network's.
        round: layers keep a multiple of this many channels.
        min_keep: share of each layer's channels that stays in any case.
        normalize: how gammas of different layers compare.
        fold: whether what removed channels added is folded into their readers.
        recalibrate: number of training pictures to measure batch-norm on anew.
    """

    method: str = "normal"
    percent: float | None = None
    target: str = ""
    round: int = 1
    min_keep: float = 0.05
    normalize: Normalize = "none"
    fold: bool = True
    recalibrate: int = 0


@dataclass(frozen=True, slots=True)
class ExportTable:
    """``[export]``: which files are made of the final network."""

    formats: tuple[Literal["onnx"], ...] = ("onnx",)


@dataclass(frozen=True, slots=True)
class TrainRecipe:
    """One training.

    Attributes:
        name: of the run.
        seed: of every random choice.
        device: torch device, or ``auto``.
        sparsity: what makes channels removable meanwhile; its ``epochs`` are those of ``train``. None trains dense.
        prune: the pruning that a sparse training prepares; ``fade`` needs its percent or target.
    """

    name: str
    model: ModelTable
    data: DataTable
    train: TrainSettings
    seed: int = 0
    device: str = "auto"
    sparsity: SparsityTable | None = None
    prune: PruneTable = field(default_factory=PruneTable)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    loss: LossTable = field(default_factory=dict)


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
    loss: LossTable = field(default_factory=dict)
    export: ExportTable = field(default_factory=ExportTable)
