"""What a recipe says: every setting of a compression, from one TOML file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from yoloslim.boxes.placement import ResizeMode
from yoloslim.compress.distillation.methods import Method
from yoloslim.compress.distillation.term import Reduction as Scale
from yoloslim.compress.pruning.methods import Over
from yoloslim.compress.pruning.reduction import Normalize, Reduction
from yoloslim.compress.pruning.scores import Score
from yoloslim.compress.quantization.observers import Name as Observer
from yoloslim.data.augment import AugmentSettings
from yoloslim.data.batches import LoaderSettings
from yoloslim.data.sampling import SamplingSettings
from yoloslim.engine.settings import TrainSettings
from yoloslim.errors import RecipeError
from yoloslim.runtime.artefact import BackendName

Size = int | tuple[int, int]
Format = Literal["onnx", "openvino", "fpga"]

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
        data: a data file, or several that are trained on together.
        size: of the network's input, pixels; the cfg's when 0.
        resize: how pictures are fitted.
        single_class: whether all classes become the first.
        label_map: class names that are another name on the common list; those of one data set in a table of its name.
        sampling: how often pictures come.
        loader: how pictures are put together, and where they are kept.
    """

    data: str | tuple[str, ...]
    size: Size = 0
    resize: ResizeMode = "letterbox"
    single_class: bool = False
    label_map: Mapping[str, str | Mapping[str, str]] = field(default_factory=dict)
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    loader: LoaderSettings = field(default_factory=LoaderSettings)

    @property
    def files(self) -> tuple[str, ...]:
        """The data files."""
        return (self.data,) if isinstance(self.data, str) else self.data


@dataclass(frozen=True, slots=True)
class SparsityTable:
    """``[sparsity]``: training that makes channels removable.

    Attributes:
        epochs: of the stage; 0 leaves it out.
        schedule: ``constant``: a penalty on the gammas all along, and pruning finds what it made small; ``decay``:
            gammas that are not small by then are freed in the second half; ``per-layer``: in proportion to the mean
            gamma of each layer; ``fade``: what ``[prune]`` would remove is chosen at the start and brought to zero.
        penalty: which gammas are shrunk; ``normal``: those that normal pruning may remove; ``shortcut``: all that can
            be removed; ``layer``: those of the last convolution of each residual block.
        strength: of the penalty; ``auto``: at first such that the median gamma would just come to 0, then raised while
            the guard holds.
        reach: with ``auto``, for this multiple of the median.
        guard: with ``auto``, AP50 that may be lost against the best so far, 0..1.
        learning_rate: of the stage; that of ``[train]`` when 0.
        pictures: of the validation set that are measured on meanwhile.
        measure_every: epochs between two measurements of what can be pruned; 0: so many that they take about a tenth
            of the stage.
    """

    epochs: int = 0
    schedule: Literal["constant", "decay", "per-layer", "fade"] = "constant"
    penalty: Literal["normal", "shortcut", "layer"] = "normal"
    strength: float | Literal["auto"] = "auto"
    reach: float = 1.0
    guard: float = 0.01
    learning_rate: float = 0.0
    pictures: int = 64
    measure_every: int = 0


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
class DistillTable:
    """``[distill]``: who teaches, and what is learnt from them.

    Attributes:
        teacher_weights: a checkpoint, a file of weights, an ONNX file, or the name of published weights; or several, of
            which the mean is taken. Empty for the dense network of a compression.
        teacher_cfg: a cfg file or a name of the zoo, one for each of the weights; empty where these bring it.
        method: which terms there are.
        weights: of terms by name, in place of the method's; other terms are added, 0 leaves one out.
        scale: means that depend on neither batch nor size, or the ``originals``' sums.
        temperature: of what is softened; 0 for that of each term.
    """

    teacher_weights: str | tuple[str, ...] = ""
    teacher_cfg: str | tuple[str, ...] = ""
    method: Method = "auto"
    weights: Mapping[str, float] = field(default_factory=dict)
    scale: Scale = "mean"
    temperature: float = 0.0

    @property
    def teachers(self) -> tuple[tuple[str, str], ...]:
        """Weights and cfg of each teacher."""
        weights, cfgs = texts(self.teacher_weights), texts(self.teacher_cfg)
        return tuple(zip(weights, cfgs or ("",) * len(weights), strict=True))


