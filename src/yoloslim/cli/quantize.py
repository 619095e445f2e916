"""``yoloslim quantize``: a network on integers, without training."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from yoloslim.cli.options import (
    Batch,
    Cfg,
    DataFile,
    OutFolder,
    ResizeOption,
    SingleClass,
    Size,
    SplitOption,
    TargetName,
    Trust,
    Weights,
    check_count,
    check_share,
)
from yoloslim.cli.session import Result, Session

if TYPE_CHECKING:
    from yoloslim.data.dataset import Dataset
    from yoloslim.recipes.quantize import Quantized
    from yoloslim.runtime.load import Model

Target = Annotated[TargetName, typer.Option("--for", help="What it is to run on.")]
Bits = Annotated[int, typer.Option(metavar="N", min=0, help="Bits of a weight, 2 to 8; default: the target's.")]
ActivationBits = Annotated[
    int, typer.Option("--activation-bits", metavar="N", min=0, help="Bits of a value between layers, 2 to 8.")
]
PowerOfTwo = Annotated[bool, typer.Option("--power-of-two", help="Scales that are powers of two.")]
Rounding = Annotated[
    Literal["half_even", "half_away"] | None, typer.Option(help="Of halves; default: the target's way.")
]
EndsAt8 = Annotated[bool, typer.Option("--ends-at-8", help="First and last layers have 8 bits.")]


def quantize(
    session: Session,
    weights: Weights,
    data: DataFile,
    cfg: Cfg = "",
    trust: Trust = False,
    target: Target = "onnxruntime",
    scheme: Annotated[
        Literal["google", "dorefa", "lsq"], typer.Option(help="What rounds; dorefa and lsq are for train --quantize.")
    ] = "google",
    weight_bits: Bits = 0,
    activation_bits: ActivationBits = 0,
    size_share: Annotated[
        float,
        typer.Option(
            metavar="SHARE", callback=check_share, help="Bytes of the float weights that may remain; uses 4 bits."
        ),
    ] = 0.0,
    per_channel: Annotated[bool, typer.Option(help="A scale for the weights of each output channel.")] = True,
    symmetric: Annotated[bool, typer.Option("--symmetric", help="Codes between layers lie around 0.")] = False,
    power_of_two: PowerOfTwo = False,
    rounding: Rounding = None,
    ends_at_8: EndsAt8 = False,
    observer: Annotated[
        Literal["auto", "min-max", "moving-average", "percentile", "entropy", "mse"],
        typer.Option(help="From values to ranges."),
    ] = "auto",
    pictures: Annotated[
        int, typer.Option(metavar="N", callback=check_count, help="Training pictures that ranges are measured on.")
    ] = 128,
    equalize: Annotated[bool, typer.Option(help="Bring channels to like ranges first.")] = True,
    correct_bias: Annotated[
        bool, typer.Option("--correct-bias", help="Take back in biases what rounding adds on average.")
    ] = False,
    adaround: Annotated[
        int, typer.Option(metavar="STEPS", min=0, help="Steps in which each layer learns how to round its weights.")
    ] = 0,
    keep_float: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Convolutions that stay in float, or auto; repeatable."),
    ] = None,
    map_drop: Annotated[
        float, typer.Option(metavar="AP50", callback=check_share, help="AP50 that may be lost, for auto.")
    ] = 0.005,
    split: SplitOption = "val",
    size: Size = "",
    resize: ResizeOption = None,
    batch: Batch = 8,
    single_class: SingleClass = False,
    out: OutFolder = None,
) -> Result:
    """Put a network on integers, without training.

    Ranges are measured on the training pictures of --data, accuracy on those of --split.
    """
    from yoloslim.cli.detector import fitted, load_model
    from yoloslim.cli.eval import open_dataset
    from yoloslim.cli.outputs import output_folder
    from yoloslim.recipes.evidence import Pictures, accuracy_on, training_pictures
    from yoloslim.recipes.quantize import placement_of
    from yoloslim.recipes.quantize import quantize as quantize_network
    from yoloslim.recipes.schema import QuantizeTable
    from yoloslim.report.quantization_plots import write_quantization_plots
    from yoloslim.runtime.load import require_float, with_network
    from yoloslim.runtime.save import checkpoint_of
    from yoloslim.weights.checkpoint import save_checkpoint

    table = QuantizeTable(
        target=target,
        scheme=scheme,
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        size_share=size_share,
        per_channel=per_channel,
        symmetric=symmetric,
        power_of_two=power_of_two,
        rounding=rounding or "",
        ends_at_8=ends_at_8,
        observer=observer,
        pictures=pictures,
        equalize=equalize,
        correct_bias=correct_bias,
        adaround=adaround,
        keep_float="auto" if keep_float == ["auto"] else tuple(keep_float or ()),
        map_drop=map_drop,
    )
    folder = output_folder(out, "quantize", f"{weights.stem}-quantized")
    model = load_model(session, weights, cfg, trust=trust)
    require_float(model, "quantize")
    model = fitted(model, size, resize)
    placement_of(table, model.graph)
    training, tested = (open_dataset(session, data, part, single_class=single_class) for part in ("train", split))
    if not model.names and len(tested.names) == model.graph.classes:
        model = replace(model, names=tested.names)
    before = _accuracy(session, model, tested, batch, "before")
    batches = training_pictures(model, training, pictures, batch)
    judge = accuracy_on(model, tested, Pictures(training, tested, pictures, session.device, (), batch))
    found = quantize_network(model.network, table, batches, judge)
    made = with_network(model, found.network)
    after = _accuracy(session, made, tested, batch, "after")
    checkpoint = folder / f"{weights.stem}-quantized.safetensors"
    save_checkpoint(checkpoint, checkpoint_of(made))
    plots = write_quantization_plots(folder, found.layers)
    result = {
        "target": target,
        "map50": {"before": before, "after": after},
        "layers": _layers(found),
        "kept_float": list(found.kept),
        "checkpoint": str(checkpoint),
        "plots": [str(plot) for plot in plots],
    }
    _show(session, result)
    return result


def _accuracy(session: Session, model: Model, dataset: Dataset, batch: int, when: str) -> float:
    from yoloslim.boxes.detect import DetectSettings
    from yoloslim.cli.detector import detector_of
    from yoloslim.cli.progress import progress_bar
    from yoloslim.recipes.evaluate import evaluate_on

    detector = detector_of(session, model, DetectSettings(conf=0.001, single_class=dataset.single_class))
    with progress_bar(session, f"evaluating {when}", len(dataset)) as progress:
        return evaluate_on(detector, dataset, batch=batch, progress=progress)[0].map50


def _layers(found: Quantized) -> list[dict[str, Any]]:
    """A row for each convolution on integers; an error of nothing has no decibels."""
    rows = []
    for layer in found.layers:
        decibels = layer.sqnr_db if math.isfinite(layer.sqnr_db) else None
        bits = found.network.plan.kernels[layer.name].bits
        row = {"name": layer.name, "sqnr_db": decibels, "bits": bits, "bytes": layer.bytes}
        alone = {"map50_in_float": found.sensitivity[layer.name]} if layer.name in found.sensitivity else {}
        rows.append({**row, **alone})
    return rows


def _show(session: Session, result: Result) -> None:
    from yoloslim.cli.reports import share
    from yoloslim.cli.tables import table

    worst = sorted((row for row in result["layers"] if row["sqnr_db"] is not None), key=lambda row: row["sqnr_db"])[:5]
    rows = [(row["name"], f"{row['sqnr_db']:.1f}", str(row["bits"])) for row in worst]
    session.print(table(("layers with the largest error", "SQNR, dB", "bits"), rows))
    session.print(f"integers    {len(result['layers'])} convolutions, {len(result['kept_float'])} kept in float")
    session.print(f"AP50        {share(result['map50']['before'])} -> {share(result['map50']['after'])}")
    session.print(f"checkpoint  {result['checkpoint']}\nplots       {', '.join(result['plots'])}")
