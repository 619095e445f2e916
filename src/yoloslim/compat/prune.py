"""The scripts that prune: each is a method of ``yoloslim prune``, with the rules that theirs had."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from yoloslim.compat.flags import FlagParser, Value, add_measuring, add_model, options
from yoloslim.compat.names import settled_model
from yoloslim.compat.script import Report, Script, Translation, place

PERCENT, SHORTCUTS, LAYER_KEEP, CANDIDATES = 0.8, 8, 0.01, 20
"""What their scripts take where a flag is not given."""

_FROZEN = ("upsample", "spp", "grouped_route", "depthwise")
_UNTIED = ("shortcut", *_FROZEN)


@dataclass(frozen=True, slots=True)
class Kind:
    """What one script does.

    Attributes:
        file: how its results are named.
        method: of ``yoloslim prune``.
        freeze: names of freeze rules.
        round_to: layers keep a multiple of this many channels.
        channels: whether it removes channels, ``--percent`` of them.
        blocks: whether it drops residual blocks, ``--shortcut`` of them.
        keeps: whether each layer keeps a share of its channels, ``--layer_keep``; else a percent that would empty a
            layer is refused.
        searches: whether it compares plans on pictures.
    """

    file: str
    method: str
    freeze: tuple[str, ...] = ()
    round_to: int = 1
    channels: bool = True
    blocks: bool = False
    keeps: bool = False
    searches: bool = False


KINDS = {
    kind.file: kind
    for kind in (
        Kind("normal_prune", "normal", _UNTIED),
        Kind("regular_prune", "regular", _UNTIED, round_to=8),
        Kind("shortcut_prune", "shortcut", _FROZEN),
        Kind("slim_prune", "slim", _FROZEN, keeps=True),
        Kind("layer_prune", "layer", channels=False, blocks=True),
        Kind("layer_channel_prune", "layer_channel", _FROZEN, blocks=True, keeps=True),
        Kind("layer_channel_regular_prune", "layer_channel", _FROZEN, round_to=8, blocks=True, keeps=True),
        Kind("EagleEye_normal_prune", "eagleeye", _UNTIED, searches=True, keeps=True),
        Kind("EagleEye_regular_prune", "eagleeye", _UNTIED, round_to=8, searches=True, keeps=True),
        Kind("EagleEye_slim_prune", "eagleeye", _FROZEN, searches=True, keeps=True),
    )
}
"""By the name of the script."""


def _flags(kind: Kind) -> FlagParser:
    flags = FlagParser(f"{kind.file}.py", "Removes channels or residual blocks of a network.")
    add_model(flags)
    add_measuring(flags)
    flags.add_argument("--percent", type=float, metavar="P", help=f"share of channels; default: {PERCENT}")
    flags.add_argument("--shortcut", "--shortcuts", type=int, metavar="N", help=f"blocks; default: {SHORTCUTS}")
    flags.add_argument("--layer_keep", type=float, metavar="P", help=f"share that stays; default: {LAYER_KEEP}")
    if kind.searches:
        flags.add_argument("--delta", type=float, metavar="D", help="no effect: the percent is met")
        flags.add_argument("--number", type=int, metavar="N", help=f"plans compared; default: {CANDIDATES}")
    return flags


def translate(kind: Kind, given: Namespace) -> Translation:
    """Gives what the flags of a script mean; they are settled."""
    values: dict[str, Value] = {
        "--cfg": given.cfg,
        "--weights": given.weights,
        "--data": given.data,
        "--method": kind.method,
        **_what_goes(kind, given),
        "--size": given.img_size,
        "--batch": given.batch_size,
    }
    if kind.searches:
        values["--candidates"] = given.number or CANDIDATES
    return Translation((("prune", *options(values)),), tuple(_notes(kind, given)))


def _what_goes(kind: Kind, given: Namespace) -> dict[str, Value]:
    goes: dict[str, Value] = {"--blocks": _blocks(given)} if kind.blocks else {}
    if not kind.channels:
        return goes
    over = {} if kind.searches else {"--over": "writers"}
    return {
        **goes,
        "--percent": _percent(given),
        **over,
        "--freeze": kind.freeze,
        "--round": kind.round_to if kind.round_to > 1 else None,
        "--min-keep": _share_kept(given) if kind.keeps else 0.0,
        "--strict": not kind.keeps,
    }


def finish(kind: Kind, given: Namespace, reports: Sequence[Report]) -> Iterable[str]:
    """Puts cfg and weights where theirs lie, and gives lines that say so."""
    (report,) = reports
    cfg, weights = results(kind, given)
    yield place(report["cfg"], cfg)
    yield place(report["weights"], weights)


def results(kind: Kind, given: Namespace) -> tuple[Path, Path]:
    """Gives the paths of their cfg and weights: ``cfg/DIR/normal_prune_P_NAME.cfg``, DIR being the cfg's folder."""
    source = Path(given.asked_cfg or given.weights)
    folder = source.parent.name if source.parent.name not in ("", "cfg", "weights") else source.stem
    percent, blocks = str(_percent(given)), str(_blocks(given))
    numbers = [percent] * kind.channels + [blocks] * kind.blocks
    units = [f"{percent}_percent"] * kind.channels + [f"{blocks}_shortcuts"] * kind.blocks
    return (
        Path("cfg") / folder / f"{'_'.join([kind.file, *numbers])}_{source.stem}.cfg",
        Path("weights") / folder / f"{'_'.join([kind.file, *units])}.weights",
    )


def prepare(given: Namespace) -> tuple[Namespace, tuple[str, ...]]:
    """Gives settled flags and notes; the cfg as it was asked for names the results."""
    found, notes = settled_model(given)
    return Namespace(**vars(found), asked_cfg=given.cfg), notes


def _percent(given: Namespace) -> float:
    return PERCENT if given.percent is None else float(given.percent)


def _blocks(given: Namespace) -> int:
    return SHORTCUTS if given.shortcut is None else int(given.shortcut)


def _share_kept(given: Namespace) -> float:
    return LAYER_KEEP if given.layer_keep is None else float(given.layer_keep)


def _notes(kind: Kind, given: Namespace) -> Iterator[str]:
    if kind.round_to > 1:
        text = "which is one of 2, as the documents have it (the old code had 8 or 32)"
        yield f"layers keep a multiple of {kind.round_to} channels, {text}"
    without_effect = {
        "--percent": given.percent is not None and not kind.channels,
        "--shortcut": given.shortcut is not None and not kind.blocks,
        "--layer_keep": given.layer_keep is not None and not kind.keeps,
        "--delta": getattr(given, "delta", None) is not None,
    }
    yield from (f"{flag} has no effect on {kind.method} pruning" for flag, holds in without_effect.items() if holds)


def _script(kind: Kind) -> Script:
    return Script(_flags(kind), prepare, partial(translate, kind), partial(finish, kind))


SCRIPTS = {name: _script(kind) for name, kind in KINDS.items()}
"""By name."""
