"""``train.py``: its flags as the keys of a recipe, and these as arguments of ``yoloslim train`` or ``tune``."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from yoloslim.compat.flags import FlagParser, Value, add_model, add_quantized, add_running, options
from yoloslim.compat.names import CHECKPOINT, WEIGHTS_FOLDER, find_device, settled_training
from yoloslim.compat.script import Report, Script, Translation, place
from yoloslim.errors import RecipeError

EPOCHS = 300
"""Of a training that names none."""

SPARSITY = 0.001
"""Of a sparse training that names none."""

PENALTIES = ("normal", "shortcut", "layer")
"""By the number of ``--prune``."""

SCHEMES = {1: "google", 2: "dorefa", 3: "google"}
"""By the number of ``--quantized``."""

STRIDE = 32
"""Sizes are rounded to multiples of it."""

MULTI_SCALE = 0.5
"""Spread of ``--multi-scale``; theirs went from 67 to 150 % of the size."""

EVOLVE = Path("runs") / "compat"
"""Where the recipe of a search is written."""

_OPTIONS = {
    "model.cfg": "--cfg",
    "model.weights": "--weights",
    "data.data": "--data",
    "data.size": "--size",
    "train.epochs": "--epochs",
    "train.batch": "--batch",
    "sparsity.strength": "--sparsity",
    "sparsity.penalty": "--penalty",
    "distill.teacher_cfg": "--teacher-cfg",
    "distill.teacher_weights": "--teacher-weights",
    "distill.method": "--distill",
    "quantize.scheme": "--quantize",
    "quantize.for": "--for",
    "quantize.weight_bits": "--weight-bits",
    "quantize.activation_bits": "--activation-bits",
    "quantize.fold_bn": "--fold-bn",
    "quantize.power_of_two": "--power-of-two",
    "device": "--device",
}
"""The option that sets a key of the recipe; others are set by ``--set``."""

Settings = dict[str, str | int | float | bool]
"""Keys of a recipe as ``section.key``, and their values."""


def _flags() -> FlagParser:
    flags = FlagParser("train.py", "Trains a network.")
    add_model(flags)
    add_running(flags)
    add_quantized(flags)
    flags.add_argument("-pt", "--pretrain", action="store_true", help="the weights are of other classes; found anyway")
    flags.add_argument("--img-size", "--img_size", type=int, nargs="+", metavar="N", help="smallest, largest, tested")
    flags.add_argument("--batch-size", "--batch_size", type=int, metavar="N", help="pictures in a batch")
    flags.add_argument("--epochs", type=int, default=EPOCHS, metavar="N", help=f"default: {EPOCHS}")
    flags.add_argument("-sr", "--sr", action="store_true", help="sparse training")
    flags.add_argument("--s", type=float, metavar="S", help=f"sparsity factor; default: {SPARSITY:g}")
    flags.add_argument("--prune", type=int, choices=(-1, 0, 1, 2), default=-1, help="kind of sparsity")
    flags.add_argument("--BN_Flod", "--BN_Fold", dest="fold", action="store_true", help="fold batch-norm")
    flags.add_argument("--FPGA", action="store_true", help="scales are powers of two")
    flags.add_argument("--t_cfg", default="", metavar="FILE", help="cfg of a teacher")
    flags.add_argument("--t_weights", default="", metavar="FILE", help="weights of a teacher")
    flags.add_argument("--KDstr", type=int, choices=(-1, 1, 2, 3, 4, 5), default=-1, help="what is learnt from it")
    flags.add_argument("-mpt", "--mixedprecision", action="store_true", help="mixed precision")
    flags.add_argument("--name", default="", help="of the run")
    flags.add_argument("--bucket", default="", help="no effect")
    flags.add_argument("--local_rank", "--local-rank", "--rank", type=int, help="no effect: torchrun tells it")
    for flag in ("multi-scale", "rect", "resume", "nosave", "notest", "evolve", "adam", "ema"):
        flags.add_argument(f"--{flag}", action="store_true")
    return flags


def translate(given: Namespace) -> Translation:
    """Gives what the flags of ``train.py`` mean; they are settled.

    Raises:
        RecipeError: they do not go together.
    """
    if given.resume:
        note = f"--resume goes on with {given.run} as it was begun: the other flags are not read"
        return Translation((("train", "--resume", given.run),), (note,))
    settings, notes = settings_of(given), tuple(_notes(given))
    if given.evolve:
        note = f"--evolve is a search by Optuna, 30 trainings unless [tune] in {recipe_path(given)} says otherwise"
        return Translation((("tune", str(recipe_path(given))),), (*notes, note))
    named: dict[str, Value] = {option: settings[key] for key, option in _OPTIONS.items() if key in settings}
    others = [f"{key}={value}" for key, value in settings.items() if key not in _OPTIONS]
    return Translation((("train", *options({**named, "--set": others, "--out": given.out})),), notes)


def settings_of(given: Namespace) -> Settings:
    """Gives the keys of a recipe that the flags set.

    Raises:
        RecipeError: sizes are no sizes, or a strategy has no teacher.
    """
    settings: dict[str, str | int | float | bool | None] = {
        "model.cfg": given.cfg,
        "model.weights": given.weights,
        "data.data": given.data,
        "train.epochs": given.epochs,
        "train.batch": given.batch_size,
        "train.precision": given.precision,
        "device": find_device(given.device).value,
        **_sizes(given),
        **_sparsity(given),
        **_teacher(given),
        **_quantization(given),
    }
    if given.rect:
        settings["data.loader.shape"] = "rect"
    if given.notest:
        settings["train.eval_every"] = given.epochs
    if given.adam:
        settings["train.optimizer"] = "adam"
    return {key: value for key, value in settings.items() if value is not None and value is not False and value != ""}


def recipe_path(given: Namespace) -> Path:
    """Gives the file that the recipe of ``--evolve`` is written to."""
    return EVOLVE / f"{_name(given)}.toml"


def prepare(given: Namespace) -> tuple[Namespace, tuple[str, ...]]:
    """Gives settled flags and notes; the recipe of ``--evolve`` is written."""
    import tomlkit

    from yoloslim.files import write_atomically
    from yoloslim.recipes.read import changed

    found, notes = settled_training(given)
    if found.evolve and not found.resume:
        tables = changed({}, [f"{key}={_toml(value)}" for key, value in settings_of(found).items()])
        with write_atomically(recipe_path(found)) as temporary:
            temporary.write_text(tomlkit.dumps(tables), encoding="utf-8")
    return found, notes


def finish(given: Namespace, reports: Sequence[Report]) -> Iterable[str]:
    """Puts ``last`` and ``best`` into ``weights``, as theirs lie, and gives lines that say so."""
    for run in (report["run"] for report in reports if "run" in report):
        for name in ("last", "best"):
            source = Path(run) / f"{name}{CHECKPOINT}"
            if source.is_file():
                suffix = f"_{given.name}" if given.name else ""
                yield place(source, WEIGHTS_FOLDER / f"{name}{suffix}{CHECKPOINT}")


def _name(given: Namespace) -> str:
    return given.name or f"{Path(given.cfg or given.weights).stem}-{Path(given.data).stem}"


def _toml(value: str | int | float | bool) -> str:
    import tomlkit

    return tomlkit.item(value).as_string()


def _sizes(given: Namespace) -> Settings:
    """The network's size, and how far those of batches are from it."""
    sizes = given.img_size or []
    if len(sizes) > 3 or any(size < STRIDE for size in sizes):
        raise RecipeError(f"--img-size: expected one to three numbers from {STRIDE} on, found {_joined(sizes)}")
    spread: Settings = {"data.loader.multi_scale": MULTI_SCALE} if given.multi_scale else {}
    if not sizes:
        return spread
    least, most = sizes[0], sizes[min(1, len(sizes) - 1)]
    if least > most:
        raise RecipeError(f"--img-size {_joined(sizes)}: expected the smaller size first")
    if least == most:
        return {"data.size": most, **spread}
    middle = round((least + most) / 2 / STRIDE) * STRIDE
    return {"data.size": middle, "data.loader.multi_scale": round((most - least) / (most + least), 3)}