def texts(value: str | tuple[str, ...]) -> tuple[str, ...]:
    """Gives one text, or none where it is empty, or several, as several."""
    return ((value,) if value else ()) if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class QuantizeTable:
    """``[quantize]``: the network on integers.

    Attributes:
        target: what it is to run on, ``for`` in a recipe; decides where values are rounded.
        mode: ``ptq``: the weights stay, ranges are measured on training pictures; ``qat``: it is trained with its
            rounding, from there.
        scheme: ``google``: ranges are measured, and follow what training gives; ``lsq``: scales are learned;
            ``dorefa``: weights are squeezed, maps end at 0 and 10. The last two are for ``qat``.
        weight_bits: of a weight; the target's when 0.
        activation_bits: of a value between layers; the target's when 0, which sums before an activation always have.
        size_share: bytes of the weights, as a share of those in float; layers go to 4 bits until they fit. 0 for any.
        per_channel: whether the weights of each output channel have a scale of their own, not those of a layer one.
        symmetric: whether codes of values between layers lie around 0, not where their range does.
        power_of_two: whether scales are powers of two.
        rounding: of values halfway between two codes; the target's when empty.
        ends_at_8: whether the first layer, and the last before each head, have the bits of the target.
        fold_bn: whether training folds batch-norm into the weights that it rounds. Without training it always is.
        observer: from values to ranges.
        pictures: how many training pictures ranges are measured on.
        equalize: whether channels are brought to like ranges first.
        correct_bias: whether biases take back what rounding adds on average.
        adaround: steps in which each layer learns which way to round its weights; 0 rounds to the nearest.
        keep_float: patterns of convolutions that are not rounded, or ``auto``: as few as lose no more than
            ``map_drop``.
        map_drop: AP50 that may be lost, for ``auto``.
        epochs: of the training of ``qat``.
        learning_rate: of that training.
    """

    target: str = "onnxruntime"
    mode: Literal["ptq", "qat"] = "ptq"
    scheme: Literal["google", "dorefa", "lsq"] = "google"
    weight_bits: int = 0
    activation_bits: int = 0
    size_share: float = 0.0
    per_channel: bool = True
    symmetric: bool = False
    power_of_two: bool = False
    rounding: Literal["", "half_even", "half_away"] = ""
    ends_at_8: bool = False
    fold_bn: bool = True
    observer: Observer = "auto"
    pictures: int = 128
    equalize: bool = True
    correct_bias: bool = False
    adaround: int = 0
    keep_float: tuple[str, ...] | Literal["auto"] = ()
    map_drop: float = 0.005
    epochs: int = 10
    learning_rate: float = 0.001


@dataclass(frozen=True, slots=True)
class ExportTable:
    """``[export]``: which files are made of the final network."""

    formats: tuple[Format, ...] = ("onnx",)


@dataclass(frozen=True, slots=True)
class MeasureTable:
    """``[measure]``: what the exported files are run with.

    Attributes:
        backends: each runs every file that it can; empty for the default of each file.
    """

    backends: tuple[BackendName, ...] = ()


@dataclass(frozen=True, slots=True)
class TrainRecipe:
    """One training.

    Attributes:
        name: of the run.
        seed: of every random choice.
        device: torch device, or ``auto``.
        sparsity: what makes channels removable meanwhile; its ``epochs`` are those of ``train``. None trains dense.
        quantize: the rounding that it is trained with, for as long and as fast as ``train`` says. None trains in float.
        prune: the pruning that a sparse training prepares; ``fade`` needs its percent or target.
        distill: what it learns from teachers; None for nothing.
    """

    name: str
    model: ModelTable
    data: DataTable
    train: TrainSettings
    seed: int = 0
    device: str = "auto"
    sparsity: SparsityTable | None = None
    quantize: QuantizeTable | None = None
    prune: PruneTable = field(default_factory=PruneTable)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    loss: LossTable = field(default_factory=dict)
    distill: DistillTable | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """The range of a setting that is searched: numbers from ``low`` to ``high``, or one of ``choices``.

    Attributes:
        log: whether tenfold steps count the same.
        step: distance of the numbers; 0 for any. Whole numbers stay whole.

    Raises:
        RecipeError: it is no range.
    """

    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    step: int | float = 0
    choices: tuple[str | float | int | bool, ...] = ()

    def __post_init__(self) -> None:
        has_ends = self.low is not None and self.high is not None
        if bool(self.choices) == has_ends or (self.low is None) != (self.high is None):
            raise RecipeError("a range needs low and high, or choices")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise RecipeError(f"a range needs low < high, found {self.low} and {self.high}")
        if self.log and (self.low or 0) <= 0:
            raise RecipeError(f"log needs low above 0, found {self.low}")

    @property
    def ends(self) -> tuple[Any, Any]:
        """Its first and last value."""
        return (self.choices[0], self.choices[-1]) if self.choices else (self.low, self.high)

    def suggested(self, trial: Trial, name: str) -> Any:
        """Gives the value that a trial of Optuna takes."""
        if self.choices:
            return trial.suggest_categorical(name, self.choices)
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, step=int(self.step) or 1, log=self.log)
        return trial.suggest_float(name, self.low, self.high, step=self.step or None, log=self.log)


class Trial(Protocol):
    """What is used of Optuna's trials."""

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """Gives one of the choices."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        """Gives a whole number."""

    def suggest_float(self, name: str, low: Any, high: Any, *, step: float | None, log: bool) -> float:
        """Gives a number."""


@dataclass(frozen=True, slots=True)
class TuneTable:
    """``[tune]``: a search for good settings.

    Attributes:
        trials: how many trainings, those that are stopped early counted.
        metric: column of the results that is made large.
        storage: where trials are kept: a file, also on a disk that machines share, or an address such as
            ``postgresql://...``; empty for a file in the search's folder.
        startup: trials before any is stopped early for falling behind the median.
        space: ranges by ``section.key``; empty for rates, loss weights and augmentation.
    """

    trials: int = 30
    metric: str = "map50"
    storage: str = ""
    startup: int = 5
    space: Mapping[str, Span] = field(default_factory=dict)


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
        distill: what ``finetune``, and training with rounding, learn from teachers; None for nothing.
        quantize: how the network comes to integers, before it is exported; None leaves it in float.
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
    distill: DistillTable | None = None
    quantize: QuantizeTable | None = None
    export: ExportTable = field(default_factory=ExportTable)
    measure: MeasureTable = field(default_factory=MeasureTable)
