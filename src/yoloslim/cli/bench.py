"""``yoloslim bench``: how long networks take on this machine, beside each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from yoloslim.cli.options import Backend, Batch, Conf, Size, Trust, check_count
from yoloslim.cli.session import Result, Session

if TYPE_CHECKING:
    from yoloslim.boxes.detect import DetectSettings
    from yoloslim.data.pictures import Picture
    from yoloslim.recipes.bench import Contestant, Latency

_BACKENDS = ("torch", "onnxruntime", "openvino", "integer")
_VERSIONS = ("yoloslim", "numpy", "opencv-python-headless")


def bench(
    session: Session,
    artefacts: Annotated[
        list[str],
        typer.Argument(
            metavar="ARTEFACT...", help="Files of networks; .weights with their .cfg beside them; or cfg or zoo names."
        ),
    ],
    backend: Annotated[
        list[str] | None,
        typer.Option(
            "--backend",
            metavar="NAME",
            help="torch, onnxruntime, openvino or integer; repeatable. Default: all that can.",
        ),
    ] = None,
    threads: Annotated[
        int, typer.Option(metavar="N", min=0, help="Threads of each backend; 0: as many as it likes.")
    ] = 0,
    size: Size = "",
    batch: Batch = 1,
    rounds: Annotated[int, typer.Option(metavar="N", callback=check_count, help="Rounds that are counted.")] = 30,
    source: Annotated[str, typer.Option(metavar="PATH", help="A picture to detect in; default: noise.")] = "",
    conf: Conf = 0.25,
    trust: Trust = False,
) -> Result:
    """Measure the latency of networks, in turn, part by part."""
    from yoloslim.boxes.detect import DetectSettings
    from yoloslim.cli.progress import progress_bar
    from yoloslim.cli.reports import tell_notes
    from yoloslim.errors import RecipeError
    from yoloslim.recipes.bench import measure_in_turn, slow_integers
    from yoloslim.recipes.machine import cores, instruction_sets, load, processor, versions

    picture, busy = _picture(session, source), load()
    wanted = tuple(dict.fromkeys(backend or ()))
    if unknown := [name for name in wanted if name not in _BACKENDS]:
        raise RecipeError(f"--backend {unknown[0]}: expected one of {', '.join(_BACKENDS)}")
    settings = DetectSettings(conf=conf)
    found = [c for name in artefacts for c in _contestants(session, name, wanted, threads, size, settings, trust=trust)]
    with progress_bar(session, "measuring", rounds) as progress:
        latencies = measure_in_turn(found, [picture] * batch, rounds, progress)
    _show(session, found, latencies)
    sets = instruction_sets()
    machine = {"processor": processor(), "cores": cores(), "instructions": sets, "load": busy}
    known = versions([*_VERSIONS, *dict.fromkeys(c.backend for c in found)])
    session.print(f"{machine['processor']}, {machine['cores']} cores, {', '.join(sets)}")
    session.print(f"{threads or 'default'} threads, batch {batch}, {rounds} rounds; {_text(known)}")
    warnings = [*_busy(busy, cores()), *slow_integers(found, latencies)]
    tell_notes(warnings)
    rows = [_row(c, t, latencies[0]) for c, t in zip(found, latencies, strict=True)]
    about = {"batch": batch, "rounds": rounds, "threads": threads, "machine": machine, "versions": known}
    return {"rows": rows, **about, "warnings": warnings}


def _contestants(
    session: Session,
    name: str,
    wanted: Sequence[str],
    threads: int,
    size: str,
    settings: DetectSettings,
    *,
    trust: bool,
) -> Iterator[Contestant]:
    """One for each wanted backend that can run the artefact; for each installed one where none is wanted."""
    from yoloslim.errors import RecipeError
    from yoloslim.runtime.artefact import RUN_BY, is_artefact

    path = Path(name)
    able: tuple[str, ...] = RUN_BY[path.suffix.lower()] if is_artefact(path) else ("torch",)
    chosen = [each for each in able if each in wanted] if wanted else _installed(able)
    if not chosen:
        raise RecipeError(f"{name}: is run by {' or '.join(able)}, not by --backend {', '.join(wanted)}: add one")
    for each in chosen:
        if each == "torch":
            yield _network(session, name, threads, size, settings, trust=trust)
        else:
            yield _exported(session, path, cast(Backend, each), threads, size, settings)


def _installed(able: Sequence[str]) -> list[str]:
    """Gives those that are installed; the first where none is, whose absence is told when it is opened."""
    from yoloslim.recipes.machine import versions

    found = versions(able)
    return [name for name in able if name in found] or [able[0]]


def _exported(
    session: Session, path: Path, backend: Backend, threads: int, size: str, settings: DetectSettings
) -> Contestant:
    from yoloslim.cli.detector import usable_artefact
    from yoloslim.recipes.bench import Contestant
    from yoloslim.runtime.artefact import is_quantized

    opened = usable_artefact(session, path, size, backend, threads)
    graph = opened.description.graph
    return Contestant(str(path), backend, opened.detector(settings), graph, is_quantized(path))


def _network(
    session: Session, name: str, threads: int, size: str, settings: DetectSettings, *, trust: bool
) -> Contestant:
    import torch

    from yoloslim.cli.detector import detector_of, fitted, named_model
    from yoloslim.recipes.bench import Contestant
    from yoloslim.weights.checkpoint import is_quantized_checkpoint

    if threads:
        torch.set_num_threads(threads)
    model = fitted(named_model(session, name, trust=trust), size)
    return Contestant(
        name, "torch", detector_of(session, model, settings), model.graph, is_quantized_checkpoint(Path(name))
    )


def _busy(load: float, cores: int) -> list[str]:
    """Gives a warning where other programs wanted more than half of the cores before it began."""
    if load <= cores / 2:
        return []
    return [f"the machine was busy (load {load:.1f} on {cores} cores): keep the ratios, not the times"]


def _picture(session: Session, source: str) -> Picture:
    from yoloslim.data.pictures import read_picture
    from yoloslim.data.sources import find_sources
    from yoloslim.errors import DataError
    from yoloslim.recipes.bench import noise_picture

    if not source:
        return noise_picture(session.seed)
    pictures = find_sources(source).pictures
    if not pictures:
        raise DataError(f"--source {source}: expected a picture, found videos alone")
    return read_picture(pictures[0])


def _row(contestant: Contestant, took: Latency, first: Latency) -> Result:
    about = {"artefact": contestant.artefact, "backend": contestant.backend}
    more = {"ratio": took.p50_ms / first.p50_ms, "quantized": contestant.quantized, "size": contestant.detector.size}
    return {**about, **asdict(took), **more}


def _show(session: Session, contestants: Sequence[Contestant], latencies: Sequence[Latency]) -> None:
    from yoloslim.cli.tables import table

    headings = ("artefact", "backend", "size", "p50 ms", "p95 ms", "pre", "infer", "post", "ratio")
    rows = [
        (
            f"{c.artefact} (quantized)" if c.quantized else c.artefact,
            c.backend,
            "x".join(map(str, c.detector.size)),
            *(f"{value:.1f}" for value in asdict(took).values()),
            f"{took.p50_ms / latencies[0].p50_ms:.2f}",
        )
        for c, took in zip(contestants, latencies, strict=True)
    ]
    session.print(table(headings, rows))


def _text(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