def _sparsity(given: Namespace) -> Settings:
    if not _is_sparse(given):
        return {}
    strength = SPARSITY if given.s is None else given.s
    return {"sparsity.strength": strength, "sparsity.penalty": PENALTIES[max(given.prune, 0)]}


def _is_sparse(given: Namespace) -> bool:
    return given.s != 0 and (given.sr or given.s is not None or given.prune >= 0)


def _teacher(given: Namespace) -> Settings:
    if not given.t_weights:
        if given.t_cfg or given.KDstr > 0:
            raise RecipeError("--t_cfg and --KDstr need a teacher: add --t_weights FILE")
        return {}
    method = f"kd{max(given.KDstr, 1)}"
    return {
        "distill.teacher_cfg": given.t_cfg,
        "distill.teacher_weights": given.t_weights,
        "distill.method": method,
    }


def _quantization(given: Namespace) -> Settings:
    number = given.quantized if given.quantized > 0 else int(given.fold or given.FPGA)
    if not number:
        return {}
    return {
        "quantize.scheme": SCHEMES[number],
        "quantize.weight_bits": given.w_bit,
        "quantize.activation_bits": given.a_bit,
        "quantize.fold_bn": given.fold,
        "quantize.power_of_two": given.FPGA,
        **({"quantize.for": "fpga"} if given.FPGA else {}),
    }


def _notes(given: Namespace) -> Iterator[str]:
    """What the user should know, a sentence each."""
    yield from (note for condition, note in _conditions(given) if condition)


def _conditions(given: Namespace) -> Iterable[tuple[object, str]]:
    sizes = given.img_size or []
    yield given.pretrain and not given.weights, "-pt without --weights: training starts from random weights"
    yield (
        len(set(sizes)) > 1,
        f"--img-size {_joined(sizes)}: trained at sizes from the first to the second, measured at their middle",
    )
    yield (
        _is_sparse(given) and not given.sr,
        "--s and --prune without -sr: sparse training, as the second document has it (the old code trained dense)",
    )
    yield given.sr and given.prune < 0, "-sr without --prune: the sparsity of normal pruning, --prune 0"
    yield given.quantized == 3, "--quantized 3: google, as the documents' example has it; its number in their text is 1"
    yield (
        given.quantized < 1 and (given.fold or given.FPGA),
        "--BN_Flod and --FPGA are kinds of quantized training: --quantized 1 is meant",
    )
    yield (
        given.t_weights and given.KDstr < 1,
        "--t_weights without --KDstr: --KDstr 1, as the documents' example means (the old code did not distil)",
    )
    yield "," in given.device, find_device(given.device).note
    yield given.nosave, "--nosave has no effect: the state is saved, so that a run that is stopped can go on"
    yield given.shortcut_way is not None, "--shortcut_way has no effect: what a shortcut adds has one scale"
    yield given.bucket, "--bucket has no effect: nothing is uploaded"


def _joined(numbers: Sequence[int]) -> str:
    return " ".join(map(str, numbers))


train = Script(_flags(), prepare, translate, finish)
